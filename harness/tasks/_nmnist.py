"""What both N-MNIST tasks share: recordings to frames of 0 and 1."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data import nmnist
from harness.data.nmnist import SENSOR, EventSet, Recording
from harness.tasks import _frames
from harness.tasks._cache import remembered

__all__ = ["load_frames"]


def load_frames(
    data: EventSet, root: Path, bins: int, framing: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_]]:
    """Read every recording of `data`; `framing` is one of `_frames.FRAMINGS`.

    Returns
    -------
    Frames ``[N, bins, 2, 34, 34]``, 1 where a pixel reported at least one event of that polarity; labels ``[N]``;
    and whether each sample is of the official test part, ``[N]``.

    Raises
    ------
    harness.errors.UserError
        If the set is missing or a recording is corrupt.
    """
    recordings = data.recordings(root)

    def make() -> NDArray[np.uint8]:
        frames = np.empty((len(recordings), bins, 2, *SENSOR), dtype=np.uint8)
        for slot, recording in zip(frames, recordings, strict=True):
            events = nmnist.read_events(recording.path)
            slot[:] = np.minimum(_frames.frames(framing, events, bins, *SENSOR), 1)
        return frames

    labels = np.array([item.label for item in recordings], dtype=np.int64)
    in_test = np.array([item.part == "test" for item in recordings])
    decided_by = [bins, framing, f"tonic {version('tonic')}", *(_signature(item) for item in recordings)]
    frames = remembered(data.name, decided_by, (nmnist.__file__, _frames.__file__, __file__), make)
    return frames, labels, in_test


def _signature(recording: Recording) -> str:
    """Return a text that changes when the file does; hashing every file would take as long as reading them all."""
    status = recording.path.stat()
    return f"{recording.path} {status.st_size} {status.st_mtime_ns}"
