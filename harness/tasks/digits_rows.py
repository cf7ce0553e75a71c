"""digits-rows: scikit-learn's digits read row by row, so that a network must remember."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from harness.data.digits import read_digits
from harness.tasks.common.base import Split, Task
from harness.tasks.common.encoding import steps_first
from harness.tasks.common.split import held_out, split_of

CARD = {
    "name": "digits-rows",
    "kind": "task",
    "version": 1,
    "title": "Digits 8 x 8, row by row",
    "summary": (
        "The images of digits, one row of 8 pixels at each of 8 steps: no step shows the digit, so the score tells "
        "what a neuron keeps of the past."
    ),
    "data": "digits",
    "T": 8,
    "sample_shape": [8],
    "classes": 10,
    "input_kind": "analog",
    "encoding": "step t is row t of the image, from the top; grey level / 16, in [0, 1]",
    "split": "that of digits: test 359, validation 144, train 1,294",
    "networks": {
        "mlp": {"hidden": [128, 128]},
        "feedback": {"hidden": [128]},
        "skip-mlp": {"hidden": [64, 64, 64, 64, 64], "depths": [4]},
    },
    "budgets": {
        "smoke": {"epochs": 1, "batch_size": 64, "learning_rate": 5e-3, "train_limit": 256, "test_limit": 128},
        "quick": {"epochs": 25, "batch_size": 64, "learning_rate": 5e-3},
        "standard": {"epochs": 100, "batch_size": 64, "learning_rate": 2e-3},
    },
    "citations": [
        {
            "authors": "E. Alpaydin, C. Kaynak",
            "title": "Optical Recognition of Handwritten Digits",
            "venue": "UCI Machine Learning Repository, data set 80",
            "year": 1998,
        }
    ],
}

LARGEST = 16


class DigitsRows(Task):
    """One row of the image per step."""

    def load(self, data_root: Path | None, seed: int) -> Split:  # noqa: ARG002
        """Read the embedded digits; the split is fixed. Inputs are ``[N, 8, 8]``, 0..16."""
        images, labels = read_digits()
        return split_of(images, labels, held_out(labels, test_fraction=0.2))

    def encode(self, inputs: Tensor) -> Tensor:
        """Return row t at step t, ``[8, B, 8]``."""
        return steps_first(inputs) / LARGEST
