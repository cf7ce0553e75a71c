"""moving-shapes: in which of eight directions an object crosses the view of an event camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from harness.data import motion
from harness.tasks.common.base import Split, Task
from harness.tasks.common.cache import remembered
from harness.tasks.common.encoding import steps_first
from harness.tasks.common.split import held_out, split_of

CARD = {
    "name": "moving-shapes",
    "kind": "task",
    "version": 1,
    "title": "Moving shapes",
    "summary": (
        "An event camera of N-MNIST's size sees a bright or a dark object cross its view in one of eight directions. "
        "One frame cannot tell forwards from backwards, 50 % error: the order of the frames has to be remembered."
    ),
    "data": "generated",
    "T": 10,
    "sample_shape": [2, 17, 17],
    "classes": 8,
    "input_kind": "events",
    "encoding": (
        "10 frames of equal duration, 34 x 34 pixels counted together as 17 x 17; 1 where a cell reported at least one "
        "event, and in 2 % of the entries by chance, so the first layer only accumulates"
    ),
    "split": "10,000 recordings, fixed and stratified: test 2,000, validation 800, train 7,200",
    "networks": {
        "mlp": {"hidden": [128]},
        "conv": {"channels": [8, 16], "kernel_size": 3, "pool": 2},
        "feedback": {"hidden": [128]},
        "hybrid-conv": {"channels": [16, 32], "strides": [2, 2], "window": 5, "head": [32]},
    },
    "budgets": {
        "smoke": {"epochs": 1, "batch_size": 64, "learning_rate": 5e-3, "train_limit": 256, "test_limit": 128},
        "quick": {"epochs": 3, "batch_size": 64, "learning_rate": 5e-3, "train_limit": 1500, "test_limit": 500},
        # 570 updates: at a cosine of 0.03 LIF is at its best in epoch 6 of 10, PLIF in epoch 8.
        "standard": {"epochs": 10, "batch_size": 128, "learning_rate": 1e-2},
    },
    "notes": [
        "The recordings are this project's own and exactly reproducible; docs/tasks.md has how they are made.",
        "They are computed once, which takes some ten seconds, and kept beside the default data root.",
    ],
}

COUNT = 10_000


class MovingShapes(Task):
    """Frames of 0 and 1."""

    def load(self, data_root: Path | None, seed: int) -> Split:  # noqa: ARG002
        """Make the recordings; they and the split are fixed. Inputs are ``[N, T, 2, 17, 17]``, 0 or 1."""

        def make() -> NDArray[np.uint8]:
            return motion.moving_shapes(COUNT, self.card.T)

        frames = remembered(self.card.name, (COUNT, self.card.T), (motion.__file__, __file__), make)
        labels = motion.directions(COUNT)
        return split_of(frames, labels, held_out(labels, test_fraction=0.2))

    def encode(self, inputs: Tensor) -> Tensor:
        """Return frame t at step t, ``[T, B, 2, 17, 17]``."""
        return steps_first(inputs)
