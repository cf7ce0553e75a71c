"""digits: scikit-learn's 8 x 8 digits, each shown as a constant current."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from harness.data.digits import read_digits
from harness.tasks.common.base import Split, Task
from harness.tasks.common.encoding import constant_current
from harness.tasks.common.split import held_out, split_of

CARD = {
    "name": "digits",
    "kind": "task",
    "version": 1,
    "title": "Digits 8 x 8",
    "summary": (
        "scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, embedded, as a constant current. It shows in "
        "seconds whether something learns at all; it is too easy to rank what does."
    ),
    "data": "digits",
    "T": 8,
    "sample_shape": [1, 8, 8],
    "classes": 10,
    "input_kind": "analog",
    "encoding": "direct: grey level / 16, in [0, 1], the same at each of 8 steps",
    "split": "no official one; fixed and stratified: test 20 % (359), validation 10 % of the rest (144), train 1,294",
    "networks": {
        "mlp": {"hidden": [64]},
        "conv": {"channels": [16, 32], "kernel_size": 3, "pool": 2},
        "feedback": {"hidden": [64]},
        "nf-resnet": {"channels": [16, 32]},
        "reversible": {"hidden": [32, 32, 32, 32]},
        "skip-mlp": {"hidden": [32, 32, 32, 32, 32], "depths": [4]},
        "skip-conv": {"channels": [4, 8, 8, 8, 8], "pools": [2, 1, 1, 1, 2], "depths": [4]},
    },
    "budgets": {
        "smoke": {"epochs": 1, "batch_size": 64, "learning_rate": 5e-3, "train_limit": 256, "test_limit": 128},
        "quick": {"epochs": 20, "batch_size": 64, "learning_rate": 5e-3},
        "standard": {"epochs": 60, "batch_size": 64, "learning_rate": 2e-3},
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


class DigitsTask(Task):
    """Constant current in [0, 1]."""

    def load(self, data_root: Path | None, seed: int) -> Split:  # noqa: ARG002
        """Read the embedded digits; the split is fixed. Inputs are ``[N, 1, 8, 8]``, 0..16."""
        images, labels = read_digits()
        return split_of(images[:, None], labels, held_out(labels, test_fraction=0.2))

    def encode(self, inputs: Tensor) -> Tensor:
        """Return the image at every step, ``[T, B, 1, 8, 8]``, as a broadcast."""
        return constant_current(inputs, self.card.T, LARGEST)
