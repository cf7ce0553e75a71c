"""SHD and SSC, the Heidelberg spiking speech sets: words as spikes of 700 channels of an inner-ear model, in HDF5.

Read here rather than by tonic, whose class opens the file anew for every sample and wants the archive beside it.
Must not import torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.archives import Archive, ArchivedSet
from harness.data.base import FileVerdict, Presence, naming
from harness.data.events import Events, checked, whole_numbers
from harness.errors import UserError

__all__ = ["CHANNELS", "SHD", "SSC", "SpokenSpikes", "read_labels", "read_part"]

CHANNELS = 700
LONGEST_SECONDS = 60.0
"""No word lasts as long."""
URL = "https://zenkelab.org/datasets"


@dataclass(frozen=True)
class SpokenSpikes(ArchivedSet):
    """A file for each official part, ``<name>_<part>.h5``.

    Parameters
    ----------
    counts : number of samples of each part, by the name that its file bears.
    classes : number of words.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    classes: int = 20

    def path(self, folder: Path, part: str) -> Path:
        """Return the file of an official part."""
        return folder / f"{self.name}_{part}.h5"

    def find(self, root: Path) -> Presence:
        """Look for the files of all parts in each of the folders."""
        lacking = {
            root / folder: [part for part in self.counts if not self.path(root / folder, part).is_file()]
            for folder in self.folders
        }
        where = min(lacking, key=lambda folder: len(lacking[folder]))
        if lacking[where]:
            return Presence(self.name, False, missing=tuple(str(self.path(where, part)) for part in lacking[where]))
        return Presence(self.name, True, where, dict(self.counts))

    def verify(self, root: Path) -> tuple[FileVerdict, ...]:
        """Read every sample; compare the numbers of samples with the published ones."""
        verdicts = []
        for part, wanted in self.counts.items():
            path = self.path(self.require(root), part)
            try:
                found = sum(1 for _ in read_part(self, root, part))
                read_labels(self, root, part)
            except UserError as error:
                verdicts.append(FileVerdict(str(path), False, str(error.args[0])))
            else:
                verdicts.append(FileVerdict(str(path), found == wanted, f"{found:,} of {wanted:,} samples"))
        return tuple(verdicts)


def read_labels(data: SpokenSpikes, root: Path, part: str) -> NDArray[np.int64]:
    """Return the words of an official part, ``[N]``; errors as in `read_part`."""
    import h5py  # imported here, as everything heavy that only a task with these files needs

    path = data.path(data.require(root), part)
    with _naming(path, data), h5py.File(path, "r") as file:
        labels = whole_numbers(file["labels"][()], "labels")
        if labels.shape != (data.counts[part],):
            raise ValueError(f"labels of shape {labels.shape}; expected {data.counts[part]:,}")
        if labels.min(initial=0) < 0 or labels.max(initial=0) >= data.classes:
            raise ValueError(f"labels lie outside 0..{data.classes - 1}")
    return labels


def read_part(data: SpokenSpikes, root: Path, part: str) -> Iterator[Events]:
    """Yield the samples of an official part in the file's order: channel as x, no rows, all spikes ON.

    Raises
    ------
    UserError
        If the set is missing, or a file is not what it should be.
    """
    import h5py

    path = data.path(data.require(root), part)
    with _naming(path, data), h5py.File(path, "r") as file:
        spikes = file["spikes"]
        # In one go: a read for each of 100,000 samples takes minutes.
        every_time, every_unit = spikes["times"][()], spikes["units"][()]
        for name, found in (("times", every_time), ("units", every_unit)):
            if len(found) != data.counts[part]:
                raise ValueError(f"{len(found):,} lists of {name}; expected {data.counts[part]:,}")
    for number, (seconds, units) in enumerate(zip(every_time, every_unit, strict=True)):
        with _naming(path, data):
            yield _sample(number, np.asarray(seconds), np.asarray(units))


def _sample(number: int, seconds: NDArray[np.floating], units: NDArray[np.integer]) -> Events:
    """Return a sample's spikes, which may be none."""
    if seconds.shape != units.shape or seconds.ndim != 1:
        raise ValueError(f"sample {number}: {units.size} units with {seconds.size} times")
    # float64 first: the files hold float16, in which 1.4 million microseconds are infinite.
    wide = seconds.astype(np.float64)
    if not np.all((wide >= 0) & (wide <= LONGEST_SECONDS)):
        raise ValueError(f"sample {number}: a spike at no time, or outside 0..{LONGEST_SECONDS} s")
    t, x = np.rint(wide * 1e6).astype(np.int64), whole_numbers(units, f"sample {number}: units")
    events = Events(t, x, np.zeros_like(x), np.ones_like(x))
    if not x.size:
        return events
    try:
        return checked(events, 1, CHANNELS)
    except ValueError as error:
        raise ValueError(f"sample {number}: a unit outside 0..{CHANNELS - 1} or out of order: {error}") from error


def _naming(path: Path, data: SpokenSpikes) -> AbstractContextManager[None]:
    hint = f"remove it and fetch the set again: spikeboard data fetch {data.name}"
    return naming(path, f"a file of {data.title}", hint)


def _archives(name: str, **md5: str) -> tuple[Archive, ...]:
    files = {f"{name}_{part}.h5.zip": digest for part, digest in md5.items()}
    return tuple(Archive(f"{URL}/{file}", file, digest, name.upper()) for file, digest in files.items())


SHD = SpokenSpikes(
    name="shd",
    title="Spiking Heidelberg Digits",
    licence="CC BY 4.0",
    source="Cramer, Stradmann, Schemmel, Zenke, IEEE TNNLS 33(7), 2022, arXiv:1910.07407",
    how_to_get="spikeboard data fetch shd",
    layout="SHD/ with shd_train.h5 and shd_test.h5, as tonic unpacks them",
    folders=("SHD", "shd"),
    archives=_archives("shd", train="f3252aeb598ac776c1b526422d90eecb", test="1503a5064faa34311c398fb0a1ed0a6f"),
    counts={"train": 8_156, "test": 2_264},
)

SSC = SpokenSpikes(
    name="ssc",
    title="Spiking Speech Commands",
    licence=SHD.licence,
    source=SHD.source,
    how_to_get="spikeboard data fetch ssc",
    layout="SSC/ with ssc_train.h5, ssc_valid.h5 and ssc_test.h5, as tonic unpacks them",
    folders=("SSC", "ssc"),
    archives=_archives(
        "ssc",
        train="d102be95e7144fcc0553d1f45ba94170",
        valid="b4eee3516a4a90dd0c71a6ac23a8ae43",
        test="a35ff1e9cffdd02a20eb850c17c37748",
    ),
    counts={"train": 75_466, "valid": 9_981, "test": 20_382},
    classes=35,
)
