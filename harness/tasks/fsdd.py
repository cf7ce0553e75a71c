"""fsdd, fsdd-rate: spoken digits as level crossings of a mel spectrogram, or as spikes of hair cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from harness.data.base import data_root as resolve_root
from harness.data.events import Events
from harness.data.fsdd import SPEAKERS
from harness.tasks.common.audio import hair_cells, level_crossings
from harness.tasks.common.base import Split, Task
from harness.tasks.common.encoding import steps_first
from harness.tasks.common.fsdd import STOP_S, Hear, load_spoken

CARD = {
    "name": "fsdd",
    "kind": "task",
    "version": 1,
    "title": "Spoken digits, level crossings",
    "summary": (
        "Six people say the digits, in real time: a spike says that a frequency band became louder or softer. What is "
        "said shows over half a second, so the score tells what a neuron keeps of the past."
    ),
    "data": "fsdd",
    "T": 40,
    "sample_shape": [64],
    "classes": 10,
    "input_kind": "events",
    "encoding": (
        "32 mel bands of 50-3,800 Hz, one ON or OFF event for each whole number that ln(energy) passes between "
        "windows 10 ms apart; 40 frames of 20 ms, counts; 32 OFF channels, then 32 ON; what follows 800 ms is cut"
    ),
    "split": (
        "official: takes 0-4 test (300); validation a fixed stratified tenth of the rest (270), train 2,430; the "
        "variant speakers: seed s tests on speaker s mod 6 (500), validation 250, train 2,250"
    ),
    "defaults": {"code": "level-crossings", "leave_out_speakers": False},
    "variants": {
        "fsdd-speakers": {
            "title": "Spoken digits, level crossings, unheard speakers",
            "summary": "Tests on a speaker whom the network never heard, another one for each of six seeds.",
            "params": {"leave_out_speakers": True},
        },
        "fsdd-rate": {
            "title": "Spoken digits, hair cells",
            "summary": (
                "The same recordings as spikes of one hair cell a band, which fires the faster the louder its band "
                "is: the rate at a time tells the sound of that time."
            ),
            "params": {"code": "hair-cells"},
            "overrides": {
                "sample_shape": [32],
                "encoding": (
                    "32 Butterworth bands, mel-spaced in 50-3,800 Hz; half-wave rectified, square root, x 0.3, into "
                    "LIF cells (tau 10 ms, soft reset, threshold 1) at 8 kHz; 40 frames of 20 ms, counts; what follows "
                    "800 ms is cut"
                ),
            },
        },
        "fsdd-rate-speakers": {
            "title": "Spoken digits, hair cells, unheard speakers",
            "summary": "Tests on a speaker whom the network never heard, another one for each of six seeds.",
            "of": "fsdd-rate",
            "params": {"leave_out_speakers": True},
        },
    },
    "networks": {"mlp": {"hidden": [128]}, "feedback": {"hidden": [128]}},
    "budgets": {
        "smoke": {"epochs": 1, "batch_size": 64, "learning_rate": 5e-3, "train_limit": 256, "test_limit": 128},
        "quick": {"epochs": 3, "batch_size": 128, "learning_rate": 1e-2},
        # 760 updates: at a cosine of 0.03 LIF is at its best in epoch 26 of 40, PLIF in epoch 28.
        "standard": {"epochs": 40, "batch_size": 128, "learning_rate": 1e-2},
    },
    "citations": [
        {
            "authors": "Z. Jackson and contributors",
            "title": "Free Spoken Digit Dataset",
            "venue": "GitHub, Jakobovski/free-spoken-digit-dataset",
            "year": 2016,
        }
    ],
    "notes": [
        "The official split mixes speakers, so it mostly tests remembered voices; the variants speakers do not.",
        "Speakers differ much in how hard they are: compare rows of those variants over the same seeds only.",
        "The spikes of hair cells are made once, which takes half a minute, and kept beside the default data root.",
    ],
}


def _crossings(sounds: Sequence[NDArray[np.int16]]) -> Iterable[Events]:
    return map(level_crossings, sounds)


def _hair_cells(sounds: Sequence[NDArray[np.int16]]) -> Iterable[Events]:
    return hair_cells(sounds, STOP_S)


CODES: Mapping[str, Hear] = {"level-crossings": _crossings, "hair-cells": _hair_cells}


class SpokenDigitsTask(Task):
    """Counts of level crossings, or of hair cells' spikes."""

    def load(self, data_root: Path | None, seed: int) -> Split:
        """Read the recordings; `seed` chooses the speaker if one is left out. Inputs are counts ``[N, T, C]``."""
        speaker = seed % len(SPEAKERS) if self.params["leave_out_speakers"] else None
        shape = (self.card.T, self.card.sample_shape[0])
        code = self.params["code"]
        name = f"{self.card.name}-{code}"
        return load_spoken(name, resolve_root(data_root), shape, CODES[code], __file__, speaker)

    def encode(self, inputs: Tensor) -> Tensor:
        """Return frame t at step t, OFF channels before ON where there are both, ``[T, B, C]``."""
        return steps_first(inputs)
