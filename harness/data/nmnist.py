"""N-MNIST: MNIST's digits seen by an event camera that made three saccades; the whole set, or its first 1,100.

Both sets lie as tonic lays them out, a file per recording, and are read by tonic. What becomes of the events is the
tasks' business.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.data.base import DataSet, FileVerdict, Presence, Progress, naming, staging
from harness.data.events import Events, Recording, checked

__all__ = ["NMNIST", "NMNIST_1100", "SENSOR", "EventSet", "read_events"]

SENSOR = (34, 34)
"""Height and width, pixels."""
PARTS = {"train": "Train", "test": "Test"}
BYTES_PER_EVENT = 5
HINT = "replace it by the file of the same name from N-MNIST; 'spikeboard data verify' checks every file"
PER_LABEL = {
    "train": (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    "test": (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
}
FIRST_1100 = {"train": (97, 116, 99, 93, 105, 92, 94, 117, 87, 100), "test": (8, 14, 8, 11, 14, 7, 10, 15, 2, 11)}
FIRST_1100_SHA256 = "1c12e942ad32026622316c0ee2ddc9a1813837831fe290824f8b3be7a2f4a6f4"
"""Of the lines "<SHA-256 of the file>  ./Train/5/00001.bin", in byte order of the names."""

Download = Callable[[Path, Progress], None]
"""Puts ``NMNIST/`` with ``Train/`` and ``Test/`` into a folder."""


@dataclass(frozen=True)
class EventSet(DataSet):
    """Recordings in ``{Train,Test}/<label>/<number>.bin``, the first so many of each part.

    Parameters
    ----------
    folders : where the set may lie below the data root.
    per_label : number of recordings of each label, by part; a folder that holds more is fine.
    """

    folders: tuple[str, ...] = ()
    per_label: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of recordings of each part."""
        return {part: sum(numbers) for part, numbers in self.per_label.items()}

    def find(self, root: Path) -> Presence:
        """Look for a folder that holds enough recordings of both parts."""
        lacking: tuple[str, ...] = ()
        for folder in (root / name for name in self.folders):
            found = _counts(self._select(folder))
            if found == self.counts:
                return Presence(self.name, True, folder, found)
            if any(found.values()) or not lacking:
                lacking = tuple(
                    f"{folder / PARTS[part]}: {found[part]:,} of {wanted:,} recordings"
                    for part, wanted in self.counts.items()
                )
        return Presence(self.name, False, missing=lacking)

    def recordings(self, root: Path) -> tuple[Recording, ...]:
        """List the set's files, training part first, in MNIST's order: the number is the digit's, from 1.

        Raises
        ------
        UserError
            If the set is not below `root`.
        """
        return tuple(self._select(self.require(root)))

    def verify(self, root: Path) -> tuple[FileVerdict, ...]:
        """Check every file's form, the number of recordings of each label, and the digest of the first 1,000 + 100."""
        folder = self.require(root)
        recordings = self._select(folder)
        broken = [FileVerdict(str(item.path), False, why) for item in recordings if (why := _malformed(item.path))]
        whole = f"{len(recordings) - len(broken):,} of {len(recordings):,} files are whole"
        labels = {part: tuple(_tally(item.label for item in recordings if item.part == part)) for part in PARTS}
        found = _listing_digest(folder, _first(recordings, NMNIST_1100.counts))
        return (
            *broken,
            FileVerdict(str(folder), not broken, whole),
            FileVerdict(f"{folder}, labels", labels == self.per_label, f"recordings of each label: {labels}"),
            FileVerdict(f"{folder}, first 1,000 + 100", found == FIRST_1100_SHA256, f"SHA-256 of the list is {found}"),
        )

    def _select(self, folder: Path) -> list[Recording]:
        return _first(_listed(folder), self.counts)


def _with_tonic(folder: Path, progress: Progress) -> None:
    from tonic.datasets import NMNIST as TONIC

    progress(0.0, "downloading the training recordings (1.0 GB)")
    TONIC(str(folder), train=True)
    progress(0.75, "downloading the test recordings (0.2 GB)")
    TONIC(str(folder), train=False)


@dataclass(frozen=True)
class WholeSet(EventSet):
    """The set as published, which tonic can download."""

    download: Download = _with_tonic

    def _download(self, root: Path, progress: Progress) -> None:
        """Unpack in a temporary folder, check counts and digest, and only then put the set in place."""
        name = self.folders[0]
        if (root / name).exists():
            raise ValueError(f"{root / name} is there but incomplete; remove or rename it")
        with staging(root) as folder:
            self.download(folder, progress)
            progress(0.9, "checking")
            for verdict in self.verify(folder):
                if not verdict.intact:
                    raise ValueError(f"the download is not what was expected: {verdict.finding}")
            os.replace(folder / name, root / name)
        progress(1.0, f"N-MNIST is in {root / name}")


NMNIST = WholeSet(
    name="nmnist",
    title="N-MNIST",
    licence="CC BY-SA 4.0",
    source="Orchard, Jayawant, Cohen, Thakor, Frontiers in Neuroscience 9:437, 2015",
    how_to_get="spikeboard data fetch nmnist (1.2 GB)",
    layout="NMNIST/ with Train/ and Test/ as tonic unpacks them",
    folders=("NMNIST", "nmnist"),
    per_label=PER_LABEL,
)

NMNIST_1100 = EventSet(
    name="nmnist-1100",
    title="N-MNIST, first 1,000 training and 100 test recordings",
    licence=NMNIST.licence,
    source=NMNIST.source,
    how_to_get=(
        "N-MNIST contains it: spikeboard data fetch nmnist (1.2 GB), or copy Train/<digit>/00001.bin to 01000.bin "
        "and Test/<digit>/00001.bin to 00100.bin out of it"
    ),
    layout="nmnist_1100/ with Train/ and Test/, or all of N-MNIST",
    folders=("nmnist_1100", "NMNIST", "nmnist"),
    per_label=FIRST_1100,
)


def read_events(path: Path) -> Events:
    """Read one recording with tonic's reader.

    Raises
    ------
    UserError
        If the file is not a whole number of events, or an event lies off the sensor or comes before its predecessor.
    """
    # Imported here: tonic brings torch along, and only a task that reads recordings needs it.
    from tonic.datasets import NMNIST as TONIC
    from tonic.io import read_mnist_file

    with naming(path, "an N-MNIST recording", HINT):
        why = _malformed(path)
        if why is not None:
            raise ValueError(why)
        events = read_mnist_file(str(path), dtype=TONIC.dtype)
        return checked(Events(events["t"], events["x"], events["y"], events["p"]), *SENSOR)


def _malformed(path: Path) -> str | None:
    try:
        size = path.stat().st_size
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if not size:
        return "no events"
    return f"{size:,} bytes are not whole events of {BYTES_PER_EVENT}" if size % BYTES_PER_EVENT else None


def _listed(folder: Path) -> list[Recording]:
    """List every recording of `folder` in the order of part and number."""
    found = [
        Recording(path, part, int(path.stem), label)
        for part, name in PARTS.items()
        for label in range(10)
        for path in (folder / name / str(label)).glob("*.bin")
        if path.stem.isdecimal()
    ]
    return sorted(found, key=lambda item: (item.part == "test", item.number))


def _first(recordings: Iterable[Recording], counts: Mapping[str, int]) -> list[Recording]:
    return [item for item in recordings if item.number <= counts[item.part]]


def _counts(recordings: Iterable[Recording]) -> dict[str, int]:
    found = Counter(item.part for item in recordings)
    return {part: found[part] for part in PARTS}


def _tally(labels: Iterable[int]) -> list[int]:
    found = Counter(labels)
    return [found[label] for label in range(10)]


def _listing_digest(folder: Path, recordings: Iterable[Recording]) -> str:
    names = sorted(f"./{item.path.relative_to(folder).as_posix()}" for item in recordings)
    listing = "".join(f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    return hashlib.sha256(listing.encode()).hexdigest()
