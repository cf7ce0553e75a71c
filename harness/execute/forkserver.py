"""The process that has imported torch once and from which every cell is forked.

It is multiprocessing's fork server, started so that it imports from the same path as this process, stays out of the
terminal's Ctrl-C, and forks children that do not run this program's main module again. It knows the rows and the
code of the moment it was started. Must not import torch, and what it preloads must never touch CUDA: a forked
process could not use it any more.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

from harness.errors import UserError
from harness.execute import descendants, imports
from harness.execute.descendants import kill_all
from harness.execute.isolation import HELD_BACK

__all__ = [
    "SERVER_DIED",
    "compilers_for",
    "context",
    "end_escaped",
    "end_strays",
    "launch",
    "start",
    "stop",
    "wait_until_ready",
]

PRELOAD, LAST = "harness.execute.preload", "harness.execute.preload_end"
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
LAST_MOMENTS_SECONDS = 1.0
"""How long a server that has closed its pipes may take to be gone."""
SERVER_DIED = 255
"""Exit code that multiprocessing gives to a process whose fork server has died, and nobody can say how it ended."""
_also: list[str] = []
"""What else the server imports."""
_left_out: dict[str, str] = {}
"""Modules of suites and tasks that cannot be imported, and why."""


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
    _left_out.clear()
    _ensure_running()


def _ensure_running() -> None:
    with _surroundings():
        forkserver.ensure_running()


def wait_until_ready() -> Mapping[str, str]:
    """Wait until the fork server has imported everything and forks.

    Returns
    -------
    The modules of suites and tasks that it had to leave out, because they end or hold up what imports them, and why.

    Raises
    ------
    UserError
        If it died of anything else.
    """
    _ensure_running()
    while found := imports.stuck_at(_importing_file(), _lives):
        _left_out.update(found)
        stop()
        _ensure_running()
    try:
        launch(os.getpid, ()).join()
        return dict(_left_out)
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


@functools.cache
def _importing_file() -> Path:
    """Make the file in which the servers of this process say what they import."""
    handle, name = tempfile.mkstemp(prefix="spikeboard-importing-")
    os.close(handle)
    atexit.register(Path(name).unlink, missing_ok=True)
    return Path(name)


def _lives() -> bool:
    """Whether there is a server of which any thread is left: to the end, its children are children of that."""
    pid: int | None = getattr(forkserver._forkserver, "_forkserver_pid", None)
    try:
        return pid is not None and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


def _launch(target: Callable[..., object], arguments: tuple[Any, ...]) -> ForkServerProcess:
    process = context().Process(target=target, args=arguments)
    # Starting a process starts the server too, if it has died.
    with _surroundings(), _no_main_module():
        process.start()
    return process


def end_strays(supervisors: Collection[int]) -> None:
    """Kill what the server has adopted: its children that are none of the `supervisors`, with all they have started."""
    pid: int | None = getattr(forkserver._forkserver, "_forkserver_pid", None)
    if pid is None:
        return
    with contextlib.suppress(psutil.Error):
        for stray in psutil.Process(pid).children():
            if stray.pid not in supervisors:
                kill_all(stray)
                stray.kill()


def end_escaped(server_died: bool) -> int:
    """Kill what comes from a server of this process and is below none of its processes any more; return how many.

    A cell that kills its supervisor and the server leaves behind what it has started in sessions of their own. If
    `server_died`, its end is waited for: its pipes close before its children get another parent, and until then they
    are still below it.
    """
    deadline = time.monotonic() + LAST_MOMENTS_SECONDS
    while server_died and _lives() and time.monotonic() < deadline:
        time.sleep(0.001)
    return len(descendants.end_escaped(imports.FILE_VARIABLE, str(_importing_file())))


def stop() -> None:
    """End the fork server; the next pool starts one that sees the files and rows of its own time."""
    server: Any = forkserver._forkserver
    if server._forkserver_pid is not None:
        with contextlib.suppress(psutil.Error):
            kill_all(psutil.Process(server._forkserver_pid))
        # Killed, because it would wait for any process that inherited its pipe; then multiprocessing tidies up.
        os.kill(server._forkserver_pid, signal.SIGKILL)
        server._stop()
    _importing_file().write_text("", encoding="utf-8")


@contextlib.contextmanager
def _surroundings() -> Iterator[None]:
    """Set up what the fork server takes over from this process when it is started."""
    context().set_forkserver_preload([PRELOAD, *_also, LAST])
    with _environment(), _short_temporary_folder():
        # Before signals are held back: where it has to be started, it lets them through again afterwards.
        resource_tracker.ensure_running()
        with _signals_held_back():
            yield


@contextlib.contextmanager
def _signals_held_back() -> Iterator[None]:
    """Block in what is started here what ends a run: the pool decides; a cell unblocks it in a session of its own."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """Set the variables that a started interpreter shall see.

    The import path, which Python before 3.14 forgets to hand over: a module that is not found would be skipped
    silently, and each cell would import torch for itself. And a filter for multiprocessing's resource tracker, which
    clears up semaphores that a killed cell has left and would complain of it; the server of orphans it has adopted.
    And torch shall ask NVML whether there is a GPU: asking CUDA would make it useless in everything that is forked.
    """
    wanted = {
        "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
        "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)),
        "PYTHONWARNINGS": ",".join(
            filter(None, [os.environ.get("PYTHONWARNINGS"), "ignore:resource_tracker", "ignore:forkserver"])
        ),
        imports.FILE_VARIABLE: str(_importing_file()),
        imports.LEFT_OUT_VARIABLE: ",".join(_left_out),
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
