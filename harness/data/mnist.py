"""MNIST: 70,000 grey images of handwritten digits, as idx files or from OpenML; and what its relatives share with it.

The digests are those of the decompressed files, because archives of the same content differ from mirror to mirror.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.data.base import DataFile, DataSet, FileVerdict, Presence, Progress, staging
from harness.data.idx import content, idx_shape, read_idx, write_idx
from harness.errors import UserError

__all__ = ["MNIST", "IdxImages", "LabelledImages", "Mnist", "read_images", "read_mnist"]

TRAIN_COUNT = 60_000
PARTS = ("train", "t10k")
CLASSES = 10

OpenML = Callable[[Path], tuple[NDArray[np.number], NDArray[np.object_]]]
"""Downloads into a folder; gives pixels ``[70000, 784]`` and labels ``[70000]``, training images first."""


class LabelledImages(NamedTuple):
    """One official part."""

    images: NDArray[np.uint8]
    """``[N, 28, 28]``, 0..255 (255: ink)."""
    labels: NDArray[np.int64]
    """``[N]``."""


def _from_openml(scratch: Path) -> tuple[NDArray[np.number], NDArray[np.object_]]:
    from sklearn.datasets import fetch_openml  # imported here: it costs two seconds, and only a fetch needs it

    fetched = fetch_openml("mnist_784", version=1, as_frame=False, data_home=str(scratch))
    return fetched.data, fetched.target


@dataclass(frozen=True)
class IdxImages(DataSet):
    """Two official parts of 28 x 28 images as four idx files; `files` lists them.

    Parameters
    ----------
    folders : where the files may lie below the data root; the first is where `fetch` puts them.
    installed : where a package of the system puts them, whatever the data root is; looked into last.
    """

    folders: tuple[str, ...] = ()
    installed: tuple[Path, ...] = ()

    def find(self, root: Path) -> Presence:
        """Look for the four files, gzipped or not, in each of the folders."""
        places = (*(root / folder for folder in self.folders), *self.installed)
        lacking = {place: [file.name for file in self.files if not _stored(place, file.name)] for place in places}
        where = min(lacking, key=lambda folder: len(lacking[folder]))
        if lacking[where]:
            return Presence(self.name, False, missing=tuple(f"{where / name}[.gz]" for name in lacking[where]))
        return Presence(self.name, True, where, _counts(where))

    def verify(self, root: Path) -> tuple[FileVerdict, ...]:
        """Compare the digest of each decompressed file."""
        folder = self.require(root)
        return tuple(self._verdict(folder, file) for file in self.files)

    def _verdict(self, folder: Path, file: DataFile) -> FileVerdict:
        path = _stored(folder, file.name)
        assert path is not None
        try:
            data = content(path)
        except UserError as error:
            return FileVerdict(str(path), False, str(error.args[0]))
        if len(data) != file.size_bytes:
            return FileVerdict(str(path), False, f"{file.name} has {len(data):,} bytes, expected {file.size_bytes:,}")
        found = hashlib.sha256(data).hexdigest()
        if found != file.sha256:
            return FileVerdict(
                str(path), False, f"{file.name}: SHA-256 is {found[:12]}..., expected {file.sha256[:12]}..."
            )
        return FileVerdict(str(path), True, "SHA-256 as expected")


@dataclass(frozen=True)
class Mnist(IdxImages):
    """MNIST, which OpenML has."""

    download: OpenML = _from_openml

    def _download(self, root: Path, progress: Progress) -> None:
        """Write what OpenML has as idx files, check their digests, and only then put them in place."""
        with staging(root) as folder:
            progress(0.0, "downloading mnist_784 from OpenML (about 15 MB)")
            pixels, labels = self.download(folder / "openml")
            progress(0.8, "writing idx files")
            for part, rows in zip(PARTS, (slice(None, TRAIN_COUNT), slice(TRAIN_COUNT, None)), strict=True):
                write_idx(folder / f"{part}-images-idx3-ubyte", pixels[rows].astype(np.uint8).reshape(-1, 28, 28))
                write_idx(folder / f"{part}-labels-idx1-ubyte", labels[rows].astype(np.uint8))
            progress(0.9, "checking digests")
            for verdict in (self._verdict(folder, file) for file in self.files):
                if not verdict.intact:
                    raise ValueError(f"OpenML sent something else: {verdict.finding}")
            target = root / self.folders[0]
            target.mkdir(parents=True, exist_ok=True)
            for file in self.files:
                os.replace(folder / file.name, target / file.name)
        progress(1.0, f"MNIST is in {target}")


MNIST = Mnist(
    name="mnist",
    title="MNIST",
    licence="CC BY-SA 3.0",
    source="LeCun, Bottou, Bengio, Haffner, Proc. IEEE 86(11), 1998; https://www.openml.org/d/554",
    how_to_get="spikeboard data fetch mnist",
    layout="mnist/MNIST/raw/ or MNIST/raw/ with the four idx files (gzipped or not)",
    folders=("mnist/MNIST/raw", "MNIST/raw", "mnist"),
    files=(
        DataFile(
            "train-images-idx3-ubyte",
            sha256="ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            md5="6bbc9ace898e44ae57da46a324031adb",
            size_bytes=47_040_016,
        ),
        DataFile(
            "train-labels-idx1-ubyte",
            sha256="65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            md5="a25bea736e30d166cdddb491f175f624",
            size_bytes=60_008,
        ),
        DataFile(
            "t10k-images-idx3-ubyte",
            sha256="0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            md5="2646ac647ad5339dbf082846283269ea",
            size_bytes=7_840_016,
        ),
        DataFile(
            "t10k-labels-idx1-ubyte",
            sha256="ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            md5="27ae3e4e09519cfbb04c329615203637",
            size_bytes=10_008,
        ),
    ),
)


def read_mnist(root: Path) -> tuple[LabelledImages, LabelledImages]:
    """Return the official training and test part of MNIST; errors as in `read_images`."""
    return read_images(MNIST, root)


def read_images(data: IdxImages, root: Path) -> tuple[LabelledImages, LabelledImages]:
    """Return the official training and test part.

    Raises
    ------
    UserError
        If the set is missing, or a file is corrupt (digests are left to `IdxImages.verify`).
    """
    folder = data.require(root)
    train, test = (_read_part(folder, part, data.name) for part in PARTS)
    return train, test


def _read_part(folder: Path, part: str, name: str) -> LabelledImages:
    paths = [_stored(folder, f"{part}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1")]
    images, labels = (read_idx(path) for path in paths if path)
    if images.shape[1:] != (28, 28) or labels.shape != images.shape[:1]:
        raise UserError(
            f"{paths[0]}: images of shape {images.shape} do not go with labels of shape {labels.shape} ({paths[1]})",
            f"remove both files and fetch the set again: spikeboard data fetch {name}",
        )
    if labels.max(initial=0) >= CLASSES:
        raise UserError(
            f"{paths[1]}: a label lies outside 0..{CLASSES - 1}",
            f"remove it and fetch the set again: spikeboard data fetch {name}",
        )
    return LabelledImages(images, labels.astype(np.int64))


def _counts(folder: Path) -> dict[str, int]:
    """Return the number of images of each part, nothing if a header is broken (`IdxImages.verify` says which)."""
    images = (_stored(folder, f"{part}-images-idx3-ubyte") for part in PARTS)
    try:
        train, test = (idx_shape(path)[0] for path in images if path)
    except (UserError, IndexError):
        return {}
    return {"train": train, "test": test}


def _stored(folder: Path, name: str) -> Path | None:
    """Return the file `name` of `folder`, plain or gzipped, if it is there."""
    candidates = (folder / name, folder / f"{name}.gz")
    return next((path for path in candidates if path.is_file()), None)
