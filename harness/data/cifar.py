"""CIFAR-10 and CIFAR-100: 60,000 colour images of 32 x 32 pixels, as the pickles that Python 2 wrote.

A pickle may run code when it is read, so these are read by an unpickler that knows NumPy's arrays and nothing else.
Must not import torch.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.data.archives import Archive, ArchivedSet
from harness.data.base import DataFile, FileVerdict, Presence, naming
from harness.data.events import whole_numbers
from harness.errors import UserError

__all__ = ["CIFAR10", "CIFAR100", "ColourImages", "Pickles", "read_cifar"]

SHAPE = (3, 32, 32)
URL = "https://www.cs.toronto.edu/~kriz"
_NUMPY = {
    ("numpy.core.multiarray", "_reconstruct"): np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
    ("numpy._core.multiarray", "_reconstruct"): np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}
"""All that the published files refer to, under the name of the module then and now."""


class ColourImages(NamedTuple):
    """One official part."""

    images: NDArray[np.uint8]
    """``[N, 3, 32, 32]``: red, green, blue; 0..255."""
    labels: NDArray[np.int64]
    """``[N]``."""


@dataclass(frozen=True)
class Pickles(ArchivedSet):
    """Two official parts in pickles; `files` lists them, by MD5 as torchvision does.

    Parameters
    ----------
    label_key : key of the labels in a pickle.
    classes : number of them.
    """

    label_key: str = "labels"
    classes: int = 10

    def parts(self) -> Mapping[str, tuple[DataFile, ...]]:
        """Return the files of each part."""
        test = tuple(file for file in self.files if file.name.startswith("test"))
        return {"train": tuple(file for file in self.files if file not in test), "test": test}

    def find(self, root: Path) -> Presence:
        """Look for all pickles in each of the folders."""
        lacking = {
            root / folder: [file.name for file in self.files if not (root / folder / file.name).is_file()]
            for folder in self.folders
        }
        where = min(lacking, key=lambda folder: len(lacking[folder]))
        if lacking[where]:
            return Presence(self.name, False, missing=tuple(str(where / name) for name in lacking[where]))
        return Presence(self.name, True, where, {"train": 50_000, "test": 10_000})

    def verify(self, root: Path) -> tuple[FileVerdict, ...]:
        """Compare the MD5 of each pickle."""
        folder = self.require(root)
        verdicts = []
        for file in self.files:
            try:
                with naming(folder / file.name, f"a batch of {self.title}", ""):
                    found = hashlib.md5((folder / file.name).read_bytes()).hexdigest()
            except UserError as error:
                verdicts.append(FileVerdict(str(folder / file.name), False, str(error.args[0])))
                continue
            finding = "MD5 as published" if found == file.md5 else f"{file.name}: MD5 is {found}, expected {file.md5}"
            verdicts.append(FileVerdict(str(folder / file.name), found == file.md5, finding))
        return tuple(verdicts)


def read_cifar(data: Pickles, root: Path) -> tuple[ColourImages, ColourImages]:
    """Return the official training and test part.

    Raises
    ------
    UserError
        If the set is missing, or a file is not what it should be (digests are left to `Pickles.verify`).
    """
    folder = data.require(root)
    train, test = ([_read(folder / file.name, data) for file in files] for files in data.parts().values())
    return _joined(train), _joined(test)


def _joined(parts: list[ColourImages]) -> ColourImages:
    images, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    return ColourImages(images, labels)


def _read(path: Path, data: Pickles) -> ColourImages:
    hint = f"remove its folder and fetch the set again: spikeboard data fetch {data.name}"
    with naming(path, f"a batch of {data.title}", hint):
        file = io.BytesIO(path.read_bytes())
        batch = _Unpickler(file, encoding="latin1").load()
        if file.read(1):
            raise ValueError("something follows the pickle")
        pixels = np.asarray(batch["data"])
        labels = whole_numbers(np.asarray(batch[data.label_key]), "labels")
        if labels.ndim != 1 or pixels.dtype != np.uint8 or pixels.shape != (len(labels), 3 * 32 * 32):
            raise ValueError(f"{pixels.dtype} of shape {pixels.shape} for labels of shape {labels.shape}")
        if not labels.size or labels.min() < 0 or labels.max() >= data.classes:
            raise ValueError(f"a label lies outside 0..{data.classes - 1}, or there is none")
    return ColourImages(pixels.reshape(-1, *SHAPE), labels)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NUMPY:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}, which no file of this set does")
        return _NUMPY[module, name]


def _files(**md5: str) -> tuple[DataFile, ...]:
    return tuple(DataFile(name, "", digest, 0) for name, digest in md5.items())


CIFAR10 = Pickles(
    name="cifar10",
    title="CIFAR-10",
    licence="none stated; the authors ask to be cited",
    source="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    how_to_get="spikeboard data fetch cifar10 (170 MB)",
    layout="cifar-10-batches-py/ with data_batch_1..5 and test_batch",
    folders=("cifar-10-batches-py", "cifar10/cifar-10-batches-py"),
    files=_files(
        data_batch_1="c99cafc152244af753f735de768cd75f",
        data_batch_2="d4bba439e000b95fd0a9bffe97cbabec",
        data_batch_3="54ebc095f3ab1f0389bbae665268c751",
        data_batch_4="634d18415352ddfa80567beed471001a",
        data_batch_5="482c414d41f54cd18b22e5b47cb7c3cb",
        test_batch="40351d587109b95175f43aff81a1287e",
    ),
    archives=(Archive(f"{URL}/cifar-10-python.tar.gz", "cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"),),
)

CIFAR100 = Pickles(
    name="cifar100",
    title="CIFAR-100",
    licence=CIFAR10.licence,
    source=CIFAR10.source,
    how_to_get="spikeboard data fetch cifar100 (170 MB)",
    layout="cifar-100-python/ with train and test",
    folders=("cifar-100-python", "cifar100/cifar-100-python"),
    files=_files(train="16019d7e3df5f24257cddd939b257f8d", test="f0ef6b0ae62326f3e7ffdfab6717acfc"),
    archives=(
        Archive(f"{URL}/cifar-100-python.tar.gz", "cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85"),
    ),
    label_key="fine_labels",
    classes=100,
)
