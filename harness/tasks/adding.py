"""adding: the sum of the two marked digits of a sequence."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from harness.data.generated import adding
from harness.tasks.common.base import Split, Task
from harness.tasks.common.encoding import steps_first
from harness.tasks.common.split import held_out, split_of

CARD = {
    "name": "adding",
    "kind": "task",
    "version": 1,
    "title": "Adding problem, digits",
    "summary": (
        "A digit of 0 to 4 at every step, two of them marked: which is their sum? As a classification, because a task "
        "here has classes; always saying 4 errs on 80 %."
    ),
    "data": "generated",
    "T": 40,
    "sample_shape": [2],
    "classes": 9,
    "input_kind": "analog",
    "encoding": "channel 0: digit / 4, in [0, 1]; channel 1: 1 at the two marked steps, 10 apart (variant: 30)",
    "split": "5,000 sequences, fixed and stratified: test 1,000, validation 400, train 3,600",
    "defaults": {"delay": 10},
    "variants": {
        "adding-30": {
            "title": "Adding problem, digits, 30 steps",
            "summary": "The marked digits lie 30 steps apart, with 29 digits between them to be ignored.",
            "params": {"delay": 30},
        },
    },
    "networks": {"mlp": {"hidden": [64, 64]}, "feedback": {"hidden": [64]}},
    "budgets": {
        "smoke": {"epochs": 1, "batch_size": 64, "learning_rate": 5e-3, "train_limit": 256, "test_limit": 128},
        "quick": {"epochs": 5, "batch_size": 64, "learning_rate": 5e-3, "train_limit": 1500, "test_limit": 500},
        # 1,140 updates: at a cosine of 0.03 LIF is at its best in epoch 17 of 20, PLIF in epoch 8.
        "standard": {"epochs": 20, "batch_size": 64, "learning_rate": 1e-2},
    },
    "citations": [
        {
            "authors": "S. Hochreiter, J. Schmidhuber",
            "title": "Long Short-Term Memory",
            "venue": "Neural Computation 9(8)",
            "year": 1997,
            "doi": "10.1162/neco.1997.9.8.1735",
        }
    ],
    "notes": [
        "The literature's adding problem adds two real numbers of [0, 1] and reports a squared error. Digits have an "
        "exact sum, so that right and wrong need no tolerance; the figures are not comparable with squared errors.",
        "Generated from a frozen random stream; the seed of a run draws the weights, never the data.",
    ],
}

COUNT = 5_000
LARGEST = 4


class Adding(Task):
    """A digit and a mark at every step."""

    def load(self, data_root: Path | None, seed: int) -> Split:  # noqa: ARG002
        """Make the sequences; they and the split are fixed. Inputs are ``[N, T, 2]``: digit 0..4 and mark 0 or 1."""
        sequences, labels = adding(COUNT, self.card.T, LARGEST, self.params["delay"])
        return split_of(sequences, labels, held_out(labels, test_fraction=0.2))

    def encode(self, inputs: Tensor) -> Tensor:
        """Return digit / 4 and mark at every step, ``[T, B, 2]``."""
        x = steps_first(inputs)
        return x / x.new_tensor([LARGEST, 1])
