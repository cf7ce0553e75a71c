"""shd: spoken digits in English and German, as spikes of an inner-ear model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from harness.data.base import data_root as resolve_root
from harness.data.heidelberg import SHD
from harness.tasks.common.base import Split, Task
from harness.tasks.common.encoding import steps_first
from harness.tasks.common.split import official, split_of
from harness.tasks.common.spoken import load_frames

CARD = {
    "name": "shd",
    "kind": "task",
    "version": 1,
    "title": "SHD",
    "summary": (
        "Spiking Heidelberg Digits: twelve people say the ten digits in two languages; 700 channels of an "
        "inner-ear model fire. The field's first task of spike timing."
    ),
    "data": "shd",
    "T": 100,
    "sample_shape": [140],
    "classes": 20,
    "input_kind": "events",
    "encoding": (
        "100 frames of 10 ms from the start of the word; the spikes of 5 neighbouring channels counted together; what "
        "follows 1 s is cut"
    ),
    "split": (
        "official test part (2,264); validation a fixed stratified tenth of the official training part (816), "
        "train 7,340"
    ),
    "networks": {"mlp": {"hidden": [256, 256]}, "feedback": {"hidden": [256]}},
    "budgets": {
        "smoke": {"epochs": 1, "batch_size": 32, "train_limit": 64, "test_limit": 32},
        "quick": {"epochs": 3, "batch_size": 64, "learning_rate": 2e-3, "train_limit": 2000, "test_limit": 1000},
        "standard": {"epochs": 50, "batch_size": 128, "learning_rate": 1e-3},
    },
    "citations": [
        {
            "authors": "B. Cramer, Y. Stradmann, J. Schemmel, F. Zenke",
            "title": "The Heidelberg Spiking Data Sets for the Systematic Evaluation of Spiking Neural Networks",
            "venue": "IEEE Transactions on Neural Networks and Learning Systems 33(7)",
            "year": 2022,
            "arxiv": "1910.07407",
        }
    ],
    "notes": [
        "Two of the twelve speakers are in the test part only. The validation part shares its speakers with the "
        "training part, so its error is far below that of the test part.",
        "Bins, groups and cut as in most papers; no augmentation.",
    ],
}


class SHDFrames(Task):
    """Counts of spikes."""

    def load(self, data_root: Path | None, seed: int) -> Split:  # noqa: ARG002
        """Read the HDF5 files; the split is fixed. Inputs are ``[N, T, 140]``, counts."""
        root = resolve_root(data_root)
        parts = [load_frames(SHD, root, part, self.card.T) for part in ("train", "test")]
        frames, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
        return split_of(frames, labels, official(labels, np.arange(len(labels)) >= len(parts[0][1])))

    def encode(self, inputs: Tensor) -> Tensor:
        """Return frame t at step t, ``[T, B, 140]``."""
        return steps_first(inputs)
