"""moving-boxes: where up to three moving objects are, how large and of which form, from an event camera's frames."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.data import boxes, motion
from harness.tasks.common.base import Samples, Split, Task
from harness.tasks.common.cache import remembered
from harness.tasks.common.encoding import steps_first
from harness.tasks.common.grids import on_grid

CARD = {
    "name": "moving-boxes",
    "kind": "task",
    "version": 1,
    "title": "Boxes of moving objects",
    "summary": (
        "An event camera sees one to three objects move, bright or dark: where is each at the end of every window of "
        "five frames, how large, and is it a square, a disc or a diamond?"
    ),
    "data": "generated",
    "T": 10,
    "sample_shape": [2, 32, 32],
    "classes": 8,
    "target": "boxes",
    "input_kind": "events",
    "encoding": (
        "10 frames of equal duration, 64 x 64 pixels counted together as 32 x 32; 1 where a cell reported at least one "
        "event, and in 2 % of the entries by chance"
    ),
    "split": "2,400 views, fixed: train 1,800, validation 200, test 400; two windows of five frames each",
    "networks": {
        "hybrid-detector": {"channels": [16, 32, 32], "strides": [2, 2, 1], "window": 5, "head": [48]},
        "mean-boxes": {"stride": 4},
    },
    "budgets": {
        "smoke": {"epochs": 1, "batch_size": 16, "learning_rate": 2e-3, "train_limit": 64, "test_limit": 32},
        "quick": {"epochs": 8, "batch_size": 32, "learning_rate": 1e-2, "test_limit": 200},
        "standard": {"epochs": 40, "batch_size": 32, "learning_rate": 1e-2},
    },
    "notes": [
        "The recordings are this project's own and exactly reproducible; docs/streaming.md has how they are made.",
        "They are computed once, which takes some ten seconds, and kept beside the default data root.",
    ],
}

COUNTS = (1800, 200, 400)
"""Views of the parts, in this order: they are independent of one another."""
WINDOWS = 2
SIDE = 8
"""Places in a row of the grid that holds the boxes."""


class MovingBoxes(Task):
    """Frames in, boxes out."""

    def load(self, data_root: Path | None, seed: int) -> Split:  # noqa: ARG002
        """Make the recordings; they and the split are fixed.

        Inputs are ``[N, 10, 2, 32, 32]``, 0 or 1, labels ``[N, 2, 8, 8, 8]``, as `harness.tasks.common.grids` has them.
        """
        count = sum(COUNTS)

        def make() -> NDArray[np.uint8]:
            return boxes.record(count, self.card.T, WINDOWS).frames

        code = (boxes.__file__, motion.__file__)
        frames = remembered(self.card.name, (count, self.card.T, WINDOWS), code, make)
        there, forms = boxes.placed(count, self.card.T, WINDOWS)
        labels = on_grid(there, forms, SIDE, boxes.SENSOR // SIDE, len(boxes.FORMS))
        digest = hashlib.sha256(np.round(labels.astype(np.float64) * 4096).astype("<i4").tobytes())
        ends = np.cumsum(COUNTS)[:-1]
        parts = [
            Samples(torch.from_numpy(x.copy()), torch.from_numpy(y.copy()))
            for x, y in zip(np.split(frames, ends), np.split(labels, ends), strict=True)
        ]
        return Split(parts[0], parts[1], parts[2], digest.hexdigest())

    def encode(self, inputs: Tensor) -> Tensor:
        """Return frame t at step t, ``[10, B, 2, 32, 32]``."""
        return steps_first(inputs)
