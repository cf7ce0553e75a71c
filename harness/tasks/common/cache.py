"""Frames that take long to make, remembered on disk: compressed, or eight to a byte if they hold 0 and 1 only.

A cell is its own process, so without this every cell of a task would make them again. The folder, ``frames`` beside
the default data root (where that cannot be written, among temporary files), may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.base import staging
from reference_impls.user_cache import cache_folders

__all__ = ["remembered", "signature"]


def remembered(
    name: str, decided_by: Iterable[object], code: Iterable[str], make: Callable[[], NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    """Return an array that was stored, or make and store it.

    A broken file is made anew; a disk that cannot be written costs time, never the run.

    Parameters
    ----------
    name : first part of the file's name, for people.
    decided_by : everything that decides the content, as objects whose texts differ when they do.
    code : files of code that make the content.
    make : called if nothing is stored for exactly these.
    """
    digest = hashlib.sha256("\n".join(map(str, decided_by)).encode())
    for file in code:
        digest.update(Path(file).read_bytes())
    places = [folder / "frames" / f"{name}-{digest.hexdigest()[:16]}.npz" for folder in cache_folders()]
    for path in places:
        with contextlib.suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return _load(path)
    frames = make()
    for path in places:
        try:
            _store(path, frames)
        except OSError:
            continue
        break
    return frames


def _load(path: Path) -> NDArray[np.uint8]:
    with np.load(path) as stored:
        if "counts" in stored:
            counts: NDArray[np.uint8] = stored["counts"]
            return counts
        shape = tuple(stored["shape"])
        return np.unpackbits(stored["packed"], count=math.prod(shape)).reshape(shape)


def signature(path: Path) -> str:
    """Return a text that changes when the file does; hashing every file would take as long as reading them all."""
    status = path.stat()
    return f"{path} {status.st_size} {status.st_mtime_ns}"


def _store(path: Path, frames: NDArray[np.uint8]) -> None:
    with staging(path.parent) as folder:
        if frames.max(initial=0) > 1:
            np.savez_compressed(folder / path.name, counts=frames)
        else:
            np.savez(folder / path.name, packed=np.packbits(frames), shape=np.array(frames.shape))
        os.replace(folder / path.name, path)
