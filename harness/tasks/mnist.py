"""mnist, fashion-mnist: all images of a set in MNIST's form, each shown as a constant current."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from harness.data.base import data_root as resolve_root
from harness.data.fashion_mnist import FASHION_MNIST
from harness.data.mnist import MNIST, read_images
from harness.tasks.common.base import Split, Task
from harness.tasks.common.encoding import constant_current
from harness.tasks.common.split import official, split_of

CARD = {
    "name": "mnist",
    "kind": "task",
    "version": 1,
    "title": "MNIST",
    "summary": "60,000 + 10,000 handwritten digits of 28 x 28 pixels as a constant current; the field's first task.",
    "data": "mnist",
    "T": 4,
    "sample_shape": [1, 28, 28],
    "classes": 10,
    "input_kind": "analog",
    "encoding": "direct: pixel / 255, in [0, 1], not standardised and not augmented, the same at each of 4 steps",
    "split": "official test part (10,000); validation a fixed stratified tenth of the official training part (6,000)",
    "networks": {
        "mlp": {"hidden": [400]},
        "conv": {"channels": [16, 32], "kernel_size": 3, "pool": 2},
        "feedback": {"hidden": [400]},
        "skip-mlp": {"hidden": [128, 128, 128, 128, 128], "depths": [4]},
        "skip-conv": {"channels": [8, 16, 16, 16, 16], "pools": [2, 1, 1, 1, 4], "depths": [4]},
    },
    "budgets": {
        "smoke": {"epochs": 1, "batch_size": 64, "train_limit": 512, "test_limit": 256},
        "quick": {"epochs": 4, "batch_size": 64, "learning_rate": 2e-3, "train_limit": 4000, "test_limit": 2000},
        "standard": {"epochs": 12, "batch_size": 128},
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
    "variants": {
        "fashion-mnist": {
            "title": "Fashion-MNIST",
            "summary": "60,000 + 10,000 pieces of clothing in MNIST's form, harder than digits, as a constant current.",
            "overrides": {
                "data": "fashion-mnist",
                "networks": {
                    "mlp": {"hidden": [400]},
                    "conv": {"channels": [8, 16], "kernel_size": 5, "stride": 2, "pool": 2},
                    "feedback": {"hidden": [400]},
                    "skip-mlp": {"hidden": [128, 128, 128, 128, 128], "depths": [4]},
                    "skip-conv": {"channels": [8, 16, 16, 16, 16], "pools": [2, 1, 1, 1, 4], "depths": [4]},
                },
                "budgets": {
                    "smoke": {"epochs": 1, "batch_size": 64, "train_limit": 512, "test_limit": 256},
                    "quick": {
                        "epochs": 4,
                        "batch_size": 64,
                        "learning_rate": 2e-3,
                        "train_limit": 4000,
                        "test_limit": 2000,
                    },
                    # 480 updates: at a cosine of 0.03 LIF is at its best in epoch 11 of 15. A small part of the images,
                    # seen often, because a convolutional net costs 20 ms an update on a core.
                    "standard": {
                        "epochs": 15,
                        "batch_size": 64,
                        "learning_rate": 1e-2,
                        "train_limit": 2000,
                        "test_limit": 2000,
                    },
                },
                "citations": [
                    {
                        "authors": "H. Xiao, K. Rasul, R. Vollgraf",
                        "title": "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms",
                        "venue": "arXiv",
                        "year": 2017,
                        "arxiv": "1708.07747",
                    }
                ],
            },
        }
    },
}

SETS = {data.name: data for data in (MNIST, FASHION_MNIST)}
LARGEST = 255


class Images(Task):
    """Constant current in [0, 1]."""

    def load(self, data_root: Path | None, seed: int) -> Split:  # noqa: ARG002
        """Read the idx files; the split is fixed. Inputs are ``[N, 1, 28, 28]``, 0..255."""
        parts = read_images(SETS[self.card.data], resolve_root(data_root))  # type: ignore[index]  # its card names one
        images = np.concatenate([part.images for part in parts])
        labels = np.concatenate([part.labels for part in parts])
        in_test = np.arange(len(labels)) >= len(parts[0].labels)
        return split_of(images[:, None], labels, official(labels, in_test))

    def encode(self, inputs: Tensor) -> Tensor:
        """Return the image at every step, ``[T, B, 1, 28, 28]``, as a broadcast."""
        return constant_current(inputs, self.card.T, LARGEST)
