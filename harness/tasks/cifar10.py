"""cifar10, cifar100: all of CIFAR, each image shown as a constant current."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from harness.data.base import data_root as resolve_root
from harness.data.cifar import CIFAR10, CIFAR100, read_cifar
from harness.tasks.common.base import Split, Task
from harness.tasks.common.encoding import constant_current
from harness.tasks.common.split import official, split_of

CARD = {
    "name": "cifar10",
    "kind": "task",
    "version": 1,
    "title": "CIFAR-10",
    "summary": "50,000 + 10,000 colour photographs of 32 x 32 pixels in 10 classes, as a constant current.",
    "data": "cifar10",
    "T": 4,
    "sample_shape": [3, 32, 32],
    "classes": 10,
    "input_kind": "analog",
    "encoding": "direct: pixel / 255, in [0, 1], not standardised and not augmented, the same at each of 4 steps",
    "split": "official test part (10,000); validation a fixed stratified tenth of the official training part (5,000)",
    "networks": {
        "mlp": {"hidden": [512]},
        "conv": {"channels": [64, 128, 256], "kernel_size": 3, "pool": 2},
        "feedback": {"channels": [64]},
    },
    "budgets": {
        "smoke": {"epochs": 1, "batch_size": 32, "train_limit": 128, "test_limit": 64},
        "quick": {"epochs": 3, "batch_size": 64, "train_limit": 4000, "test_limit": 2000},
        "standard": {"epochs": 60, "batch_size": 128},
    },
    "citations": [
        {
            "authors": "A. Krizhevsky",
            "title": "Learning Multiple Layers of Features from Tiny Images",
            "venue": "Technical report, University of Toronto",
            "year": 2009,
        }
    ],
    "notes": [
        "Papers standardise and augment (crop, flip, often AutoAugment and Cutout) and use deep residual networks: "
        "figures here are lower and compare rows with each other, not with papers."
    ],
    "variants": {
        "cifar100": {
            "title": "CIFAR-100",
            "summary": "50,000 + 10,000 photographs of 32 x 32 pixels in 100 fine classes, as a constant current.",
            "overrides": {"data": "cifar100", "classes": 100},
        }
    },
}

SETS = {data.name: data for data in (CIFAR10, CIFAR100)}
LARGEST = 255


class Photographs(Task):
    """Constant current in [0, 1]."""

    def load(self, data_root: Path | None, seed: int) -> Split:  # noqa: ARG002
        """Read the pickles; the split is fixed. Inputs are ``[N, 3, 32, 32]``, 0..255."""
        parts = read_cifar(SETS[self.card.data], resolve_root(data_root))  # type: ignore[index]  # its card names one
        images = np.concatenate([part.images for part in parts])
        labels = np.concatenate([part.labels for part in parts])
        return split_of(images, labels, official(labels, np.arange(len(labels)) >= len(parts[0].labels)))

    def encode(self, inputs: Tensor) -> Tensor:
        """Return the image at every step, ``[T, B, 3, 32, 32]``, as a broadcast."""
        return constant_current(inputs, self.card.T, LARGEST)
