"""nmnist: all of N-MNIST in ten frames."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from harness.data import nmnist
from harness.data.base import data_root as resolve_root
from harness.data.nmnist import NMNIST, SENSOR
from harness.tasks.common.base import Split, Task
from harness.tasks.common.encoding import steps_first
from harness.tasks.common.recordings import load_frames
from harness.tasks.common.split import official, split_of

CARD = {
    "name": "nmnist",
    "kind": "task",
    "version": 1,
    "title": "N-MNIST",
    "summary": "60,000 + 10,000 recordings of MNIST's digits by an event camera that made three saccades.",
    "data": "nmnist",
    "T": 10,
    "sample_shape": [2, 34, 34],
    "classes": 10,
    "input_kind": "events",
    "encoding": (
        "10 frames of equal duration from a recording's first event to its last; 1 where a pixel reported at least "
        "one event, so the first layer only accumulates; the variant by-number cuts at every tenth of the events"
    ),
    "split": "official test part (10,000); validation a fixed stratified tenth of the official training part (6,000)",
    "defaults": {"framing": "by-time"},
    "variants": {
        "nmnist-by-number": {
            "title": "N-MNIST, frames of equal number",
            "summary": "The same recordings in 10 frames that hold as many events as each other, give or take one.",
            "params": {"framing": "by-number"},
        }
    },
    "networks": {
        "mlp": {"hidden": [400]},
        "conv": {"channels": [16, 32], "kernel_size": 3, "pool": 2},
        "feedback": {"hidden": [400]},
        "hybrid-conv": {"channels": [16, 32, 32], "strides": [2, 2, 2], "window": 5, "head": [64]},
        "skip-mlp": {"hidden": [128, 128, 128, 128, 128], "depths": [4]},
        "skip-conv": {"channels": [8, 16, 16, 16, 16], "pools": [2, 1, 1, 1, 4], "depths": [4]},
    },
    "budgets": {
        "smoke": {"epochs": 1, "batch_size": 32, "train_limit": 128, "test_limit": 64},
        "quick": {"epochs": 4, "batch_size": 64, "learning_rate": 2e-3, "train_limit": 4000, "test_limit": 2000},
        "standard": {"epochs": 15, "batch_size": 128},
    },
    "citations": [
        {
            "authors": "G. Orchard, A. Jayawant, G. K. Cohen, N. Thakor",
            "title": "Converting static image datasets to spiking neuromorphic datasets using saccades",
            "venue": "Frontiers in Neuroscience 9:437",
            "year": 2015,
            "arxiv": "1507.07629",
            "doi": "10.3389/fnins.2015.00437",
        }
    ],
    "notes": [
        "The frames of a data root are made once, which takes some minutes, and kept beside the default data root."
    ],
}


class NMNISTFrames(Task):
    """Frames of 0 and 1."""

    def load(self, data_root: Path | None, seed: int) -> Split:  # noqa: ARG002
        """Read the recordings; the split is fixed. Inputs are ``[N, T, 2, 34, 34]``, 0 or 1."""
        recordings = NMNIST.recordings(resolve_root(data_root))
        shape = (self.card.T, *SENSOR)
        framing = self.params["framing"]
        frames, labels, in_test = load_frames(
            self.card.name, recordings, nmnist.read_events, framing, shape, (nmnist.__file__,)
        )
        return split_of(frames, labels, official(labels, in_test))

    def encode(self, inputs: Tensor) -> Tensor:
        """Return frame t at step t, ``[T, B, 2, 34, 34]``."""
        return steps_first(inputs)
