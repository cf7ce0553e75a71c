"""ssc: the 35 words of Google's speech commands, as spikes of an inner-ear model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from harness.data.base import data_root as resolve_root
from harness.data.heidelberg import SSC
from harness.tasks.common.base import Split, Task
from harness.tasks.common.encoding import steps_first
from harness.tasks.common.split import Indices, split_of, stratified_order
from harness.tasks.common.spoken import load_frames

CARD = {
    "name": "ssc",
    "kind": "task",
    "version": 1,
    "title": "SSC",
    "summary": (
        "Spiking Speech Commands: 105,829 recordings of 35 words by many people, as spikes of 700 channels of an "
        "inner-ear model. Large and noisy: a GPU's work, and 1.5 GB of memory."
    ),
    "data": "ssc",
    "T": 100,
    "sample_shape": [140],
    "classes": 35,
    "input_kind": "events",
    "encoding": (
        "100 frames of 10 ms from the start of the word; the spikes of 5 neighbouring channels counted together; what "
        "follows 1 s is cut"
    ),
    "split": "official: train 75,466, validation 9,981, test 20,382, each in a fixed stratified order",
    "networks": {"mlp": {"hidden": [256, 256]}, "feedback": {"hidden": [256]}},
    "budgets": {
        "smoke": {"epochs": 1, "batch_size": 32, "train_limit": 64, "test_limit": 32},
        "quick": {"epochs": 3, "batch_size": 64, "learning_rate": 2e-3, "train_limit": 4000, "test_limit": 2000},
        "standard": {"epochs": 30, "batch_size": 256, "learning_rate": 1e-3},
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
    "notes": ["Bins, groups and cut as in most papers; no augmentation."],
}


class SSCFrames(Task):
    """Counts of spikes."""

    def load(self, data_root: Path | None, seed: int) -> Split:  # noqa: ARG002
        """Read the HDF5 files; the split is the official one. Inputs are ``[N, T, 140]``, counts."""
        root = resolve_root(data_root)
        parts = [load_frames(SSC, root, part, self.card.T) for part in ("train", "valid", "test")]
        frames, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
        starts = np.cumsum([0, *(len(part_labels) for _, part_labels in parts)])
        orders = [start + stratified_order(part[1]) for start, part in zip(starts, parts, strict=False)]
        return split_of(frames, labels, Indices(*orders))

    def encode(self, inputs: Tensor) -> Tensor:
        """Return frame t at step t, ``[T, B, 140]``."""
        return steps_first(inputs)
