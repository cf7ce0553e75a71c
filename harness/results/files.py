"""Reads a file that somebody put into a folder of ours: only if it is a plain file, and only if it is not too large.

A pipe would wait for ever, a link may lead to a device that does something when it is opened, a sparse file of 20 GB
takes no room on disk and all of it in memory. Must not know what the file should hold.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

__all__ = ["open_regular", "read_regular"]


def read_regular(path: Path, largest_bytes: int) -> bytes:
    """Return what the file at `path` holds.

    Raises
    ------
    OSError
        If it cannot be read, is no regular file, or is larger than `largest_bytes`.
    """
    with open_regular(path, largest_bytes) as file:
        content = file.read(largest_bytes + 1)
    if len(content) > largest_bytes:
        raise _too_large(len(content), largest_bytes)
    return content


def open_regular(path: Path, largest_bytes: int | None = None) -> BinaryIO:
    """Open the file at `path` to be read; of any size, if no `largest_bytes` is given.

    Raises
    ------
    OSError
        If it cannot be read, is no regular file, or is larger than `largest_bytes`.
    """
    _check(path.stat(), largest_bytes)  # before it is opened: to open a device may be to start it
    # It may have been exchanged since: not to block is for pipes, and what was opened is looked at again.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _check(os.fstat(descriptor), largest_bytes)
    except OSError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def _check(state: os.stat_result, largest_bytes: int | None) -> None:
    if stat.S_ISDIR(state.st_mode):
        raise OSError(None, "it is a folder")
    if not stat.S_ISREG(state.st_mode):
        raise OSError(None, "it is no regular file (a pipe, a socket or a device)")
    if largest_bytes is not None and state.st_size > largest_bytes:
        raise _too_large(state.st_size, largest_bytes)


def _too_large(size: int, largest_bytes: int) -> OSError:
    return OSError(None, f"it has {size:,} bytes or more; no record has more than {largest_bytes:,}")
