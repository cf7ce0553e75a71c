"""textures-flow: the optical flow of moving textures, from what an event camera reports of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from harness.data.textures import WINDOW_US
from harness.tasks.common import filmed
from harness.tasks.common.base import Split, Task
from harness.tasks.common.encoding import steps_first
from harness.tasks.common.voxels import counted_bins

CARD = {
    "name": "textures-flow",
    "kind": "task",
    "version": 1,
    "title": "Optical flow of moving textures",
    "summary": (
        "The scenes of textures-video, window by window: how far, and where to, moves what each pixel shows at the "
        "beginning of 50 ms."
    ),
    "data": "generated",
    "T": 10,
    "sample_shape": [2, 24, 24],
    "classes": 2,
    "target": "flow",
    "input_kind": "events",
    "encoding": "ten bins of 5 ms, counts of OFF and of ON events",
    "split": "704 windows of 176 scenes, fixed: train 512, validation 64, test 128, no scene in two of them",
    "networks": {
        "adaptive-spikenet": {"base": 16, "levels": 3},
        "zero-flow": {},
        "mean-flow": {},
    },
    "budgets": {
        "smoke": {"epochs": 1, "batch_size": 16, "learning_rate": 2e-3, "train_limit": 32, "test_limit": 32},
        "quick": {"epochs": 8, "batch_size": 16, "learning_rate": 2e-3},
        "standard": {"epochs": 40, "batch_size": 16, "learning_rate": 2e-3},
    },
    "notes": [
        "The scenes are this project's own and exactly reproducible; docs/dense.md has how they are made.",
        "They are filmed once, which takes some ten seconds, and kept beside the default data root.",
    ],
}

BINS = 10


class TexturesFlow(Task):
    """Counts in, flow out."""

    def load(self, data_root: Path | None, seed: int) -> Split:  # noqa: ARG002
        """Film the scenes; they and the split are fixed.

        Inputs are ``[N, 10, 2, 24, 24]``, labels ``[N, 1, 2, 24, 24]``: the way in x and in y, in pixels. The first
        window of every scene of a part comes before the second, so that a limit leaves all scenes in.
        """
        found = filmed.of_scenes()
        events, window = filmed.in_windows(found)
        count, windows, _, height, width = found.flow.shape
        bins = counted_bins(events, window, (count * windows, BINS, height, width), WINDOW_US)
        inputs = bins.reshape(count, windows, BINS, 2, height, width)
        split = filmed.split_scenes(inputs, found.flow.astype(np.float32)[:, :, None], filmed.COUNTS)
        train, validation, test = map(filmed.window_by_window, (split.train, split.validation, split.test))
        return Split(train, validation, test, split.digest)

    def encode(self, inputs: Tensor) -> Tensor:
        """Return the counts of bin t at step t, ``[10, B, 2, 24, 24]``."""
        return steps_first(inputs)
