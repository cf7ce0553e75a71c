"""A cell in its own process, as the pool sees it: what it says, what it prints, its limits, and how it ended.

Never waits for the process: everything is read as it arrives, and only so much at a time, so that a cell that prints
for ever holds up nobody. Must not know of stores, records or other cells.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from harness.execute import child, descendants, endings, forkserver
from harness.execute.job import Job
from harness.execute.messages import CellOutcome, CellRequest, MessageReader, Progress, Setting
from harness.execute.records import CellRun
from harness.execute.tail import Tail
from harness.results.resources import out_of_memory_kills

__all__ = ["CellProcess"]

CHUNK_BYTES = 1 << 16
"""What a pipe holds."""
CHUNKS_AT_ONCE = 16
LAST_WORDS_SECONDS = 5.0
"""How long a process may go on after it has given its outcome, or after it was killed."""


class CellProcess:
    """Starts the cell of `job`; `OSError` or `EOFError` if the fork server dies meanwhile."""

    def __init__(self, job: Job, request: CellRequest) -> None:
        self.job = job
        self._tail = Tail()
        self._reader = MessageReader()
        self._setting: Setting | None = None
        self._outcome: CellOutcome | None = None
        """What the worker said."""
        self._verdict: CellOutcome | None = None
        """Why the process was killed, if it was."""
        self._supervisor: psutil.Process | None = None
        """None if it was over before it was seen."""
        self._folder = Path(tempfile.mkdtemp(prefix="spikeboard-cell-"))
        self._kills_before = out_of_memory_kills()
        self._started_at, self._began = datetime.now(UTC), time.monotonic()
        self.deadline = self._began + job.timeout_seconds
        context = forkserver.context()
        self._messages, messages = context.Pipe(duplex=False)
        self._output, output = context.Pipe(duplex=False)
        lifeline, self._lifeline = context.Pipe(duplex=False)
        # Ends that a failed start leaves open are closed when they are collected.
        ends = child.Ends(messages, output, lifeline)
        try:
            self._process = forkserver.launch(child.main, (replace(request, folder=self._folder), ends))
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        with contextlib.suppress(psutil.Error):
            self._supervisor = psutil.Process(self.pid)
        for end in (messages, output, lifeline):
            end.close()
        for end in (self._messages, self._output):
            os.set_blocking(end.fileno(), False)

    @property
    def pid(self) -> int:
        """Process id of the cell's supervisor: all that the cell starts is among its descendants."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone, or its fork server, or it could not be killed and is left behind."""
        return not self._process.is_alive() or (self._verdict is not None and time.monotonic() >= self.deadline)

    @property
    def was_killed(self) -> bool:
        """Whether a signal ended it, so that its supervisor may not have come to the end of its work."""
        return (self._process.exitcode or 0) < 0

    @property
    def lost_its_server(self) -> bool:
        """Whether the fork server that started it has died before it."""
        return self._process.exitcode == forkserver.SERVER_DIED

    def sources(self) -> list[Connection | int]:
        """Return what to wait for: it becomes readable when there is something to `read`, or the process ends."""
        return [self._process.sentinel, *(end for end in (self._messages, self._output) if not end.closed)]

    def read(self) -> list[Progress]:
        """Take in what has arrived, and return the progress it tells of."""
        self._tail.feed(_arrived(self._output))
        progress = []
        for message in self._reader.feed(_arrived(self._messages)):
            match message:
                case Progress():
                    progress.append(message)
                case Setting():
                    self._setting = message
                case CellOutcome():
                    self._outcome = message
                    self.deadline = min(self.deadline, time.monotonic() + LAST_WORDS_SECONDS)
        return progress

    def enforce_limits(self) -> None:
        """Kill the cell if it is over its time or its memory."""
        if self._verdict is not None:
            return
        if time.monotonic() >= self.deadline:
            self.kill(endings.timed_out(self.job.timeout_seconds))
            return
        held = descendants.held_bytes(self._supervisor, self.job.memory_bytes) if self._supervisor else 0
        if held > self.job.memory_bytes:
            self.kill(endings.over_memory(held, self.job.memory_bytes))

    def kill(self, verdict: CellOutcome) -> None:
        """Kill the cell and all it started; `verdict` is its outcome, unless it has already given one."""
        if self._verdict is None:
            self._verdict = verdict
            self.deadline = time.monotonic() + LAST_WORDS_SECONDS
        self._end_all()

    def close(self) -> tuple[CellOutcome, CellRun, tuple[str, ...]]:
        """Clear away what is left of the cell; return its outcome, when and how it ran, and its last lines."""
        duration_seconds = time.monotonic() - self._began
        orphaned = not self._process.is_alive() and psutil.pid_exists(self.pid)
        self._end_all()
        self._process.join(LAST_WORDS_SECONDS)
        self.read()
        self._read_what_was_left()
        for end in (self._messages, self._output, self._lifeline):
            end.close()
        lines = self._tail.lines()
        outcome = self._outcome or self._verdict
        if outcome is None:
            short_of_memory = out_of_memory_kills() > self._kills_before
            outcome = (
                endings.orphaned() if orphaned else endings.died(self._process.exitcode or 0, lines, short_of_memory)
            )
        return outcome, CellRun(self._started_at, duration_seconds, self._setting), lines

    def _end_all(self) -> None:
        """Kill what the cell has started, then its supervisor; both may end at any moment by themselves."""
        if self._supervisor is not None and self._supervisor.is_running():
            descendants.kill_all(self._supervisor)
            descendants.kill(self._supervisor)
        elif self._process.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def _read_what_was_left(self) -> None:
        """Take in an outcome that found no pipe, and remove the cell's folder."""
        with contextlib.suppress(OSError):
            for message in MessageReader().feed((self._folder / child.LEFT_OUTCOME).read_bytes()):
                if isinstance(message, CellOutcome) and self._outcome is None:
                    self._outcome = message
        shutil.rmtree(self._folder, ignore_errors=True)


def _arrived(end: Connection) -> bytes:
    """Read what is there, up to a limit, without waiting; closes the pipe at its end."""
    chunks: list[bytes] = []
    while not end.closed and len(chunks) < CHUNKS_AT_ONCE:
        try:
            chunk = os.read(end.fileno(), CHUNK_BYTES)
        except BlockingIOError:
            break
        if not chunk:
            end.close()
        chunks.append(chunk)
    return b"".join(chunks)
