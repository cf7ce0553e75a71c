"""cifar10dvs: images of CIFAR-10 before an event camera, in ten frames."""

from __future__ import annotations

import functools
import math
from pathlib import Path

from torch import Tensor

from harness.data import cifar10dvs, events
from harness.data.base import data_root as resolve_root
from harness.data.events import Events, shrunk
from harness.tasks.common.base import Split, Task
from harness.tasks.common.encoding import steps_first
from harness.tasks.common.recordings import load_frames
from harness.tasks.common.split import official, split_of

CARD = {
    "name": "cifar10dvs",
    "kind": "task",
    "version": 1,
    "title": "CIFAR10-DVS",
    "summary": (
        "10,000 images of CIFAR-10, moved before an event camera. No split is official, and papers' splits "
        "differ by several points."
    ),
    "data": "cifar10dvs",
    "T": 10,
    "sample_shape": [2, 48, 48],
    "classes": 10,
    "input_kind": "analog",
    "encoding": (
        "10 frames that hold equally many events, give or take one; 128 x 128 pixels counted together as 48 x 48; "
        "n events of a polarity become ln(1 + min(n, 255)) / ln(256), in [0, 1]"
    ),
    "split": (
        "recordings 900-999 of each class test (1,000); validation a fixed stratified tenth of the rest (900), "
        "train 8,100"
    ),
    "defaults": {"framing": "by-number"},
    "variants": {
        "cifar10dvs-by-time": {
            "title": "CIFAR10-DVS, frames of equal duration",
            "summary": "The same recordings in 10 frames of equal duration, from the first event to the last.",
            "params": {"framing": "by-time"},
        }
    },
    "networks": {
        "mlp": {"hidden": [256]},
        "conv": {"channels": [32, 64, 128], "kernel_size": 3, "pool": 2},
        "feedback": {"channels": [32]},
        "hybrid-conv": {"channels": [32, 64, 128], "strides": [2, 2, 2], "window": 5, "head": [128]},
    },
    "budgets": {
        "smoke": {"epochs": 1, "batch_size": 16, "train_limit": 64, "test_limit": 32},
        "quick": {"epochs": 3, "batch_size": 32, "train_limit": 1000, "test_limit": 500},
        "standard": {"epochs": 60, "batch_size": 64},
    },
    "citations": [
        {
            "authors": "H. Li, H. Liu, X. Ji, G. Li, L. Shi",
            "title": "CIFAR10-DVS: An Event-Stream Dataset for Object Classification",
            "venue": "Frontiers in Neuroscience 11:309",
            "year": 2017,
            "doi": "10.3389/fnins.2017.00309",
        }
    ],
    "notes": [
        "Counts of a frame reach hundreds, so they are neither clamped to 1 nor passed on as they are; the first layer "
        "multiplies.",
        "The split is SpikingJelly's (the first nine tenths of each class train). Testing on the first tenth "
        "instead, as some papers do, gives clearly higher accuracy.",
        "No flip, roll or mixing: papers augment this set heavily.",
    ],
}

MOST = 255


class CIFAR10DVSFrames(Task):
    """Logarithms of counts."""

    def load(self, data_root: Path | None, seed: int) -> Split:  # noqa: ARG002
        """Read the recordings; the split is fixed. Inputs are ``[N, T, 2, 48, 48]``, counts up to 255."""
        recordings = cifar10dvs.CIFAR10DVS.recordings(resolve_root(data_root))
        _, height, width = self.card.sample_shape
        shape = (self.card.T, height, width)
        read = functools.partial(_read, side=width)
        framing, code = self.params["framing"], (cifar10dvs.__file__, events.__file__, __file__)
        frames, labels, in_test = load_frames(self.card.name, recordings, read, framing, shape, code, MOST)
        return split_of(frames, labels, official(labels, in_test))

    def encode(self, inputs: Tensor) -> Tensor:
        """Return frame t at step t, ``[T, B, 2, 48, 48]``."""
        return steps_first(inputs).log1p() / math.log1p(MOST)


def _read(path: Path, side: int) -> Events:
    return shrunk(cifar10dvs.read_events(path), cifar10dvs.SIDE, side)
