"""MVSEC: recordings of two DAVIS346 with frames, and optical flow worked out from depth and motion, in HDF5.

``<sequence>_data.hdf5`` holds ``davis/left/events`` (column, row, seconds, polarity -1 or 1), ``image_raw`` and
``image_raw_ts``; ``<sequence>_gt.hdf5`` holds ``davis/left/flow_dist`` and its ``flow_dist_ts``. The names inside are
from memory of the published files; a file that lacks one is refused with its name. Must not import torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.base import DataSet, FileVerdict, Presence, naming
from harness.data.events import Events, checked, whole_numbers
from harness.errors import UserError

__all__ = ["HEIGHT", "MVSEC", "WIDTH", "MVSECSet", "read_events", "read_flow", "read_frames"]

WIDTH, HEIGHT = 346, 260
FOLDERS = ("MVSEC", "mvsec")
DATA, TRUTH = "_data.hdf5", "_gt.hdf5"
LEFT = "davis/left"
HINT = "fetch the sequence's HDF5 files again (daniilidis-group.github.io/mvsec)"
LARGEST_FLOW = 1e4
"""Pixels: no sensor is as wide."""


@dataclass(frozen=True)
class MVSECSet(DataSet):
    """Sequences of which both files lie below the data root."""

    def sequences(self, root: Path) -> tuple[str, ...]:
        """Return the name of every sequence.

        Raises
        ------
        UserError
            If there is none.
        """
        return tuple(_sequences(self.require(root)))

    def find(self, root: Path) -> Presence:
        """Look for sequences in each of the folders."""
        for folder in FOLDERS:
            if found := _sequences(root / folder):
                return Presence(self.name, True, root / folder, {"sequences": len(found)})
        lacking = root / FOLDERS[0]
        return Presence(self.name, False, missing=(f"{lacking}/<sequence>{DATA} and <sequence>{TRUTH}",))

    def verify(self, root: Path) -> tuple[FileVerdict, ...]:
        """Read every sequence; that takes long, and the memory of the largest."""
        where = self.require(root)
        return tuple(_verdict(where, sequence) for sequence in self.sequences(root))


MVSEC = MVSECSet(
    name="mvsec",
    title="Multi Vehicle Stereo Event Camera data set (MVSEC)",
    licence="CC BY-SA 4.0",
    source="Zhu et al., The Multi Vehicle Stereo Event Camera Dataset, IEEE RA-L 3(3), 2018",
    how_to_get="fetch <sequence>_data.hdf5 and <sequence>_gt.hdf5 from daniilidis-group.github.io/mvsec into MVSEC/",
    layout="MVSEC/ with <sequence>_data.hdf5 and <sequence>_gt.hdf5",
)


def read_events(folder: Path, sequence: str) -> tuple[Events, float]:
    """Read the events of the left camera.

    Returns
    -------
    Events in microseconds since the first of them, and the time of that in the file's seconds (Unix time).

    Raises
    ------
    UserError
        If the file is none of MVSEC's, or an event lies off the 346 x 260 sensor, at no time or out of order.
    """
    path = folder / f"{sequence}{DATA}"
    with _opened(path, "events") as file:
        table = _table(file, "events")
        if table.ndim != 2 or table.shape[1] != 4 or not len(table):
            raise ValueError(f"{LEFT}/events has the shape {table.shape}, not [events, 4]")
        x, y = whole_numbers(table[:, :2], "places").T
        signs = whole_numbers(table[:, 3], "polarities")
        if np.any(np.abs(signs) != 1):
            raise ValueError("a polarity is neither -1 nor 1")
        start = float(table[0, 2])
        t = _microseconds(table[:, 2], start)
        return checked(Events(t, x, y, (signs + 1) // 2), HEIGHT, WIDTH), start


def read_frames(folder: Path, sequence: str, start: float) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Read the grey frames of the left camera: microseconds since `start` ``[K]``, and frames ``[K, 260, 346]``.

    Raises
    ------
    UserError
        If the file is none of MVSEC's, or times go backwards.
    """
    path = folder / f"{sequence}{DATA}"
    with _opened(path, "frames") as file:
        frames, times = _table(file, "image_raw"), _table(file, "image_raw_ts")
        if frames.dtype != np.uint8 or frames.shape != (len(times), HEIGHT, WIDTH):
            raise ValueError(f"{LEFT}/image_raw is {frames.dtype} {frames.shape} at {len(times)} times")
        return _forwards(_microseconds(times, start)), frames


def read_flow(folder: Path, sequence: str, start: float) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Read the true flow of the left camera.

    Returns
    -------
    Microseconds since `start` ``[K]``, and the way in pixels to the next of these times, ``[K, 2, 260, 346]``, x before
    y; 0 or nan where there is none, as papers leave out.

    Raises
    ------
    UserError
        If the file is none of MVSEC's, times go backwards, or a way is of no sensor's size.
    """
    path = folder / f"{sequence}{TRUTH}"
    with _opened(path, "flow") as file:
        flow, times = _table(file, "flow_dist"), _table(file, "flow_dist_ts")
        if flow.dtype.kind != "f" or flow.shape != (len(times), 2, HEIGHT, WIDTH):
            raise ValueError(f"{LEFT}/flow_dist is {flow.dtype} {flow.shape} at {len(times)} times")
        if np.nanmax(np.abs(flow), initial=0.0) > LARGEST_FLOW:
            raise ValueError(f"a way of more than {LARGEST_FLOW:g} pixels")
        return _forwards(_microseconds(times, start)), flow.astype(np.float32)


@contextmanager
def _opened(path: Path, what: str) -> Iterator[Any]:
    import h5py  # imported here, as everything heavy that only a task with these files needs

    with naming(path, f"an MVSEC file with {what}", HINT), h5py.File(path, "r") as file:
        yield file


def _table(file: Any, name: str) -> NDArray[Any]:
    if f"{LEFT}/{name}" not in file:
        raise ValueError(f"it has no {LEFT}/{name}")
    return np.asarray(file[f"{LEFT}/{name}"][()])


def _microseconds(seconds: NDArray[np.float64], start: float) -> NDArray[np.int64]:
    # From the first event on: doubles of Unix time resolve a quarter of a microsecond.
    since = np.asarray(seconds, dtype=np.float64) - start
    if since.ndim != 1 or not np.all(np.isfinite(since)) or np.any(np.abs(since) > 1e6):
        raise ValueError("times are no list of seconds within twelve days of the first event")
    return np.rint(since * 1e6).astype(np.int64)


def _forwards(times: NDArray[np.int64]) -> NDArray[np.int64]:
    if np.any(np.diff(times) <= 0):
        raise ValueError("a time is no later than the one before it")
    return times


def _sequences(folder: Path) -> list[str]:
    names = (path.name.removesuffix(DATA) for path in folder.glob(f"*{DATA}"))
    return sorted(name for name in names if (folder / f"{name}{TRUTH}").is_file())


def _verdict(folder: Path, sequence: str) -> FileVerdict:
    try:
        events, start = read_events(folder, sequence)
        frames, _ = read_frames(folder, sequence, start)
        flows, _ = read_flow(folder, sequence, start)
    except UserError as error:
        return FileVerdict(str(folder / sequence), False, str(error.args[0]))
    said = f"{len(events.t):,} events, {len(frames):,} frames, {len(flows):,} flow fields"
    return FileVerdict(str(folder / sequence), True, said)
