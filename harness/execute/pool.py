"""Runs jobs on this machine: each in a forked process, side by side where that disturbs no measurement.

Every cell that ends, however it ends, is a record in the store before the next one starts. Must not import torch:
the pool's own process stays light, and what it forks comes from the fork server.
"""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness.catalogue.cards import Registry, load_registry
from harness.execute import endings, forkserver
from harness.execute.isolation import HELD_BACK
from harness.execute.job import Job, Listener, Summary
from harness.execute.messages import CellOutcome, CellRequest
from harness.execute.outbox import Outbox
from harness.execute.process import CellProcess
from harness.execute.records import CellRun, Recorder
from harness.measure.neighbours import Watch
from harness.results.machine import this_machine
from harness.results.record import Status
from harness.results.store import Store

__all__ = ["LocalPool", "may_start"]

LOOK_SECONDS = 0.3
"""How long other processes are watched before the first timing."""
WATCH_SECONDS = 0.25
"""How often limits are looked at; also how long a Ctrl-C may go unnoticed."""


class LocalPool:
    """A pool of processes on this machine; use it in a ``with`` statement.

    Parameters
    ----------
    store : takes a record of every job.
    data_root : folder of data sets; None: the default places.
    scratch : folder that outlives the cells, for what later ones may use again.
    slots : CPU threads that shared jobs may use together; None: one for each physical core.
    rows : what the jobs' names stand for; None: all cards that are found. A suite can be tried by adding its row.
    vectors : golden vectors for the contract, in place of those that travel with the project.
    backends : of the cells that will be run, one of each: a compiler that several need is imported once for all.
    """

    def __init__(
        self,
        store: Store,
        data_root: Path | None = None,
        scratch: Path | None = None,
        slots: int | None = None,
        registry: Registry | None = None,
        vectors: Path | None = None,
        backends: Iterable[str] = (),
    ) -> None:
        self.store = store
        self.recorder = Recorder(registry or load_registry())
        self._data_root = data_root
        self._scratch = scratch
        self._vectors = vectors
        self._preload = forkserver.compilers_for(backends)
        self._slots = slots or this_machine().physical_cores

    def __enter__(self) -> Self:
        forkserver.start(*self._preload)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        forkserver.stop()

    def run(self, jobs: Iterable[Job], listener: Listener | None = None) -> Summary:
        """Run `jobs` in their order and return how many ended in which way.

        A first Ctrl-C, SIGTERM or another of `HELD_BACK` kills what is running, records it as interrupted and returns;
        a second one raises at once.

        Raises
        ------
        UserError
            If the fork server cannot start, or the store cannot be written: before anything is measured, or, after what
            was running has ended, where to is what was measured.
        """
        with _Interrupt() as interrupt:
            waiting = deque(jobs)
            self.store.require_writable((job.cell for job in waiting), self.recorder.origin.machine.name)
            left_out = forkserver.wait_until_ready() if waiting else {}
            return _Session(self, waiting, listener or Listener(), interrupt, left_out).run()

    def start(self, job: Job) -> CellProcess:
        """Start the process of `job`."""
        # A cell works in a folder of its own.
        data_root, scratch, vectors = (
            path and path.absolute() for path in (self._data_root, self._scratch, self._vectors)
        )
        registry = self.recorder.registry.for_cell(job.cell)
        request = CellRequest(job.cell, registry, data_root, scratch, vectors, job.memory_bytes)
        return CellProcess(job, request)

    def modules_of(self, job: Job) -> list[str]:
        """Return the modules of the suite and the task of `job`."""
        registry = self.recorder.registry
        used = (registry.suites.get(job.cell.suite), registry.tasks.get(job.cell.task))
        return [row.module for row in used if row is not None]

    def has_room(self, job: Job, running: Sequence[Job]) -> bool:
        """Whether `job` may start beside those that are running."""
        return may_start(job, running, self._slots)


def may_start(job: Job, running: Sequence[Job], slots: int) -> bool:
    """Whether `job` may start: alone if it is exclusive, else while there are slots for its threads.

    A job never overtakes another, so an exclusive one is not starved by those behind it.
    """
    if not running:
        return True
    if job.exclusive or any(other.exclusive for other in running):
        return False
    return sum(other.cell.threads for other in running) + job.cell.threads <= slots


class _Session:
    """One call of `LocalPool.run`: what waits, what runs, what has been counted."""

    def __init__(
        self,
        pool: LocalPool,
        waiting: deque[Job],
        listener: Listener,
        interrupt: _Interrupt,
        left_out: Mapping[str, str],
    ) -> None:
        self._pool = pool
        self._waiting = waiting
        self._listener = listener
        self._listener_is_gone = False
        self._left_out = left_out
        self._interrupt = interrupt
        self._running: list[CellProcess] = []
        self._outbox = Outbox(pool.store)
        self._counts: Counter[Status] = Counter()
        self._noisy: dict[Job, bool] = {}
        """Jobs that were timed too noisily; whether they have had their second try."""
        self._looked = False
        self._next_watch = 0.0

    def run(self) -> Summary:
        try:
            while self._running or (self._may_go_on() and self._any_waiting()):
                if self._interrupt.asked:
                    for cell in self._running:
                        cell.kill(endings.interrupted())
                else:
                    self._start_what_may()
                self._take_in()
                self._watch()
                self._settle()
        finally:
            for cell in self._running:
                cell.kill(endings.interrupted())
                cell.close()
            self._outbox.close()
        return Summary(dict(self._counts), len(self._waiting), self._interrupt.signal)

    def _start_what_may(self) -> None:
        if not self._may_go_on():
            return
        while self._waiting and self._pool.has_room(self._waiting[0], [cell.job for cell in self._running]):
            job = self._waiting.popleft()
            harmful = next((module for module in self._pool.modules_of(job) if module in self._left_out), None)
            if harmful:
                outcome = endings.not_importable(harmful, self._left_out[harmful])
                self._record(job, outcome, CellRun(datetime.now(UTC), 0.0))
                continue
            self._look_around(job)
            try:
                cell = self._pool.start(job)
            except (OSError, EOFError) as error:
                self._record(job, endings.not_started(error), CellRun(datetime.now(UTC), 0.0))
                continue
            self._running.append(cell)
            self._tell(self._listener.started, job)

    def _take_in(self) -> None:
        """Wait until something happens, and read what the cells say and print."""
        now = time.monotonic()
        next_event = min([self._next_watch, *(cell.deadline for cell in self._running)])
        wait([source for cell in self._running for source in cell.sources()], max(0.0, next_event - now))
        for cell in self._running:
            for progress in cell.read():
                self._tell(self._listener.progressed, cell.job, progress.fraction, progress.note)

    def _watch(self) -> None:
        now = time.monotonic()
        if now >= min([self._next_watch, *(cell.deadline for cell in self._running)]):
            self._next_watch = now + WATCH_SECONDS
            for cell in self._running:
                cell.enforce_limits()

    def _settle(self) -> None:
        """Turn cells whose process is gone into records."""
        for cell in [cell for cell in self._running if cell.has_ended]:
            self._running.remove(cell)
            outcome, run, tail = cell.close()
            if cell.was_killed:
                forkserver.end_strays([other.pid for other in self._running])
            if cell.was_killed or cell.lost_its_server:
                outcome = endings.with_escaped(outcome, forkserver.end_escaped(cell.lost_its_server))
            self._record(cell.job, outcome, run, tail)

    def _may_go_on(self) -> bool:
        """Whether more may be measured: not after a Ctrl-C, nor while records cannot be written."""
        return not self._interrupt.asked and not self._outbox.held

    def _any_waiting(self) -> bool:
        """Whether anything is left to start; at the end, what was too noisy is put in line once more."""
        if not self._waiting and not self._running and not self._interrupt.asked:
            for job in [job for job, tried in self._noisy.items() if not tried]:
                self._noisy[job] = True
                self._counts["noisy"] -= 1
                self._waiting.append(job)
                self._tell(self._listener.again, job)
            self._counts += Counter()  # forgets what came down to 0
        return bool(self._waiting)

    def _look_around(self, job: Job) -> None:
        """Say once, before the first timing, if other processes use the machine."""
        if self._looked or not self._pool.recorder.registry.suite(job.cell.suite).timed:
            return
        self._looked = True
        watch = Watch()
        time.sleep(LOOK_SECONDS)
        load = watch.load()
        if not load.quiet:
            self._tell(self._listener.disturbed, load)

    def _tell(self, event: Callable[..., None], *what: object) -> None:
        """Tell the listener of an event, until it cannot write any more: a terminal that has gone costs no record."""
        if self._listener_is_gone:
            return
        try:
            event(*what)
        except OSError:
            self._listener_is_gone = True

    def _record(self, job: Job, outcome: CellOutcome, run: CellRun, output_tail: tuple[str, ...] = ()) -> None:
        record = self._pool.recorder.record(job.cell, job.code_hash, outcome, run, output_tail)
        self._outbox.put(record)
        self._counts[record.status] += 1
        if record.status == "noisy":
            self._noisy.setdefault(job, False)
        self._tell(self._listener.finished, job, record)


class _Interrupt:
    """Turns the first signal to end inside a ``with`` block into a flag, so that it cannot break a record's writing."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    @property
    def asked(self) -> bool:
        """Whether the run shall end."""
        return self.signal is not None

    def __enter__(self) -> Self:
        # Only the main thread may; and what is ignored (a shell's background job, nohup) shall stay so.
        if threading.current_thread() is threading.main_thread():
            for number in HELD_BACK:
                before = signal.getsignal(number)
                if before is not signal.SIG_IGN:
                    self._before[number] = before
                    signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _ask(self, number: int, _frame: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.signal = number
