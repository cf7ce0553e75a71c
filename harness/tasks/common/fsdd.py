"""What the tasks on FSDD share: 800 ms of each recording's events in 40 frames, and who is tested.

Must not know how sound becomes events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.events import Events
from harness.data.fsdd import FSDD, SPEAKERS, TEST_TAKES, read_wave
from harness.tasks.common import audio, event_frames
from harness.tasks.common.base import Split
from harness.tasks.common.cache import remembered, signature
from harness.tasks.common.split import official, split_of

__all__ = ["STOP_S", "frames_of", "load_spoken"]

STOP_S = 0.8
"""What comes later is not heard: the end of 2 % of the recordings. Most are shorter and end in silence."""
TOGETHER = 100
"""Recordings that are made into events at once."""

Hear = Callable[[Sequence[NDArray[np.int16]]], Iterable[Events]]


def load_spoken(
    name: str, root: Path, shape: tuple[int, int], hear: Hear, code: str, held_out_speaker: int | None
) -> Split:
    """Read every recording and make it into frames; `name` is what they are remembered by.

    Parameters
    ----------
    shape : number of frames and of channels: `BANDS` of ON events, or twice as many, OFF before ON.
    hear : makes sounds into events, one each; x is the channel.
    code : the file that `hear` lies in.
    held_out_speaker : number of the speaker who is the test part; None: takes 0 to 4 of everybody, officially.

    Returns
    -------
    A split whose inputs are counts ``[N, *shape]``.

    Raises
    ------
    harness.errors.UserError
        If the set is missing or a recording is corrupt.
    """
    recordings = FSDD.recordings(root)

    def make() -> NDArray[np.uint8]:
        frames = np.empty((len(recordings), *shape), dtype=np.uint8)
        for start in range(0, len(recordings), TOGETHER):
            sounds = [read_wave(item.path) for item in recordings[start : start + TOGETHER]]
            for number, events in enumerate(hear(sounds), start):
                frames[number] = frames_of(events, *shape)
        return frames

    decided_by = [*shape, *(signature(item.path) for item in recordings)]
    frames = remembered(name, decided_by, (audio.__file__, event_frames.__file__, __file__, code), make)
    labels = np.array([item.digit for item in recordings], dtype=np.int64)
    if held_out_speaker is None:
        in_test = np.array([item.take < TEST_TAKES for item in recordings])
    else:
        in_test = np.array([item.speaker == SPEAKERS[held_out_speaker] for item in recordings])
    return split_of(frames, labels, official(labels, in_test))


def frames_of(events: Events, bins: int, channels: int) -> NDArray[np.uint8]:
    """Count the events before `STOP_S` in frames of equal duration, ``[bins, channels]``.

    With one channel for each band there may be ON events only; with two, the OFF channels come first.
    """
    stop = round(STOP_S * 1_000_000)
    heard = np.asarray(events.t) < stop
    kept = Events(*(np.asarray(column)[heard] for column in events))
    polarities = channels // audio.BANDS
    counts = event_frames.frames_by_time(kept, bins, 1, audio.BANDS, start=0, stop=stop)[:, -polarities:]
    return np.minimum(counts, 255).astype(np.uint8).reshape(bins, channels)
