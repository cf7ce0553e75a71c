"""smnist-rows: MNIST row by row, 28 steps of 28 pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from harness.data.base import data_root as resolve_root
from harness.data.mnist import read_mnist
from harness.tasks.common.base import Split, Task
from harness.tasks.common.encoding import steps_first
from harness.tasks.common.split import official, split_of

CARD = {
    "name": "smnist-rows",
    "kind": "task",
    "version": 1,
    "title": "Sequential MNIST, row by row",
    "summary": (
        "MNIST's images one row of 28 pixels at each of 28 steps: no step shows the digit. Long enough to tell neurons "
        "apart by what they keep, short enough for a CPU."
    ),
    "data": "mnist",
    "T": 28,
    "sample_shape": [28],
    "classes": 10,
    "input_kind": "analog",
    "encoding": "step t is row t of the image, from the top; pixel / 255, in [0, 1]",
    "split": "that of mnist: official test part (10,000), validation 6,000, train 54,000",
    "networks": {"mlp": {"hidden": [128]}, "feedback": {"hidden": [128]}},
    "budgets": {
        "smoke": {"epochs": 1, "batch_size": 64, "train_limit": 512, "test_limit": 256},
        "quick": {"epochs": 2, "batch_size": 64, "learning_rate": 5e-3, "train_limit": 2000, "test_limit": 1000},
        # 1,200 updates: at a cosine of 0.06 LIF and PLIF are at their best in epoch 27 of 30. Few images, seen often,
        # so that training comes to an end within seconds on a core.
        "standard": {
            "epochs": 30,
            "batch_size": 128,
            "learning_rate": 3e-2,
            "train_limit": 5000,
            "test_limit": 3000,
        },
    },
    "citations": [
        {
            "authors": "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner",
            "title": "Gradient-based learning applied to document recognition",
            "venue": "Proceedings of the IEEE 86(11)",
            "year": 1998,
            "doi": "10.1109/5.726791",
        }
    ],
    "notes": [
        "The standard budget takes 8 epochs of 10,000 images, so that many neurons can be compared on a CPU. It tells "
        "them apart, short of convergence.",
    ],
}

LARGEST = 255


class RowsOfMNIST(Task):
    """One row of the image per step."""

    def load(self, data_root: Path | None, seed: int) -> Split:  # noqa: ARG002
        """Read the idx files; the split is fixed. Inputs are ``[N, 28, 28]``, 0..255."""
        parts = read_mnist(resolve_root(data_root))
        images = np.concatenate([part.images for part in parts])
        labels = np.concatenate([part.labels for part in parts])
        in_test = np.arange(len(labels)) >= len(parts[0].labels)
        return split_of(images, labels, official(labels, in_test))

    def encode(self, inputs: Tensor) -> Tensor:
        """Return row t at step t, ``[28, B, 28]``."""
        return steps_first(inputs) / LARGEST
