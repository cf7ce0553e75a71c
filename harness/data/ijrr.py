"""The Event-Camera Dataset and Simulator ("IJRR"): recordings of a DAVIS240C with its grey frames, as text and PNG.

A folder for each sequence holds ``events.txt`` (time in seconds, column, row, polarity, one event a line),
``images.txt`` (time, file) and ``images/``. Must not import torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from harness.data.base import DataSet, FileVerdict, Presence, naming
from harness.data.events import LATEST_US, Events, checked, whole_numbers
from harness.errors import UserError

__all__ = ["HEIGHT", "IJRR", "WIDTH", "IJRRSet", "read_events", "read_frames"]

WIDTH, HEIGHT = 240, 180
FOLDERS = ("IJRR", "ijrr")
HINT = "unpack the sequence's text archive again (rpg.ifi.uzh.ch/davis_data.html)"


@dataclass(frozen=True)
class IJRRSet(DataSet):
    """Sequences that lie below the data root; every folder with both text files is one."""

    def sequences(self, root: Path) -> tuple[Path, ...]:
        """Return the folder of every sequence, by name.

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
        lacking = root / FOLDERS[0] / "<sequence>"
        return Presence(self.name, False, missing=(f"{lacking}/events.txt, images.txt and images/",))

    def verify(self, root: Path) -> tuple[FileVerdict, ...]:
        """Read every sequence."""
        return tuple(_verdict(folder) for folder in self.sequences(root))


IJRR = IJRRSet(
    name="ijrr",
    title="Event-Camera Dataset and Simulator (IJRR)",
    licence="CC BY-NC-SA 3.0",
    source="Mueggler et al., The Event-Camera Dataset and Simulator, IJRR 36(2), 2017",
    how_to_get="unpack sequences (text) from rpg.ifi.uzh.ch/davis_data.html into IJRR/<sequence>/",
    layout="IJRR/<sequence>/ with events.txt, images.txt and images/",
)


def read_events(folder: Path) -> Events:
    """Read the events of a sequence; times are microseconds from the file's own zero.

    Raises
    ------
    UserError
        If the file is no such table, or an event lies off the 240 x 180 sensor, at no time or out of order.
    """
    import pandas as pd  # imported here: listing data sets needs none

    path = folder / "events.txt"
    with naming(path, "events of an IJRR sequence", HINT):
        table = pd.read_csv(path, sep=r"\s+", header=None, dtype=np.float64).to_numpy()
        if table.ndim != 2 or table.shape[1] != 4:
            raise ValueError(f"{table.shape[1]} columns, not time, column, row and polarity")
        x, y, p = whole_numbers(table[:, 1:], "places and polarities").T
        return checked(Events(_microseconds(table[:, 0]), x, y, p), HEIGHT, WIDTH)


def read_frames(folder: Path) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Read the grey frames of a sequence.

    Returns
    -------
    Times ``[K]`` in microseconds from the same zero as those of events, and frames ``[K, 180, 240]``.

    Raises
    ------
    UserError
        If the list is none, its times go backwards, it names a file outside of the sequence, or one that is no grey
        picture of that size.
    """
    path = folder / "images.txt"
    with naming(path, "the list of an IJRR sequence's frames", HINT):
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        if not lines or any(len(line) != 2 for line in lines):
            raise ValueError("a line has other than a time and a file, or there is none")
        times = _microseconds(np.array([float(line[0]) for line in lines]))
        if np.any(np.diff(times) <= 0):
            raise ValueError("a frame comes no later than the one before it")
        names = [PurePosixPath(line[1]) for line in lines]
        if any(name.is_absolute() or ".." in name.parts for name in names):
            raise ValueError("it names a file outside of the sequence's folder")
    return times, np.stack([_picture(folder / name) for name in names])


def _picture(path: Path) -> NDArray[np.uint8]:
    from PIL import Image  # imported here, as everything that only a task with these files needs

    with naming(path, "a frame of an IJRR sequence", HINT), Image.open(path) as picture:
        if picture.size != (WIDTH, HEIGHT):
            raise ValueError(f"{picture.size[0]} x {picture.size[1]} pixels, not {WIDTH} x {HEIGHT}")
        if picture.mode != "L":
            raise ValueError(f"a picture of mode {picture.mode}, not of 8 bits of grey")
        return np.asarray(picture, dtype=np.uint8)


def _microseconds(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    if not np.all(np.isfinite(seconds)) or np.any(np.abs(seconds) > LATEST_US / 1e6):
        raise ValueError("a time is no number of seconds, or of twelve days and more")
    return np.rint(seconds * 1e6).astype(np.int64)


def _sequences(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob("*/events.txt") if (path.parent / "images.txt").is_file())


def _verdict(folder: Path) -> FileVerdict:
    try:
        events, (times, _) = read_events(folder), read_frames(folder)
    except UserError as error:
        return FileVerdict(str(folder), False, str(error.args[0]))
    return FileVerdict(str(folder), True, f"{len(events.t):,} events, {len(times):,} frames")
