"""nmnist-1100: the first 1,000 + 100 recordings of N-MNIST in ten frames, cross-validated."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from harness.data import nmnist
from harness.data.base import data_root as resolve_root
from harness.data.nmnist import NMNIST_1100, SENSOR
from harness.tasks.common.base import Split, Task
from harness.tasks.common.encoding import steps_first
from harness.tasks.common.recordings import load_frames
from harness.tasks.common.split import cross_validated, split_of

CARD = {
    "name": "nmnist-1100",
    "kind": "task",
    "version": 1,
    "title": "N-MNIST, first 1,100",
    "summary": (
        "Real event-camera recordings in an amount that a laptop trains on: the first 1,000 + 100 of N-MNIST. The "
        "100 test recordings say little, so all 1,100 take their turn in the test part."
    ),
    "data": "nmnist-1100",
    "T": 10,
    "sample_shape": [2, 34, 34],
    "classes": 10,
    "input_kind": "events",
    "encoding": (
        "10 frames of equal duration from a recording's first event to its last; 1 where a pixel reported at least "
        "one event, so the first layer only accumulates; the variant by-number cuts at every tenth of the events"
    ),
    "split": (
        "5 fixed stratified folds over all 1,100; seed s tests on fold s mod 5 (220), validates on a tenth of the "
        "rest (88) and trains on 792: five seeds cover every recording"
    ),
    "defaults": {"framing": "by-time"},
    "variants": {
        "nmnist-1100-by-number": {
            "title": "N-MNIST, first 1,100, frames of equal number",
            "summary": "The same recordings in 10 frames that hold as many events as each other, give or take one.",
            "params": {"framing": "by-number"},
        }
    },
    "networks": {
        "mlp": {"hidden": [128]},
        "conv": {"channels": [16, 32], "kernel_size": 3, "pool": 2},
        "feedback": {"hidden": [128]},
        "hybrid-conv": {"channels": [16, 32, 32], "strides": [2, 2, 2], "window": 5, "head": [64]},
        "skip-mlp": {"hidden": [64, 64, 64, 64, 64], "depths": [4]},
        "skip-conv": {"channels": [8, 16, 16, 16, 16], "pools": [2, 1, 1, 1, 4], "depths": [4]},
    },
    "budgets": {
        "smoke": {"epochs": 1, "batch_size": 32, "train_limit": 96, "test_limit": 64},
        "quick": {"epochs": 8, "batch_size": 32, "learning_rate": 2e-3},
        "standard": {"epochs": 30, "batch_size": 32, "learning_rate": 2e-3},
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
    "notes": ["Not comparable with figures on all of N-MNIST: it trains on 792 recordings, not on 60,000."],
}

FOLDS = 5


class NMNISTFolds(Task):
    """Frames of 0 and 1, cross-validated."""

    def load(self, data_root: Path | None, seed: int) -> Split:
        """Read the recordings; `seed` chooses the fold. Inputs are ``[N, T, 2, 34, 34]``, 0 or 1."""
        recordings = NMNIST_1100.recordings(resolve_root(data_root))
        shape = (self.card.T, *SENSOR)
        framing = self.params["framing"]
        frames, labels, _ = load_frames(
            self.card.name, recordings, nmnist.read_events, framing, shape, (nmnist.__file__,)
        )
        return split_of(frames, labels, cross_validated(labels, FOLDS, seed % FOLDS))

    def encode(self, inputs: Tensor) -> Tensor:
        """Return frame t at step t, ``[T, B, 2, 34, 34]``."""
        return steps_first(inputs)
