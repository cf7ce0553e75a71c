"""CIFAR10-DVS: 10,000 images of CIFAR-10 before an event camera, in jAER's files as published.

Not read by tonic: its class wants a re-packed set in another format, in which orientation and polarity differ, and its
reader of the published format fails (1.7.0 unpacks a header of three values into two). Must not import torch.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.data.base import DataSet, FileVerdict, Presence, naming
from harness.data.events import Events, Recording, checked
from harness.errors import UserError

__all__ = ["CIFAR10DVS", "CLASSES", "SIDE", "Aedat2Set", "read_events"]

SIDE = 128
"""Pixels of the sensor in a row and in a column."""
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
IN_TRAIN = 0.9
"""Of each class, as SpikingJelly splits."""
BYTES_PER_EVENT = 8
ADDRESS_BITS = 15
"""A bit of polarity, seven of the row, seven of the column."""


@dataclass(frozen=True)
class Aedat2Set(DataSet):
    """Recordings in ``<class>/cifar10_<class>_<number>.aedat``; no part of them is officially the test part.

    Parameters
    ----------
    folders : where the set may lie below the data root.
    per_class : number of recordings of each class, counted from 0.
    """

    folders: tuple[str, ...] = ()
    per_class: int = 0

    def find(self, root: Path) -> Presence:
        """Look for a folder that holds enough recordings of every class."""
        lacking: tuple[str, ...] = ()
        for folder in (root / name for name in self.folders):
            found = Counter(item.label for item in self._listed(folder))
            if all(found[label] == self.per_class for label in range(len(CLASSES))):
                return Presence(self.name, True, folder, {"all": self.per_class * len(CLASSES)})
            if found or not lacking:
                lacking = tuple(
                    f"{folder / name}: {found[label]:,} of {self.per_class:,} recordings"
                    for label, name in enumerate(CLASSES)
                    if found[label] != self.per_class
                )
        return Presence(self.name, False, missing=lacking)

    def recordings(self, root: Path) -> tuple[Recording, ...]:
        """List the files class by class in the order of their numbers; the last tenth of each is called test.

        Raises
        ------
        UserError
            If the set is not below `root`.
        """
        return tuple(self._listed(self.require(root)))

    def verify(self, root: Path) -> tuple[FileVerdict, ...]:
        """Read every recording."""
        broken = []
        recordings = self.recordings(root)
        for item in recordings:
            try:
                read_events(item.path)
            except UserError as error:
                broken.append(FileVerdict(str(item.path), False, str(error.args[0])))
        whole = f"{len(recordings) - len(broken):,} of {len(recordings):,} files can be read"
        return (*broken, FileVerdict(str(self.require(root)), not broken, whole))

    def _listed(self, folder: Path) -> list[Recording]:
        there = set(folder.glob("*/*.aedat"))  # one look at each folder, not at 10,000 files
        return [
            Recording(path, "train" if number < IN_TRAIN * self.per_class else "test", number, label)
            for label, name in enumerate(CLASSES)
            for number in range(self.per_class)
            if (path := folder / name / f"cifar10_{name}_{number}.aedat") in there
        ]


CIFAR10DVS = Aedat2Set(
    name="cifar10dvs",
    title="CIFAR10-DVS",
    licence="CC BY 4.0",
    source="Li, Liu, Ji, Li, Shi, Frontiers in Neuroscience 11:309, 2017; https://doi.org/10.6084/m9.figshare.4724671",
    how_to_get=(
        "download airplane.zip ... truck.zip from https://doi.org/10.6084/m9.figshare.4724671 and unpack the ten into "
        "CIFAR10DVS/ (not tonic's re-packed aedat4 files: their orientation and polarity differ)"
    ),
    layout="CIFAR10DVS/ with airplane/cifar10_airplane_0.aedat ... truck/cifar10_truck_999.aedat",
    folders=("CIFAR10DVS", "CIFAR10DVS/extract", "cifar10dvs"),
    per_class=1_000,
)


def read_events(path: Path) -> Events:
    """Read one recording, upright, with ON as 1, as jAER and SpikingJelly show it.

    Pairs of a big-endian address and microseconds: bit 0 is 0 for ON, bits 1-7 are the row and 8-14 the column, both
    counted from the far corner. Events that a camera's buffer delivered late are put in their place.

    Raises
    ------
    UserError
        If the file is not a whole AEDAT 2.0 file, or an address is none of this camera's.
    """
    hint = "unpack the published archive of its class again; 'spikeboard data verify' checks every file"
    with naming(path, "a recording of CIFAR10-DVS", hint):
        data = path.read_bytes()
        start = _header_bytes(data)
        address, t = np.frombuffer(data, dtype=">u4", offset=start).reshape(-1, 2).astype(np.int64).T
        if np.any(address >> ADDRESS_BITS):
            raise ValueError(f"an address has more than {ADDRESS_BITS} bits")
        order = np.argsort(t, kind="stable")
        address, t = address[order], t[order]
        last = SIDE - 1
        upright = Events(t, last - (address >> 8 & last), last - (address >> 1 & last), 1 - (address & 1))
        return checked(upright, SIDE, SIDE)


def _header_bytes(data: bytes) -> int:
    """Return where the events begin."""
    start = 0
    while data[start : start + 1] == b"#" and (end := data.find(b"\n", start)) >= 0:  # an address begins with a 0
        start = end + 1
    rest = len(data) - start
    if not data.startswith(b"#!AER-DAT2.") or data[start : start + 1] == b"#" or rest % BYTES_PER_EVENT:
        raise ValueError(
            f"it begins with {data[:12]!r}, and {rest:,} bytes follow the header (an event has {BYTES_PER_EVENT})"
        )
    return start
