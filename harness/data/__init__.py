"""The data sets that tasks use: which there are, which are present, how to get them, whether they are intact.

The command line calls the functions here and prints what they return; tasks call the readers in the modules below.
Must not import torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.data.base import DataFile, DataSet, FileVerdict, Presence, Progress, data_root
from harness.data.cifar import CIFAR10, CIFAR100
from harness.data.cifar10dvs import CIFAR10DVS
from harness.data.digits import DIGITS
from harness.data.dvsgesture import DVSGESTURE
from harness.data.environments import GYMNASIUM, MUJOCO
from harness.data.fashion_mnist import FASHION_MNIST
from harness.data.fsdd import FSDD
from harness.data.generated import GENERATED
from harness.data.heidelberg import SHD, SSC
from harness.data.ijrr import IJRR
from harness.data.mnist import MNIST
from harness.data.mvsec import MVSEC
from harness.data.nmnist import NMNIST, NMNIST_1100
from harness.data.triples import FB15K237, WN18RR
from reference_impls.names import check_name

__all__ = [
    "DATA_SETS",
    "DataFile",
    "DataSet",
    "Presence",
    "Progress",
    "Verdict",
    "data_root",
    "data_set",
    "fetch",
    "presences",
    "verify",
]

_ALL: tuple[DataSet, ...] = (
    DIGITS,
    GENERATED,
    MNIST,
    FASHION_MNIST,
    CIFAR10,
    CIFAR100,
    NMNIST,
    NMNIST_1100,
    CIFAR10DVS,
    DVSGESTURE,
    FSDD,
    SHD,
    SSC,
    IJRR,
    MVSEC,
    FB15K237,
    WN18RR,
    GYMNASIUM,
    MUJOCO,
)
DATA_SETS: Mapping[str, DataSet] = {known.name: known for known in _ALL}


def data_set(name: str) -> DataSet:
    """Return the data set called `name`.

    Raises
    ------
    reference_impls.names.UnknownNameError
        If there is none; the message suggests the nearest.
    """
    return DATA_SETS[check_name("data set", name, DATA_SETS)]


def presences(root: Path) -> tuple[Presence, ...]:
    """Return for every data set whether it is below `root`."""
    return tuple(known.find(root) for known in DATA_SETS.values())


def fetch(name: str, root: Path, progress: Progress) -> Presence:
    """Download the data set `name` into `root`, unless it is there already.

    Raises
    ------
    harness.errors.UserError
        If it cannot be had; the hint says how to get it by hand.
    """
    return data_set(name).fetch(root, progress)


def verify(root: Path, name: str | None = None) -> dict[str, tuple[FileVerdict, ...]]:
    """Check the data set `name` (None: every one that is present) and return what was found, by data set.

    Raises
    ------
    harness.errors.UserError
        If `name` is given and that set is not there.
    """
    chosen = [data_set(name)] if name else [known for known in DATA_SETS.values() if known.find(root).present]
    return {known.name: known.verify(root) for known in chosen}
