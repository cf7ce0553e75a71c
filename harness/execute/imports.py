"""Which modules the fork server may import, and how it says which one it is at.

A module of a suite or a task that ends the process or hangs when it is imported would stop every run. The server
names in a file what it is about to import; whoever waits for it sees where it stays, and starts it again without
that module. Must not import torch, nor what it names.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

__all__ = ["FILE_VARIABLE", "LEFT_OUT_VARIABLE", "import_named", "say_ready", "stuck_at"]

FILE_VARIABLE, LEFT_OUT_VARIABLE = "SPIKEBOARD_IMPORTING", "SPIKEBOARD_NOT_IMPORTED"
"""Environment variables of the server: the file that it writes to; the modules that it leaves out."""
READY = "ready"
LONGEST_IMPORT_SECONDS = 60.0
"""For one module; torch is imported already by then."""
LONGEST_START_SECONDS = 600.0
"""For all that is not named: torch and its kin, from a cold disk."""
POLL_SECONDS = 0.02


def import_named(modules: Iterable[str]) -> None:
    """Import `modules` but those left out, in the server, and say in between which one is next."""
    left_out = os.environ.get(LEFT_OUT_VARIABLE, "").split(",")
    for module in modules:
        if module not in left_out:
            _say(module)
            # A module that fails here fails again in its own cells, which say why.
            with contextlib.suppress(Exception, SystemExit):
                importlib.import_module(module)
    _say("")


def say_ready() -> None:
    """Say, in the server, that all is imported."""
    _say(READY)


def stuck_at(file: Path, lives: Callable[[], bool]) -> Mapping[str, str]:
    """Wait for the server that writes to `file`; return the module that it cannot import and why, or nothing.

    `lives` says whether the server does. Of one that died or stayed where no module is named, the next fork tells.
    """
    at, since = "", time.monotonic()
    while at != READY:
        alive, now = lives(), file.read_text(encoding="utf-8")
        longest = LONGEST_IMPORT_SECONDS if at else LONGEST_START_SECONDS
        if now != at:
            at, since = now, time.monotonic()
        elif not alive:
            return {at: "it ends the process that imports it"} if at else {}
        elif time.monotonic() - since > longest:
            return {at: f"the import had not come to an end after {longest:g} s"} if at else {}
        time.sleep(POLL_SECONDS)
    return {}


def _say(what: str) -> None:
    file = os.environ.get(FILE_VARIABLE)
    if file:
        with contextlib.suppress(OSError):  # nobody waits any more
            Path(file).write_text(what, encoding="utf-8")
