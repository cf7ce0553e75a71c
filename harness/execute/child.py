"""The life of a cell's process: cut off from its parent, run the worker, say how it went, end.

The fork server's children start here. Imports the worker, and with it torch, only once it is isolated.
"""

from __future__ import annotations

import ctypes
import os
import sys
from multiprocessing.connection import Connection
from typing import NamedTuple, NoReturn

from harness.execute.isolation import isolate
from harness.execute.messages import Message, Request, encoded

__all__ = ["Ends", "main"]


class Ends(NamedTuple):
    """The child's ends of the pipes to its parent."""

    messages: Connection
    output: Connection
    lifeline: Connection


def main(request: Request, ends: Ends) -> NoReturn:
    """Run the cell of `request` and end this process."""
    isolate(ends.output.fileno(), ends.lifeline.fileno(), request.memory_bytes)
    from harness.execute.worker import work

    channel = open(ends.messages.fileno(), "wb", closefd=False)  # noqa: SIM115 - open until the process ends

    def send(message: Message) -> None:
        channel.write(encoded(message))
        channel.flush()

    outcome = work(request, send)
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.CDLL(None).fflush(None)
    send(outcome)
    # Not through the interpreter's end: a thread or a hook that the cell left behind could hang there.
    os._exit(0)
