"""digits-events: scikit-learn's digits as an event camera sees them in three saccades."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from harness.data.digits import read_digits
from harness.tasks.common import event_frames, saccades
from harness.tasks.common.base import Split, Task
from harness.tasks.common.cache import remembered
from harness.tasks.common.encoding import steps_first
from harness.tasks.common.split import held_out, split_of

CARD = {
    "name": "digits-events",
    "kind": "task",
    "version": 1,
    "title": "Digits 8 x 8, event camera",
    "summary": (
        "The embedded digits moved in three saccades before a simulated event camera of 16 x 16 pixels, as N-MNIST "
        "was recorded: real digits, synthetic events, the same to the last bit on every machine."
    ),
    "data": "digits",
    "T": 12,
    "sample_shape": [2, 16, 16],
    "classes": 10,
    "input_kind": "events",
    "encoding": (
        "ON and OFF events of 300 ms in 12 frames of 25 ms, four a saccade; 1 where a pixel reported at least one "
        "event, so the first layer only accumulates"
    ),
    "split": "that of digits: test 359, validation 144, train 1,294",
    "networks": {
        "mlp": {"hidden": [64]},
        "conv": {"channels": [16, 32], "kernel_size": 3, "pool": 2},
        "feedback": {"hidden": [64]},
        "hybrid-conv": {"channels": [16, 32], "strides": [2, 2], "window": 4, "head": [32]},
        "skip-mlp": {"hidden": [32, 32, 32, 32, 32], "depths": [4]},
        "skip-conv": {"channels": [4, 8, 8, 8, 8], "pools": [4, 1, 1, 1, 2], "depths": [4]},
    },
    "budgets": {
        "smoke": {"epochs": 1, "batch_size": 64, "learning_rate": 5e-3, "train_limit": 256, "test_limit": 128},
        "quick": {"epochs": 15, "batch_size": 64, "learning_rate": 5e-3},
        "standard": {"epochs": 40, "batch_size": 64, "learning_rate": 2e-3},
    },
    "citations": [
        {
            "authors": "G. Orchard, A. Jayawant, G. K. Cohen, N. Thakor",
            "title": "Converting static image datasets to spiking neuromorphic datasets using saccades",
            "venue": "Frontiers in Neuroscience 9:437",
            "year": 2015,
            "arxiv": "1507.07629",
            "doi": "10.3389/fnins.2015.00437",
        },
        {
            "authors": "E. Alpaydin, C. Kaynak",
            "title": "Optical Recognition of Handwritten Digits",
            "venue": "UCI Machine Learning Repository, data set 80",
            "year": 1998,
        },
    ],
    "notes": [
        "The camera has no noise, no refractory time and no mismatch between pixels; docs/tasks.md has its model."
    ],
}

IMAGES_AT_ONCE = 256
"""Twice as fast as all at once: the arrays stay in the cache."""


class DigitsEvents(Task):
    """Frames of 0 and 1."""

    def load(self, data_root: Path | None, seed: int) -> Split:  # noqa: ARG002
        """Record the embedded digits; the split is fixed. Inputs are ``[N, T, 2, 16, 16]``, 0 or 1."""
        images, labels = read_digits()

        def make() -> NDArray[np.uint8]:
            starts = range(0, len(images), IMAGES_AT_ONCE)
            return np.concatenate([self._frames(images[start : start + IMAGES_AT_ONCE]) for start in starts])

        decided_by = (self.card.T, hashlib.sha256(images.tobytes()).hexdigest())
        frames = remembered(self.card.name, decided_by, (saccades.__file__, event_frames.__file__, __file__), make)
        return split_of(frames, labels, held_out(labels, test_fraction=0.2))

    def encode(self, inputs: Tensor) -> Tensor:
        """Return frame t at step t, ``[T, B, 2, 16, 16]``."""
        return steps_first(inputs)

    def _frames(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        count, T, side = len(images), self.card.T, saccades.SIDE
        events = saccades.record(images)
        counts = event_frames.frames_by_time(events, T, count * side, side, start=0, stop=saccades.DURATION_US)
        frames = np.minimum(counts, 1).astype(np.uint8).reshape(T, 2, count, side, side)
        return frames.transpose(2, 0, 1, 3, 4)
