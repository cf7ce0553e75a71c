"""two-sines: the sum of two sines, to be produced for one second when cued."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from harness.tasks.common.base import Split, Task
from harness.tasks.common.encoding import steps_first
from harness.tasks.common.signals import signal_split

CARD = {
    "name": "two-sines",
    "kind": "task",
    "version": 1,
    "title": "Sum of two sines",
    "summary": (
        "A cue of 50 ms, then one second of the mean of a sine of 1 Hz and one of 2 Hz, trial after trial. After "
        "training the network goes through it on its own; the score is the error as a share of the signal's power."
    ),
    "data": "generated",
    "T": 1000,
    "step_seconds": 1e-3,
    "sample_shape": [1],
    "classes": 1,
    "target": "signal",
    "input_kind": "analog",
    "encoding": "1 during the first 50 ms of a trial, else 0; a step is 1 ms",
    "split": "equal trials: 105 to learn from, 51 to test (the first to settle in, not counted), none to validate",
    "networks": {"reservoir": {"size": 100, "input_gain": 4.0}},
    "budgets": {
        "smoke": {"epochs": 1, "batch_size": 1, "train_limit": 3, "test_limit": 2},
        "quick": {"epochs": 1, "batch_size": 1, "train_limit": 12, "test_limit": 6},
        "standard": {"epochs": 1, "batch_size": 1},
    },
    "notes": [
        "The signal is this project's own; that spiking pools are tested on sums of sines is common in the field.",
    ],
}


class TwoSines(Task):
    """``(sin(2 pi t) + sin(4 pi t + 1)) / 2``."""

    def load(self, data_root: Path | None, seed: int) -> Split:  # noqa: ARG002
        """Compute the trials."""
        return signal_split(self.card, lambda t: (np.sin(2 * np.pi * t) + np.sin(4 * np.pi * t + 1)) / 2)

    def encode(self, inputs: Tensor) -> Tensor:
        """Return the cue at every step, ``[1000, B, 1]``."""
        return steps_first(inputs)
