"""Process groups: who is in one, how much memory they hold, and their end.

A cell and everything it starts is one group. Knows nothing of cells.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

import psutil

__all__ = ["held_bytes", "kill", "members"]


def members(group: int) -> list[int]:
    """Return the process ids in the group."""
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            if os.getpgid(pid) == group:
                found.append(pid)
    return found


def held_bytes(group: int, limit_bytes: int) -> int:
    """Return the resident memory of the group.

    The sum over processes counts shared pages, torch's libraries among them, once for each process; only where
    that sum is over the limit are they counted once for all, which is a hundred times dearer to find out.
    """
    processes = list(_processes(group))
    resident = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            resident += process.memory_info().rss
    if resident <= limit_bytes:
        return resident
    return sum(map(_proportional_bytes, processes))


def kill(group: int) -> bool:
    """Kill every process in the group; False if there is none."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS, where only zombies are left
        return False
    return True


def _processes(group: int) -> Iterator[psutil.Process]:
    for pid in members(group):
        with contextlib.suppress(psutil.Error):
            yield psutil.Process(pid)


def _proportional_bytes(process: psutil.Process) -> int:
    try:
        memory = process.memory_full_info()
    except psutil.Error:
        return 0
    return int(getattr(memory, "pss", memory.rss))
