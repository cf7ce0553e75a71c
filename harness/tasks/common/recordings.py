"""Recordings of an event camera, a file each, to frames: what the tasks on such files share.

Must not know how a file is read or where a frame ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.events import Events, Recording
from harness.tasks.common import event_frames
from harness.tasks.common.cache import remembered, signature

__all__ = ["load_frames"]


def load_frames(
    name: str,
    recordings: Sequence[Recording],
    read: Callable[[Path], Events],
    framing: str,
    shape: tuple[int, int, int],
    code: Iterable[str],
    most: int = 1,
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_]]:
    """Read every recording, or what was made of them before.

    Parameters
    ----------
    name : under which the frames are remembered.
    recordings : the files.
    read : gives the events of one.
    framing : one of `event_frames.FRAMINGS`.
    shape : number of frames, height and width.
    code : files of code that decide what `read` gives.
    most : largest count that a frame may hold; larger ones are clamped to it.

    Returns
    -------
    Counts ``[N, bins, 2, height, width]``; labels ``[N]``; and whether each is of the official test part, ``[N]``.

    Raises
    ------
    harness.errors.UserError
        If a recording is corrupt.
    """

    def make() -> NDArray[np.uint8]:
        bins, height, width = shape
        frames = np.empty((len(recordings), bins, 2, height, width), dtype=np.uint8)
        for slot, recording in zip(frames, recordings, strict=True):
            slot[:] = np.minimum(event_frames.frames(framing, read(recording.path), *shape), most)
        return frames

    labels = np.array([item.label for item in recordings], dtype=np.int64)
    in_test = np.array([item.part == "test" for item in recordings])
    decided_by = [*shape, framing, most, f"tonic {version('tonic')}", *(signature(item.path) for item in recordings)]
    return remembered(name, decided_by, (*code, event_frames.__file__, __file__), make), labels, in_test
