"""The process between the fork server and a cell: it adopts what the cell leaves behind, and ends it all.

A process that leaves its session, its group or its parent stays a descendant of its supervisor, which runs nothing
but this module: nothing of a cell outlives it. Must not know what a cell is.
"""

from __future__ import annotations

import os
import resource
import select
import shutil
import signal
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn

import psutil

from harness.execute.descendants import adopt_orphans, die_with_parent, kill_all

__all__ = ["supervise"]

CATCHABLE = set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}


def supervise(
    run: Callable[[], NoReturn], lifeline: Connection, cells_own: Iterable[Connection], folder: Path
) -> NoReturn:
    """Call `run` in a child, wait for its end, end all it has started, and end the same way.

    Parameters
    ----------
    run : never returns.
    lifeline : a pipe that nobody writes to; when its other end closes, everything ends at once.
    cells_own : what the child alone keeps open.
    folder : removed if the lifeline closes, because nobody else is left to do it.
    """
    os.setsid()
    adopt_orphans()
    supervisor = os.getpid()
    child = os.fork()
    if child == 0:
        die_with_parent(supervisor)
        run()
    # What the child does to its parent, short of killing it, is not heard.
    signal.pthread_sigmask(signal.SIG_BLOCK, CATCHABLE)
    for end in cells_own:
        end.close()
    status = _end_of(child, lifeline.fileno())
    if _has_children():
        kill_all(psutil.Process(supervisor))
    if status is None:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)
    _end_with(os.waitstatus_to_exitcode(status))


def _end_of(child: int, lifeline: int) -> int | None:
    """Collect orphans until the child ends, and return its status; None if the lifeline was closed."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended == child:
            return status
        if ended:
            continue
        readable, _, _ = select.select([lifeline, reader], [], [])
        if lifeline in readable:
            return None
        os.read(reader, 512)


def _has_children() -> bool:
    """Whether anything is left: whose parent has ended is a child of this process. A scan of all processes is dear."""
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def _end_with(exit_code: int) -> NoReturn:
    """End as the child did; negative is a signal."""
    if exit_code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        if -exit_code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-exit_code, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {-exit_code})
        os.kill(os.getpid(), -exit_code)
    os._exit(exit_code if exit_code >= 0 else 1)
