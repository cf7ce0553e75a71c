"""localisation: whether a robot that turned and moved for some time is now on the left or on the right."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from harness.data.generated import localisation
from harness.tasks.common.base import Split, Task
from harness.tasks.common.encoding import steps_first
from harness.tasks.common.split import held_out, split_of

CARD = {
    "name": "localisation",
    "kind": "task",
    "version": 1,
    "title": "Localisation, 100 steps",
    "summary": (
        "A robot turns left, turns right or goes on at every step: is it on the left or on the right in the end? Every "
        "action counts, and in which order; 50 % is chance."
    ),
    "data": "generated",
    "T": 100,
    "sample_shape": [3],
    "classes": 2,
    "input_kind": "events",
    "encoding": "one of three channels is 1 at each step: a turn to the left, one to the right (5 % each), or on",
    "split": "5,000 walks, fixed and stratified: test 1,000, validation 400, train 3,600",
    "variants": {
        "localisation-400": {
            "title": "Localisation, 400 steps",
            "summary": "The same with walks of 400 steps, as long as those of the Neuromorphic Sequential Arena.",
            "overrides": {"T": 400},
        },
    },
    "networks": {"mlp": {"hidden": [64, 64]}, "feedback": {"hidden": [64]}},
    "budgets": {
        "smoke": {"epochs": 1, "batch_size": 64, "learning_rate": 5e-3, "train_limit": 256, "test_limit": 128},
        "quick": {"epochs": 5, "batch_size": 64, "learning_rate": 5e-3, "train_limit": 1500, "test_limit": 500},
        "standard": {"epochs": 20, "batch_size": 64, "learning_rate": 1e-2},
    },
    "citations": [
        {
            "authors": "X. Chen, C. Ma, Y. Wu, K. C. Tan, J. Wu",
            "title": "Neuromorphic Sequential Arena: A Benchmark for Neuromorphic Temporal Processing",
            "venue": "IJCAI",
            "year": 2025,
            "arxiv": "2505.22035",
            "code": "https://github.com/liyc5929/neuroseqbench",
        }
    ],
    "notes": [
        "The question and the length of localisation-400 are those of that benchmark's autonomous localization; the "
        "walks are this project's own (its generator was not at hand), so figures are not comparable with the paper's.",
        "Generated from a frozen random stream; the seed of a run draws the weights, never the data.",
    ],
}

COUNT = 5_000
TURNING = 0.1


class Localisation(Task):
    """Actions as spikes."""

    def load(self, data_root: Path | None, seed: int) -> Split:  # noqa: ARG002
        """Make the walks; they and the split are fixed. Inputs are ``[N, T, 3]``, 0 or 1."""
        walks, labels = localisation(COUNT, self.card.T, TURNING)
        return split_of(walks, labels, held_out(labels, test_fraction=0.2))

    def encode(self, inputs: Tensor) -> Tensor:
        """Return action t at step t, ``[T, B, 3]``."""
        return steps_first(inputs)
