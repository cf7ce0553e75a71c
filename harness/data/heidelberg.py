"""SHD and SSC, the Heidelberg spiking speech sets: words as spikes of 700 channels of an inner-ear model, in HDF5.

Read here rather than by tonic, whose class opens the file anew for every sample and wants the archive beside it.
Must not import torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.archives import Archive, ArchivedSet
from harness.data.base import Presence, Verdict
from harness.data.events import Events
from harness.errors import UserError

__all__ = ["CHANNELS", "SHD", "SSC", "SpokenSpikes", "read_labels", "read_part"]

CHANNELS = 700
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

    def verify(self, root: Path) -> tuple[Verdict, ...]:
        """Read every sample; compare the numbers of samples with the published ones."""
        verdicts = []
        for part, wanted in self.counts.items():
            path = self.path(self.require(root), part)
            try:
                found = sum(1 for _ in read_part(self, root, part))
            except UserError as error:
                verdicts.append(Verdict(str(path), False, str(error.args[0])))
            else:
                verdicts.append(Verdict(str(path), found == wanted, f"{found:,} of {wanted:,} samples"))
        return tuple(verdicts)


def read_labels(data: SpokenSpikes, root: Path, part: str) -> NDArray[np.int64]:
    """Return the words of an official part, ``[N]``; errors as in `read_part`."""
    import h5py  # imported here, as everything heavy that only a task with these files needs

    path = data.path(data.require(root), part)
    try:
        with h5py.File(path, "r") as file:
            labels = np.asarray(file["labels"], dtype=np.int64)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise _broken(path, error, data) from error
    if labels.ndim != 1 or labels.min(initial=0) < 0 or labels.max(initial=0) >= data.classes:
        raise _broken(path, f"labels lie outside 0..{data.classes - 1}", data)
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
    try:
        with h5py.File(path, "r") as file:
            spikes = file["spikes"]
            # In one go: a read for each of 100,000 samples takes minutes.
            every_time, every_unit = spikes["times"][()], spikes["units"][()]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise _broken(path, error, data) from error
    if len(every_time) != len(every_unit):
        raise _broken(path, f"{len(every_time)} lists of times, {len(every_unit)} of units", data)
    for seconds, units in zip(every_time, every_unit, strict=True):
        if len(seconds) != len(units) or (len(units) and np.max(units) >= CHANNELS):
            raise _broken(path, f"a unit lies outside 0..{CHANNELS - 1}, or has no time", data)
        # float64 first: the files hold float16, in which 1.4 million microseconds are infinite.
        t = np.rint(np.asarray(seconds, dtype=np.float64) * 1e6).astype(np.int64)
        x = np.asarray(units, dtype=np.int64)
        yield Events(t, x, np.zeros_like(x), np.ones_like(x))


def _broken(path: Path, why: object, data: SpokenSpikes) -> UserError:
    return UserError(
        f"{path}: not a file of {data.title}: {why}",
        f"remove it and fetch the set again: spikeboard data fetch {data.name}",
    )


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
