"""Pins the memory allocator, so that every entry is measured on the same one.

Page faults of fresh buffers can change a figure more than the code that is measured: by default glibc returns large
blocks to the system at each free and adapts its thresholds to what was freed before. It is part of the ruler: the
same for all, before anything is measured, and its description goes into the record.
"""

from __future__ import annotations

import ctypes
import os
import platform
from pathlib import Path

__all__ = ["pin"]

_OPTIONS = {
    "M_MMAP_MAX": (-4, 0),  # no block gets a mapping of its own, to be faulted in again at each use
    "M_TRIM_THRESHOLD": (-1, -1),  # freed memory stays with the process
    "M_ARENA_MAX": (-8, 1),  # one heap for all threads: which thread frees does not matter
}
"""Option: (its number in malloc.h, value)."""


def pin() -> str:
    """Pin the allocator of this process and return a description of what is in force."""
    preloaded = " ".join(Path(entry).name for entry in os.environ.get("LD_PRELOAD", "").replace(":", " ").split())
    if preloaded:
        # mallopt would be accepted and change nothing if one of these replaces malloc.
        return f"not pinned: preloaded {preloaded}"
    library, version = platform.libc_ver()
    if library != "glibc":
        return f"not pinned: {platform.system()} {library} malloc".replace("  ", " ")
    mallopt = ctypes.CDLL(None).mallopt
    states = [
        f"{name}={value}" if mallopt(number, value) == 1 else f"{name} refused"
        for name, (number, value) in _OPTIONS.items()
    ]
    return f"glibc {version} malloc {' '.join(states)}"
