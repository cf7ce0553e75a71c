"""scikit-learn's digits: 1,797 images of 8 x 8 pixels, embedded in an installed package.

The test part of UCI's "Optical Recognition of Handwritten Digits", same rows in the same order.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.base import DataFile, DataSet, FileVerdict, Presence, naming
from harness.errors import UserError

__all__ = ["DIGITS", "read_digits"]

COUNT = 1797
HINT = "install scikit-learn again: python -m pip install --force-reinstall scikit-learn"


class Digits(DataSet):
    """The embedded digits; needs no files below the data root."""

    def find(self, root: Path) -> Presence:  # noqa: ARG002
        """Look into the installed scikit-learn."""
        where = _file()
        if where is None:
            return Presence(self.name, False, missing=("scikit-learn with its datasets/data/digits.csv.gz",))
        return Presence(self.name, True, where, {"all": COUNT})

    def verify(self, root: Path) -> tuple[FileVerdict, ...]:
        """Compare the table's digest."""
        where, file = self.require(root), self.files[0]
        try:
            with naming(where, "the table of the digits", HINT):
                table = _table(where)
        except UserError as error:
            return (FileVerdict(str(where), False, str(error.args[0])),)
        intact = hashlib.sha256(table).hexdigest() == file.sha256
        return (
            FileVerdict(str(where), intact, "SHA-256 as expected" if intact else "not the table that was expected"),
        )


DIGITS = Digits(
    name="digits",
    title="scikit-learn's digits (optdigits, test part)",
    licence="CC BY 4.0",
    source="https://archive.ics.uci.edu/dataset/80, embedded in scikit-learn",
    how_to_get="It comes with scikit-learn: python -m pip install scikit-learn",
    files=(
        DataFile(
            "digits.csv",
            sha256="6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8",
            md5="a0339c30a8a5312a1b6f9e5c719dcce5",
            size_bytes=264712,
        ),
    ),
    embedded=True,
)


@functools.lru_cache(maxsize=1)
def read_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images ``[1797, 8, 8]`` with grey levels 0..16 (16: ink), and labels ``[1797]``.

    Raises
    ------
    UserError
        If the file is not the published table (its digest is left to `Digits.verify`).
    """
    path = DIGITS.require(Path())
    with naming(path, "the table of the digits", HINT):
        table = np.loadtxt(_table(path).decode().splitlines(), delimiter=",", dtype=np.uint8)
        if table.shape != (COUNT, 65) or table[:, :-1].max() > 16 or table[:, -1].max() > 9:
            raise ValueError(f"shape {table.shape}, or a grey level above 16, or a label above 9")
    return table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(np.int64)


def _file() -> Path | None:
    # Found without importing scikit-learn: the import costs two seconds in every process, reading takes 15 ms.
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    return path if path.is_file() else None


def _table(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())
