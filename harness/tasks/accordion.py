"""accordion: a sine whose frequency rises for a second and falls for another, to be produced when cued."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from harness.tasks.common.base import Split, Task
from harness.tasks.common.encoding import steps_first
from harness.tasks.common.signals import signal_split

CARD = {
    "name": "accordion",
    "kind": "task",
    "version": 1,
    "title": "Accordion",
    "summary": (
        "The target of the full-FORCE scripts: a cue of 50 ms and two seconds of a sine whose frequency goes from low "
        "to high and back, mirrored with the opposite sign."
    ),
    "data": "generated",
    "T": 2000,
    "step_seconds": 1e-3,
    "sample_shape": [1],
    "classes": 1,
    "target": "signal",
    "input_kind": "analog",
    "encoding": "1 during the first 50 ms of a trial, else 0; a step is 1 ms",
    "split": "equal trials: 105 to learn from, 51 to test (the first to settle in, not counted), none to validate",
    "networks": {"reservoir": {"size": 300, "input_gain": 4.0}},
    "budgets": {
        "smoke": {"epochs": 1, "batch_size": 1, "train_limit": 3, "test_limit": 2},
        "quick": {"epochs": 1, "batch_size": 1, "train_limit": 12, "test_limit": 6},
        "standard": {"epochs": 1, "batch_size": 1},
    },
    "citations": [
        {
            "authors": "A. Paul, S. Wagner, A. Das",
            "title": "Learning in Feedback-driven Recurrent Spiking Neural Networks using full-FORCE Training",
            "venue": "IJCNN",
            "year": 2022,
            "arxiv": "2205.13585",
            "code": "https://github.com/drexel-DISCO/SNN-full-FORCE (commit 60170a1)",
        }
    ],
    "notes": [
        "The released scripts step 0.05 ms; here a step is 1 ms, which costs 20 times less and makes pools of the "
        "released time constants coarse: firing rates and errors are not those of the paper.",
        "No row here has learned it yet: with 12 to 40 trials the pools follow it while they learn, and on their own "
        "are no better than silence; a step of 0.25 ms did not change that.",
    ],
}

LOW, HIGH = 2.0, 6.0


def accordion(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``sin(w t)``, ``w = pi (low + (high - low) t)``, up to one second, then its mirror image, negated."""
    rising = np.sin(np.pi * (LOW + (HIGH - LOW) * t) * t)
    falling = -np.sin(np.pi * (HIGH - (HIGH - LOW) * (t - 1)) * (2 - t))
    return np.where(t <= 1, rising, falling)


class Accordion(Task):
    """Frequencies from 1 Hz to 5 Hz (the derivative of ``w t``) and back."""

    def load(self, data_root: Path | None, seed: int) -> Split:  # noqa: ARG002
        """Compute the trials."""
        return signal_split(self.card, accordion)

    def encode(self, inputs: Tensor) -> Tensor:
        """Return the cue at every step, ``[2000, B, 1]``."""
        return steps_first(inputs)
