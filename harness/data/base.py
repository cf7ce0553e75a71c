"""The contract of a data set: what it is, whether it is there, how to get it, and whether it is intact.

A data set knows files and digests; it gives NumPy arrays to the tasks, which own splits and encodings. Must not
import torch, and must not know tasks or the command line.
"""

from __future__ import annotations

import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness.defaults import defaults
from harness.errors import UserError
from reference_impls.user_cache import cache_home

__all__ = ["DataFile", "DataSet", "FileVerdict", "Presence", "Progress", "data_root", "naming", "staging"]

ROOT_VARIABLE = "SPIKEBOARD_DATA"

Progress = Callable[[float, str], None]
"""Called with (fraction done, what is being done)."""


def data_root(explicit: Path | None = None) -> Path:
    """Return the folder of data sets: the first that is given.

    `explicit`, SPIKEBOARD_DATA, that of ``spikeboard.toml``, ``~/.cache/spikeboard/data``.
    """
    chosen = explicit or os.environ.get(ROOT_VARIABLE) or defaults().data_root
    try:
        return Path(chosen).expanduser() if chosen else cache_home() / "data"
    except RuntimeError as error:  # the home of a user whom the system does not know
        raise UserError(f"the folder of data sets {str(chosen)!r} cannot be found: {error}", "write it out") from error


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of a data set; digest and size are those of the decompressed content (an empty digest: not known)."""

    name: str
    sha256: str
    md5: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether a data set is there."""

    name: str
    present: bool
    where: Path | None = None
    """Folder or file that holds it (None: nowhere)."""
    samples: Mapping[str, int] = field(default_factory=dict)
    """Number of samples of each official part."""
    missing: tuple[str, ...] = ()
    """What is lacking, for a reader."""


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """What a check of one file, or of one property of a whole set, found."""

    subject: str
    intact: bool
    finding: str


@dataclass(frozen=True)
class DataSet(ABC):
    """A data set. `read` functions beside each subclass give its arrays.

    Parameters
    ----------
    name : what users type.
    title, licence, source : for the reader.
    how_to_get : a sentence with a command.
    layout : what a folder of data sets must hold for this set to be found in it.
    files : digests, where the set is few enough files to list them.
    embedded : whether an installed package brings the data along.
    """

    name: str
    title: str
    licence: str
    source: str
    how_to_get: str
    layout: str = ""
    files: tuple[DataFile, ...] = ()
    embedded: bool = False

    @abstractmethod
    def find(self, root: Path) -> Presence:
        """Look for the set below `root`; cheap, reads no sample."""

    @abstractmethod
    def verify(self, root: Path) -> tuple[FileVerdict, ...]:
        """Check digests and counts of a present set.

        Raises
        ------
        UserError
            If the set is not there.
        """

    def fetch(self, root: Path, progress: Progress) -> Presence:
        """Download the set into `root`, unless it is there; nothing half-written is left, whatever happens.

        Raises
        ------
        UserError
            If it cannot be had; the hint says how to get it by hand.
        """
        presence = self.find(root)
        if presence.present:
            return presence
        try:
            self._download(root, progress)
        except (OSError, ValueError, RuntimeError) as error:  # no network, no room, or not what was asked for
            reason = str(error).strip() or type(error).__name__
            raise UserError(
                f"data set {self.name!r} could not be fetched: {reason}", self._hint("try again")
            ) from error
        return self.find(root)

    def _download(self, root: Path, progress: Progress) -> None:  # noqa: ARG002 - the contract of sets that can
        raise UserError(f"data set {self.name!r} cannot be fetched", self.how_to_get)

    def require(self, root: Path) -> Path:
        """Return where the set is.

        Raises
        ------
        UserError
            If it is not there; the hint says how to get it.
        """
        presence = self.find(root)
        if not presence.present or presence.where is None:
            lacking = "".join(f"\n  {item}" for item in presence.missing)
            raise UserError(f"data set {self.name!r} is not in {root}:{lacking}", self._hint(self.how_to_get))
        return presence.where

    def _hint(self, first: str) -> str:
        elsewhere = f"; or set --data-root or {ROOT_VARIABLE} to a folder that holds {self.layout}"
        return first + (elsewhere if self.layout else "")


@contextmanager
def naming(path: Path, what: str, hint: str) -> Iterator[None]:
    """Turn whatever goes wrong inside the block into a `UserError` that names the file it was read from.

    Parameters
    ----------
    path : the file.
    what : it is not, as its form shows.
    hint : how to get a right one.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # a broken file may raise anything, in whatever library reads it
        why = (isinstance(error, OSError) and error.strerror) or str(error).strip() or type(error).__name__
        raise UserError(f"{path}: not {what}: {why}", hint) from error


@contextmanager
def staging(root: Path) -> Iterator[Path]:
    """Give a temporary folder on the file system of `root`, gone at the end, to fill and rename from."""
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=root) as folder:
        yield Path(folder)
