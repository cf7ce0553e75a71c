"""All that a process has started, and what that has started: who they are, how much memory they hold, and their end.

A group or a session can be left by a system call; a parent cannot. Where orphans are adopted (Linux), what is not
among the descendants of the adopting process does not exist. Knows nothing of cells.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time

import psutil

__all__ = ["adopt_orphans", "die_with_parent", "end_escaped", "held_bytes", "kill", "kill_all", "living"]

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
"""Of ``linux/prctl.h``."""
PATIENCE_SECONDS = 5.0
"""How long to go on killing what goes on forking, or will not die."""
PAUSE_SECONDS = 0.002


def adopt_orphans() -> bool:
    """Become the parent of every descendant whose own parent ends; False where the system cannot do it."""
    return _prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """Have this process killed when its `parent` ends, whatever it is doing then."""
    if _prctl(PR_SET_PDEATHSIG, signal.SIGKILL) and os.getppid() != parent:  # it has ended already
        os.kill(os.getpid(), signal.SIGKILL)


def living(root: psutil.Process) -> list[psutil.Process]:
    """Return the descendants of a process; those that are dead and only not yet collected are left out.

    Of a process that has ended there are none, even if another has its number by now.
    """
    found = []
    with contextlib.suppress(psutil.Error):
        for process in root.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
    return found


def held_bytes(root: psutil.Process, limit_bytes: int) -> int:
    """Return the resident memory of the descendants of a process, its own not included.

    The sum over processes counts shared pages, torch's libraries among them, once for each process; only where
    that sum is over the limit are they counted once for all, which is a hundred times dearer to find out.
    """
    processes = living(root)
    resident = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            resident += process.memory_info().rss
    if resident <= limit_bytes:
        return resident
    return sum(map(_proportional_bytes, processes))


def kill_all(root: psutil.Process) -> bool:
    """Kill every descendant of a process, again and again until none is left; False if some would not die."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while left := living(root):
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if time.monotonic() >= deadline:
            return False
        time.sleep(PAUSE_SECONDS)
    return True


def kill(process: psutil.Process) -> None:
    """Kill a process, whoever its parent is by now, and wait until it is dead; who collects it is not waited for."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with contextlib.suppress(psutil.Error):
        process.kill()
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
            time.sleep(PAUSE_SECONDS)


def end_escaped(name: str, value: str) -> set[int]:
    """Kill what was started with the environment variable `name` at `value` and is no descendant of this process.

    That is how a process is known whose every ancestor of ours has been killed, unless it has cleared its environment.
    Returns the numbers of those that were killed; what they start meanwhile is killed too.
    """
    killed: set[int] = set()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (left := _escaped(name, value)) and time.monotonic() < deadline:
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
                killed.add(process.pid)
        time.sleep(PAUSE_SECONDS)
    return killed


def _escaped(name: str, value: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(name) == value:
                found.append(process)
    # Whose they are is asked last: a cell that has started meanwhile is ours, though it was not when this began.
    ours = {os.getpid(), *(process.pid for process in psutil.Process().children(recursive=True))}
    return [process for process in found if process.pid not in ours]


def _prctl(option: int, value: int) -> bool:
    return sys.platform == "linux" and ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0


def _proportional_bytes(process: psutil.Process) -> int:
    try:
        memory = process.memory_full_info()
    except psutil.Error:
        return 0
    return int(getattr(memory, "pss", memory.rss))
