"""The life of a cell's process: supervised, cut off from its parent, run the worker, say how it went, end.

The fork server's children start here. Imports the worker, and with it torch, only once it is isolated.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple, NoReturn

from harness.execute.isolation import isolate
from harness.execute.leases import VISIBLE, Lease
from harness.execute.messages import CellRequest, Message, encoded
from harness.execute.supervisor import supervise

__all__ = ["LEFT_OUTCOME", "Ends", "main"]

LEFT_OUTCOME = "outcome"
"""File in the cell's folder that takes the outcome where the pipe is gone."""


class Ends(NamedTuple):
    """The child's ends of the pipes to its parent."""

    messages: Connection
    output: Connection
    lifeline: Connection


def main(request: CellRequest, ends: Ends) -> NoReturn:
    """Run the cell of `request`, and end this process when nothing of it is left."""
    supervise(functools.partial(_cell, request, ends), ends.lifeline, (ends.messages, ends.output), request.folder)


def _cell(request: CellRequest, ends: Ends) -> NoReturn:
    isolate(ends.output.fileno(), ends.lifeline.fileno(), request.memory_bytes, request.folder)
    if request.lease is not None:
        _keep_to(request.lease)
    from harness.execute.worker import work

    process, pipe = os.getpid(), _Pipe(ends.messages.fileno())
    outcome = work(request, pipe.send)
    if os.getpid() == process:  # else it is a fork that the cell made, and that has come back here
        with contextlib.suppress(OSError):
            _deliver(encoded(outcome), pipe, request.folder)
        # What the cell has done to its streams must not cost what it has found out.
        for flush in (sys.stdout.flush, sys.stderr.flush, lambda: ctypes.CDLL(None).fflush(None)):
            with contextlib.suppress(BaseException):
                flush()
    # Not through the interpreter's end: a thread or a hook that the cell left behind could hang there.
    os._exit(0)


def _keep_to(lease: Lease) -> None:
    """Let this process see its GPU only, as the first, and use the processors that go with it."""
    os.environ[VISIBLE] = lease.gpu.uuid
    if lease.cpus is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, lease.cpus)


class _Pipe:
    """The way to the parent, as long as the cell leaves it alone: what it has closed may lead elsewhere."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is = os.fstat(descriptor).st_ino

    def write(self, line: bytes) -> bool:
        """Write all of `line`; False if the pipe is gone."""
        left = memoryview(line)
        try:
            if os.fstat(self._descriptor).st_ino != self._is:
                return False
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError:
            return False
        return True

    def send(self, message: Message) -> None:
        """Send what may be lost."""
        self.write(encoded(message))


def _deliver(line: bytes, pipe: _Pipe, folder: Path) -> None:
    """Send the outcome, or leave it where the parent looks for it."""
    if not pipe.write(line):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LEFT_OUTCOME).write_bytes(line)
