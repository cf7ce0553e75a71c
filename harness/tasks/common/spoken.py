"""What the tasks on SHD and SSC share: spikes of 700 channels to counts of 140 groups in 10 ms frames.

Must not know which words are spoken.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.events import Events
from harness.data.heidelberg import CHANNELS, SpokenSpikes, read_labels, read_part
from harness.errors import UserError
from harness.tasks.common import event_frames

__all__ = ["GROUP", "load_frames"]

GROUP = 5
"""Neighbouring channels that are added up."""
FRAME_US = 10_000


def load_frames(data: SpokenSpikes, root: Path, part: str, bins: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read an official part.

    Returns
    -------
    Counts ``[N, bins, 140]`` of the spikes before ``bins`` times 10 ms (no count passes 255), and words ``[N]``.

    Raises
    ------
    harness.errors.UserError
        If the set is missing or a file is not what it should be.
    """
    labels = read_labels(data, root, part)
    frames = np.empty((len(labels), bins, CHANNELS // GROUP), dtype=np.uint8)
    filled = 0
    for events in read_part(data, root, part):
        if filled < len(frames):
            frames[filled] = _counts(events, bins)
        filled += 1
    if filled != len(labels):
        raise UserError(
            f"{data.path(data.require(root), part)}: {filled:,} samples, {len(labels):,} labels",
            f"remove it and fetch the set again: spikeboard data fetch {data.name}",
        )
    return frames, labels


def _counts(events: Events, bins: int) -> NDArray[np.uint8]:
    heard = events.t < bins * FRAME_US
    t, x, y, p = (column[heard] for column in events)
    grouped = Events(t, x // GROUP, y, p)
    counts = event_frames.frames_by_time(grouped, bins, 1, CHANNELS // GROUP, start=0, stop=bins * FRAME_US)
    return np.minimum(counts[:, 1, 0], 255).astype(np.uint8)
