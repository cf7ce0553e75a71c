"""Tasks whose target is a signal: equal trials, each begun by a cue, of a function of the time in the trial.

A network learns to go through the signal when cued; trials follow one another without a pause. Must not know which
function it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from harness.catalogue.cards import TaskCard
from harness.tasks.common.base import Samples, Split

__all__ = ["CUE_SECONDS", "signal_split"]

CUE_SECONDS = 0.05
TRAINING_TRIALS, TEST_TRIALS = 105, 51
"""Those of the full-FORCE scripts: 100 after 5 of warm-up, 50 after one to settle in."""

Signal = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def signal_split(card: TaskCard, signal: Signal) -> Split:
    """Return trials of `signal`: inputs ``[N, T, 1]`` (1 during the cue), targets ``[N, T, 1]``; none to validate.

    All trials are equal, so they are views of one.
    """
    assert card.step_seconds is not None
    time = np.arange(card.T, dtype=np.float64) * np.float64(card.step_seconds)
    values = signal(time).astype(np.float32)[:, None]
    cue = (time < CUE_SECONDS).astype(np.float32)[:, None]
    # Sines differ in their last bits between machines; the digest must not.
    digest = hashlib.sha256(np.round(values * 1e5).astype("<i4").tobytes()).hexdigest()

    def trials(count: int) -> Samples:
        shape = (count, card.T, 1)
        return Samples(torch.from_numpy(cue).expand(shape), torch.from_numpy(values).expand(shape))

    return Split(trials(TRAINING_TRIALS), trials(0), trials(TEST_TRIALS), digest)
