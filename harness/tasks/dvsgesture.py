"""dvsgesture: gestures before an event camera, in sixteen frames."""

from __future__ import annotations

import functools
import math
from pathlib import Path

from torch import Tensor

from harness.data import dvsgesture, events
from harness.data.base import data_root as resolve_root
from harness.data.events import Events, shrunk
from harness.tasks.common.base import Split, Task
from harness.tasks.common.encoding import steps_first
from harness.tasks.common.recordings import load_frames
from harness.tasks.common.split import official, split_of

CARD = {
    "name": "dvsgesture",
    "kind": "task",
    "version": 1,
    "title": "DVS128 Gesture",
    "summary": (
        "29 people wave, clap and drum in front of an event camera under three lights: movement, not pictures, "
        "tells the classes apart."
    ),
    "data": "dvsgesture",
    "T": 16,
    "sample_shape": [2, 32, 32],
    "classes": 11,
    "input_kind": "analog",
    "encoding": (
        "16 frames that hold equally many events, give or take one; 128 x 128 pixels counted together as 32 x 32; "
        "n events of a polarity become ln(1 + min(n, 255)) / ln(256), in [0, 1]"
    ),
    "split": (
        "official: users 1-23 train, 24-29 test, as tonic cuts them (1,077 / 264); validation a fixed stratified tenth "
        "of the training part (108), train 969"
    ),
    "defaults": {"framing": "by-number"},
    "variants": {
        "dvsgesture-by-time": {
            "title": "DVS128 Gesture, frames of equal duration",
            "summary": "The same recordings in 16 frames of equal duration, from the first event to the last.",
            "params": {"framing": "by-time"},
        }
    },
    "networks": {
        "mlp": {"hidden": [256]},
        "conv": {"channels": [32, 64, 128], "kernel_size": 3, "pool": 2},
        "feedback": {"channels": [32]},
        "hybrid-conv": {"channels": [32, 64, 128], "strides": [2, 2, 2], "window": 4, "head": [128]},
    },
    "budgets": {
        "smoke": {"epochs": 1, "batch_size": 16, "train_limit": 64, "test_limit": 32},
        "quick": {"epochs": 5, "batch_size": 16},
        "standard": {"epochs": 60, "batch_size": 16},
    },
    "citations": [
        {
            "authors": "A. Amir et al.",
            "title": "A Low Power, Fully Event-Based Gesture Recognition System",
            "venue": "CVPR",
            "year": 2017,
        }
    ],
    "notes": [
        "Counts of a frame reach hundreds, so they are neither clamped to 1 nor passed on as they are; the first layer "
        "multiplies.",
        "SpikingJelly cuts the recordings into 1,176 / 288 samples: figures on those are of another test part.",
    ],
}

MOST = 255


class DVSGestureFrames(Task):
    """Logarithms of counts."""

    def load(self, data_root: Path | None, seed: int) -> Split:  # noqa: ARG002
        """Read the recordings; the split is fixed. Inputs are ``[N, T, 2, 32, 32]``, counts up to 255."""
        recordings = dvsgesture.DVSGESTURE.recordings(resolve_root(data_root))
        _, height, width = self.card.sample_shape
        shape = (self.card.T, height, width)
        read = functools.partial(_read, side=width)
        framing, code = self.params["framing"], (dvsgesture.__file__, events.__file__, __file__)
        frames, labels, in_test = load_frames(self.card.name, recordings, read, framing, shape, code, MOST)
        return split_of(frames, labels, official(labels, in_test))

    def encode(self, inputs: Tensor) -> Tensor:
        """Return frame t at step t, ``[T, B, 2, 32, 32]``."""
        return steps_first(inputs).log1p() / math.log1p(MOST)


def _read(path: Path, side: int) -> Events:
    return shrunk(dvsgesture.read_events(path), dvsgesture.SIDE, side)
