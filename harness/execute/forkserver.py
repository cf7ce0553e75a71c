"""The process that has imported torch once and from which every cell is forked.

It is multiprocessing's fork server, started so that it imports from the same path as this process, stays out of the
terminal's Ctrl-C, and forks children that do not run this program's main module again. It knows the rows and the
code of the moment it was started. Must not import torch, and what it preloads must never touch CUDA: a forked
process could not use it any more.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from types import ModuleType
from typing import Any

from harness.errors import UserError

__all__ = ["compilers_for", "context", "launch", "start", "stop", "wait_until_ready"]

PRELOAD = "harness.execute.preload"
COMPILERS = {
    "compiled": "harness.execute.preload_compiler",
    "fused": "harness.execute.preload_kernels",
    "fused-numba": "harness.execute.preload_kernels",
}
"""What a backend needs beside the usual: it takes the server as long to import as it takes each cell."""
WORTH_IMPORTING = 3
"""Cells of a backend from which on the server imports what they need."""
LONGEST_FOLDER = 64
"""Bytes; the path of a socket may have 103, and multiprocessing adds ``/pymp-xxxxxxxx/listener-xxxxxxxx``."""
SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")
_also: list[str] = []
"""What else the server imports."""


def context() -> ForkServerContext:
    """Return the multiprocessing context to make pipes and processes with."""
    return multiprocessing.get_context("forkserver")


def compilers_for(backends: Iterable[str]) -> tuple[str, ...]:
    """Return the modules that the server should import for cells of these `backends`, one of each cell."""
    cells = Counter(COMPILERS[backend] for backend in backends if backend in COMPILERS)
    return tuple(module for module, count in cells.items() if count >= WORTH_IMPORTING)


def start(*also: str) -> None:
    """Start the fork server unless it is running; returns at once, while it imports (the modules `also` too)."""
    _also[:] = also
    with _surroundings():
        forkserver.ensure_running()


def wait_until_ready() -> None:
    """Wait until the fork server has imported everything and forks.

    Raises
    ------
    UserError
        If it died meanwhile.
    """
    try:
        launch(os.getpid, ()).join()
    except (OSError, EOFError) as error:
        raise UserError(
            "the process that imports torch for all cells died", f'python -c "import {PRELOAD}" shows why'
        ) from error


def launch(target: Callable[..., object], arguments: tuple[Any, ...]) -> ForkServerProcess:
    """Fork a process that calls `target`, which must be importable from its module, with `arguments`.

    Raises
    ------
    OSError, EOFError
        If the fork server died, and a new one too.
    """
    try:
        return _launch(target, arguments)
    except (EOFError, ConnectionError):
        # It was dying and not yet seen to be dead.
        stop()
        return _launch(target, arguments)


def _launch(target: Callable[..., object], arguments: tuple[Any, ...]) -> ForkServerProcess:
    process = context().Process(target=target, args=arguments)
    # Starting a process starts the server too, if it has died.
    with _surroundings(), _no_main_module():
        process.start()
    return process


def stop() -> None:
    """End the fork server; the next pool starts one that sees the files and rows of its own time."""
    server: Any = forkserver._forkserver
    if server._forkserver_pid is not None:
        # Killed, because it would wait for any process that inherited its pipe; then multiprocessing tidies up.
        os.kill(server._forkserver_pid, signal.SIGKILL)
        server._stop()


@contextlib.contextmanager
def _surroundings() -> Iterator[None]:
    """Set up what the fork server takes over from this process when it is started."""
    context().set_forkserver_preload([PRELOAD, *_also])
    with _interrupt_masked(), _environment(), _short_temporary_folder():
        yield


@contextlib.contextmanager
def _interrupt_masked() -> Iterator[None]:
    """Block Ctrl-C in what is started here; a child unblocks it once it is out of the terminal's session."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """Set the variables that a started interpreter shall see.

    The import path, which Python before 3.14 forgets to hand over: a module that is not found would be skipped
    silently, and each cell would import torch for itself. And a filter for multiprocessing's resource tracker, which
    clears up semaphores that a killed cell has left and would complain of it.
    """
    wanted = {
        "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path),
        "PYTHONWARNINGS": ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), "ignore:resource_tracker"])),
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _short_temporary_folder() -> Iterator[None]:
    """Let multiprocessing make its socket where the path is short enough for one, whatever TMPDIR is."""
    before = tempfile.tempdir
    if len(os.fsencode(tempfile.gettempdir())) > LONGEST_FOLDER:
        usable = [folder for folder in SHORT_FOLDERS if os.access(folder, os.W_OK | os.X_OK)]
        if not usable:
            raise UserError(
                f"{tempfile.gettempdir()} is too long for the path of a socket, and {' and '.join(SHORT_FOLDERS)} "
                "cannot be written",
                f"set TMPDIR to a folder of at most {LONGEST_FOLDER} bytes",
            )
        tempfile.tempdir = usable[0]
    try:
        yield
    finally:
        tempfile.tempdir = before


@contextlib.contextmanager
def _no_main_module() -> Iterator[None]:
    """Keep multiprocessing from running this program's main module again in each child.

    It would do so to unpickle what is defined there; nothing of ours is, and the command line takes long to import.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
