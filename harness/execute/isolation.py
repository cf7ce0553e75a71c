"""What a cell's process does to itself before it runs foreign code: own group, output and folder, limits, no outliving.

Runs in the child, right after the fork. Must not import torch: a process that dies here must have touched nothing.
"""

from __future__ import annotations

import contextlib
import faulthandler
import fcntl
import os
import resource
import select
import signal
import sys
import threading
from pathlib import Path
from typing import TextIO

__all__ = ["HELD_BACK", "isolate", "lift_memory_limit"]

HELD_BACK = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP} | {
    getattr(signal, name) for name in ("SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGXCPU") if hasattr(signal, name)
}
"""Signals that a terminal or a batch system (some warn with the last three) sends to all processes of a run; the pool
answers them for all."""


def isolate(output: int, lifeline: int, memory_bytes: int | None, folder: Path) -> None:
    """Cut this process off from its parent, except for the pipes it was given.

    Parameters
    ----------
    output : descriptor that takes the place of standard output and error, for C code too.
    lifeline : descriptor of a pipe that nobody writes to; when its other end closes, this process group dies.
    memory_bytes : soft limit of private writable memory, so that an allocation fails where it is made.
    folder : to work in; what is left there goes with the cell.
    """
    # A session of its own: the terminal's Ctrl-C goes to the parent alone, and one signal ends all descendants.
    os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)
    os.chdir(folder)
    sys.stdout, sys.stderr = _redirected(1, output), _redirected(2, output)
    _die_with(lifeline)
    faulthandler.enable(all_threads=False)
    _set_soft_limit(resource.RLIMIT_CORE, 0)
    if memory_bytes is not None:
        _set_soft_limit(resource.RLIMIT_DATA, memory_bytes)
    with contextlib.suppress(OSError):
        # Should the system itself run out of memory, it shall take the cell and not the pool.
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def lift_memory_limit() -> None:
    """Let this process allocate again, to say that it ran out of memory."""
    _set_soft_limit(resource.RLIMIT_DATA, resource.RLIM_INFINITY)


def _redirected(descriptor: int, target: int) -> TextIO:
    """Let `descriptor` lead to `target`; return a stream that writes by line, so that a crash takes nothing along."""
    os.dup2(target, descriptor)
    return open(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _set_soft_limit(what: int, value: int) -> None:
    hard = resource.getrlimit(what)[1]
    if hard != resource.RLIM_INFINITY and (value == resource.RLIM_INFINITY or value > hard):
        value = hard
    resource.setrlimit(what, (value, hard))


def _die_with(lifeline: int) -> None:
    """Have the whole process group killed when the other end of `lifeline` is closed."""
    if hasattr(fcntl, "F_SETSIG"):
        # On Linux the kernel does it, even where a hanging C call would keep every Python thread from running.
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | fcntl.FASYNC)
        if select.select([lifeline], [], [], 0)[0]:  # closed before the kernel was asked
            os.killpg(0, signal.SIGKILL)
    else:
        threading.Thread(target=_kill_group_at_end, args=(lifeline,), daemon=True).start()


def _kill_group_at_end(lifeline: int) -> None:
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)
