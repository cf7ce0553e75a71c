"""textures-flow: the optical flow of moving textures, from what an event camera reports of them."""

from __future__ import annotations

from pathlib import Path

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
        "Scenes like those of textures-video, one window of 50 ms each: how far, and where to, moves what each pixel "
        "shows at its beginning."
    ),
    "data": "generated",
    "T": 5,
    "sample_shape": [4, 24, 24],
    "classes": 2,
    "target": "flow",
    "input_kind": "events",
    "encoding": (
        "counts of OFF and ON events in ten bins of 5 ms; a step is a bin of the first half of the window and the same "
        "of the second, four channels"
    ),
    "split": "960 scenes, fixed: train 768, validation 64, test 128",
    "networks": {
        "adaptive-spikenet": {"base": 16, "levels": 3, "norm": True},
        "zero-flow": {},
        "mean-flow": {},
    },
    "budgets": {
        "smoke": {"epochs": 1, "batch_size": 16, "learning_rate": 4e-3, "train_limit": 32, "test_limit": 32},
        "quick": {"epochs": 6, "batch_size": 16, "learning_rate": 4e-3},
        "standard": {"epochs": 40, "batch_size": 16, "learning_rate": 4e-3},
    },
    "notes": [
        "The scenes are this project's own and exactly reproducible; docs/video.md has how they are made.",
        "They are filmed once, which takes some ten seconds, and kept beside the default data root.",
    ],
}

BINS = 10


class TexturesFlow(Task):
    """Counts in, flow out."""

    def load(self, data_root: Path | None, seed: int) -> Split:  # noqa: ARG002
        """Film the scenes; they and the split are fixed.

        Inputs are ``[N, 5, 4, 24, 24]``, labels ``[N, 1, 2, 24, 24]``: the way in x and in y, in pixels.
        """
        film = filmed.filmed(filmed.FLOW)
        events, window = filmed.in_windows(film)
        count, _, _, height, width = film.flow.shape
        bins = counted_bins(events, window, (count, BINS, height, width), WINDOW_US)
        # Step t: bin t of the first half and bin t of the second, each OFF before ON.
        halves = bins.reshape(count, 2, self.card.T, 2, height, width).transpose(0, 2, 1, 3, 4, 5)
        inputs = halves.reshape(count, self.card.T, *self.card.sample_shape)
        return filmed.split_scenes(inputs, film.flow, filmed.FLOW.counts)

    def encode(self, inputs: Tensor) -> Tensor:
        """Return the counts of both bins t at step t, ``[5, B, 4, 24, 24]``."""
        return steps_first(inputs)
