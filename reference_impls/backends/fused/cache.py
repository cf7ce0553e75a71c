"""Where printed kernels lie on disk: one file a text, named by its content. Must not know what is printed.

What lies there is imported, and so executed. A file counts only if it is ours and holds the very text; a folder only if
it is ours and nobody else can write to it, for compiled code lies beside the text and cannot be compared with anything.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from reference_impls.backends import UnsupportedError
from reference_impls.user_cache import cache_folders

__all__ = ["CACHE_VARIABLE", "kept_result", "kept_source"]

Answer = TypeVar("Answer")

CACHE_VARIABLE = "SPIKEBOARD_KERNELS"
"""Environment variable that replaces the folder of kernels."""
COMPILED = "__pycache__"
"""Folder, inside that of the texts, in which Python and Numba keep what they make of them."""
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def kept_source(text: str, suffix: str) -> Path:
    """Return the file that holds exactly `text`, written if it is not there yet.

    The folder is ``$SPIKEBOARD_KERNELS``, else ``kernels`` in the user's cache, else, where that cannot be written or
    others can write to it, one of the user's below the system's folder for temporary files.
    """

    def keep(path: Path) -> Path:
        if not _holds(path, text):
            _write(path, text.encode())
        return path

    return _in_first_folder(_name(text, suffix), keep)


def kept_result(key: str, suffix: str, make: Callable[[], bytes]) -> bytes:
    """Return what `make` returned when it was first called for `key`, by whatever process of this user.

    `key` must say all that the result depends on; it lies in the folder of `kept_source`.
    """

    def keep(path: Path) -> bytes:
        with suppress(FileNotFoundError):
            if _is_own_file(path):
                return path.read_bytes()
        result = make()
        _write(path, result)
        return result

    return _in_first_folder(_name(key, suffix), keep)


def _name(key: str, suffix: str) -> str:
    return f"step_{hashlib.sha256(key.encode()).hexdigest()[:32]}{suffix}"


def _in_first_folder(name: str, keep: Callable[[Path], Answer]) -> Answer:
    """Return what `keep` makes of the file `name` in the first folder that is private and can be written."""
    refused = []
    for folder in _folders():
        try:
            _make_private(folder)
            return keep(folder / name)
        except OSError as error:
            refused.append(f"{folder}: {error.strerror}")
    raise UnsupportedError(
        f"no folder for compiled kernels ({'; '.join(refused)}); set {CACHE_VARIABLE} to one of your own"
    )


def _folders() -> list[Path]:
    given = os.environ.get(CACHE_VARIABLE)
    return [Path(given)] if given else [folder / "kernels" for folder in cache_folders()]


def _make_private(folder: Path) -> None:
    """Make `folder` if it is not there.

    Raises
    ------
    OSError
        If it, or what is compiled in it, is somebody else's or can be written to by others.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for place in (folder, folder / COMPILED):
        place.mkdir(mode=0o700, exist_ok=True)
        # A link of somebody else's may lead to another folder from one moment to the next.
        if not (_is_ours(place.lstat()) and _is_ours(place.stat())):
            raise OSError(None, "it belongs to somebody else")
        if hasattr(os, "getuid") and place.stat().st_mode & OTHERS_WRITE:
            raise OSError(None, "others can write to it (chmod go-w)")


def _is_ours(state: os.stat_result) -> bool:
    return not hasattr(os, "getuid") or state.st_uid == os.getuid()


def _holds(path: Path, text: str) -> bool:
    """Whether the file at `path` is ours and holds exactly `text`."""
    try:
        return _is_own_file(path) and path.read_bytes() == text.encode()
    except FileNotFoundError:
        return False


def _is_own_file(path: Path) -> bool:
    state = path.lstat()
    return stat.S_ISREG(state.st_mode) and _is_ours(state)


def _write(path: Path, content: bytes) -> None:
    """Write a file as a whole: another process may be writing the same."""
    handle, draft = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    os.replace(draft, path)
