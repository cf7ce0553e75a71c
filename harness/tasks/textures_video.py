"""textures-video: the intensity frames of moving textures, from what an event camera reports of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from harness.data.textures import WINDOW_US
from harness.tasks.common import filmed
from harness.tasks.common.base import Split, Task
from harness.tasks.common.encoding import steps_first
from harness.tasks.common.voxels import normalised, shared_bins

CARD = {
    "name": "textures-video",
    "kind": "task",
    "version": 1,
    "title": "Video of moving textures",
    "summary": (
        "Two textures, one a disc before the other, move before a simulated event camera for four windows of 50 ms; at "
        "the end of each the intensity of every pixel is asked for."
    ),
    "data": "generated",
    "T": 20,
    "sample_shape": [1, 24, 24],
    "classes": 1,
    "target": "frames",
    "input_kind": "analog",
    "encoding": (
        "five bins a window, each event's sign shared between the two nearest in time; entries that are not 0 are "
        "normalised to mean 0 and deviation 1 in each window"
    ),
    "split": "176 scenes, fixed: train 128, validation 16, test 32",
    "networks": {
        "evsnn": {"base": 8},
        "pa-evsnn": {"base": 8},
        "mean-image": {},
        "event-integration": {},
        "last-frame": {},
    },
    "budgets": {
        "smoke": {"epochs": 1, "batch_size": 8, "learning_rate": 5e-3, "train_limit": 16, "test_limit": 8},
        "quick": {"epochs": 6, "batch_size": 8, "learning_rate": 1e-2},
        "standard": {"epochs": 60, "batch_size": 8, "learning_rate": 1e-2},
    },
    "notes": [
        "The scenes are this project's own and exactly reproducible; docs/video.md has how they are made.",
        "They are filmed once, which takes some ten seconds, and kept beside the default data root.",
    ],
}

BINS = 5


class TexturesVideo(Task):
    """Signed bins in, frames out."""

    def load(self, data_root: Path | None, seed: int) -> Split:  # noqa: ARG002
        """Film the scenes; they and the split are fixed.

        Inputs are ``[N, 20, 1, 24, 24]``, labels ``[N, 5, 1, 24, 24]``: the frame at the start and after each window,
        from 0 to 1.
        """
        found = filmed.filmed(filmed.VIDEO)
        events, window = filmed.in_windows(found)
        count, frames, height, width = found.frames.shape
        shape = (count * (frames - 1), BINS, height, width)
        bins = normalised(shared_bins(events, window, shape, WINDOW_US))
        inputs = bins.reshape(count, self.card.T, 1, height, width)
        labels = (found.frames / np.float32(255)).astype(np.float32)[:, :, None]
        return filmed.split_scenes(inputs, labels, filmed.VIDEO.counts)

    def encode(self, inputs: Tensor) -> Tensor:
        """Return bin t at step t, ``[20, B, 1, 24, 24]``."""
        return steps_first(inputs)
