"""Runs jobs on this machine: each in a forked process, side by side where that disturbs no measurement.

Must not import torch: the pool's own process stays light, and what it forks comes from the fork server.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.catalogue.cards import Registry
from harness.catalogue.loading import load_registry
from harness.execute import endings, forkserver
from harness.execute.executor import Disturbed, Ended, Event, Noticed, Progressed, Started
from harness.execute.job import Job, Listener, Summary
from harness.execute.leases import Leases
from harness.execute.messages import CellOutcome, CellRequest
from harness.execute.process import CellProcess
from harness.execute.records import CellRun, Recorder
from harness.execute.rows import packed
from harness.execute.session import run_jobs
from harness.measure.neighbours import Watch
from harness.results.machine import this_machine
from harness.results.record import RunnerState
from harness.results.runner import runner_state
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
    leases : of the GPUs that cells may have; None: a cell finds its GPU itself, and disturbs others.
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
        leases: Leases | None = None,
    ) -> None:
        self.store = store
        self.recorder = Recorder(registry or load_registry())
        self._data_root = data_root
        self._scratch = scratch
        self._vectors = vectors
        self._leases = leases or Leases()
        self._preload = forkserver.compilers_for(() if leases else backends)
        self._slots = slots or this_machine().physical_cores
        self._handed: tuple[Registry | None, Registry] = (None, self.recorder.registry)
        """The rows, and those rows as cells are handed them."""
        self._cells: list[CellProcess] = []
        self._left_out: Mapping[str, str] = {}
        """Modules that cannot be imported, and why."""
        self._looked = False
        """Whether other processes were watched before the first timing of a run."""
        self._locked: Mapping[str, bool | None] = {}
        """Whether the clocks of the GPUs were locked then, by UUID: only an idle GPU tells."""
        self._runners: dict[Job, RunnerState] = {}
        """The machine before each timing that runs."""
        self._next_watch = 0.0
        self._held_up = self._said_so = False
        """Whether another run has the GPUs while nothing runs, and whether it was said."""

    def __enter__(self) -> Self:
        forkserver.start(*self._preload)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leases.close()
        forkserver.stop()

    @property
    def running(self) -> Sequence[Job]:
        """Jobs whose process has not ended."""
        return [cell.job for cell in self._cells]

    def run(self, jobs: Iterable[Job], listener: Listener | None = None) -> Summary:
        """Run `jobs` in their order; see :func:`harness.execute.session.run_jobs`."""
        return run_jobs(self, jobs, listener)

    def begin(self, jobs: Sequence[Job]) -> list[Event]:  # noqa: ARG002
        """Wait for the fork server.

        Raises
        ------
        UserError
            If it cannot start.
        """
        self._left_out, self._looked, self._said_so = forkserver.wait_until_ready(), False, False
        return []

    def has_room(self, job: Job) -> bool:
        """Whether `job` may start beside those that are running; one that may has the lease that it needs."""
        if not self._leases.governs(job):
            return may_start(job, self.running, self._slots)
        room = self._has_cores(job) and self._leases.reserve(job)
        self._held_up = not room and not self._cells
        return room

    def _has_cores(self, job: Job) -> bool:
        """Whether a cell with a GPU disturbs none, nor is disturbed: of those with other GPUs, each has its share."""
        running = self.running
        if job.exclusive or any(other.exclusive for other in running):
            return all(self._leases.of(other) is not None for other in running)
        return not running or sum(other.cell.threads for other in running) + job.cell.threads <= self._slots

    def start(self, job: Job) -> list[Event]:
        """Start the process of `job`."""
        harmful = next((module for module in self._modules_of(job) if module in self._left_out), None)
        if harmful:
            return [self.not_run(job, endings.not_importable(harmful, self._left_out[harmful]))]
        events = self._look_around(job)
        try:
            self._cells.append(CellProcess(job, self._request(job)))
        except (OSError, EOFError) as error:
            return [*events, self.not_run(job, endings.not_started(error))]
        return [*events, Started(job)]

    def watch(self, *others: int) -> list[Event]:
        """Wait until something happens, look at the limits, and say what the cells say and how they ended.

        `others` are descriptors that end the waiting, too, when they become readable.
        """
        events: list[Event] = []
        if self._held_up and not self._said_so:
            self._said_so = True
            events.append(Noticed("Another run has the GPUs that are asked for; this one waits until it lets one go."))
        return [*events, *self._take_in(others), *self._settle()]

    def not_run(self, job: Job, outcome: CellOutcome) -> Ended:
        """Return the end of a job that had no process."""
        self._leases.give_back(job)
        self._runners.pop(job, None)
        run = CellRun(datetime.now(UTC), 0.0)
        return Ended(job, self.recorder.record(job.cell, job.code_hash, outcome, run))

    def end(self, verdict: CellOutcome) -> None:
        """Kill the cells that run."""
        for cell in self._cells:
            cell.kill(verdict)

    def abandon(self) -> None:
        """Kill the cells that run, and clear them away."""
        self.end(endings.interrupted())
        while self._cells:
            self._cells.pop().close()
        self._leases.close()

    def _request(self, job: Job) -> CellRequest:
        # A cell works in a folder of its own.
        data_root, scratch, vectors = (
            path and path.absolute() for path in (self._data_root, self._scratch, self._vectors)
        )
        known, registry = self._handed
        if known is not self.recorder.registry:
            known, registry = self._handed = self.recorder.registry, packed(self.recorder.registry)
        rows, lease = registry.for_cell(job.cell), self._leases.of(job)
        return CellRequest(job.cell, rows, data_root, scratch, vectors, job.memory_bytes, lease=lease)

    def _modules_of(self, job: Job) -> list[str]:
        """Return the modules of the suite and the task of `job`."""
        registry = self.recorder.registry
        used = (registry.suites.get(job.cell.suite), registry.tasks.get(job.cell.task))
        return [row.module for row in used if row is not None]

    def _look_around(self, job: Job) -> list[Event]:
        """Look at the machine before a timing; say once, before the first, if other processes use it."""
        if not self.recorder.registry.suite(job.cell.suite).timed:
            return []
        events: list[Event] = []
        if not self._looked:
            self._looked = True
            watch = Watch()
            time.sleep(LOOK_SECONDS)
            if not (load := watch.load()).quiet:
                events.append(Disturbed(load))
            idle = runner_state(gpu.uuid for gpu in self._leases.gpus)
            self._locked = {gpu.uuid: gpu.clocks_locked for gpu in idle.gpus}
        lease = self._leases.of(job)
        self._runners[job] = runner_state([lease.gpu.uuid] if lease else (), self._locked)
        return events

    def _take_in(self, others: Sequence[int]) -> list[Event]:
        """Wait until something happens, read what the cells say and print, and look at their limits."""
        next_event = min([self._next_watch, *(cell.deadline for cell in self._cells)])
        sources = [*others, *(source for cell in self._cells for source in cell.sources())]
        wait(sources, max(0.0, next_event - time.monotonic()))
        events: list[Event] = [
            Progressed(cell.job, progress.fraction, progress.note) for cell in self._cells for progress in cell.read()
        ]
        now = time.monotonic()
        if now >= min([self._next_watch, *(cell.deadline for cell in self._cells)]):
            self._next_watch = now + WATCH_SECONDS
            for cell in self._cells:
                cell.enforce_limits()
        return events

    def _settle(self) -> list[Event]:
        """Turn cells whose process is gone into records."""
        events: list[Event] = []
        for cell in [cell for cell in self._cells if cell.has_ended]:
            self._cells.remove(cell)
            outcome, run, tail = cell.close()
            run = replace(run, runner=self._runners.pop(cell.job, None))
            self._leases.give_back(cell.job, outcome.device_peak_bytes)
            if cell.was_killed:
                forkserver.end_strays([other.pid for other in self._cells])
            if cell.was_killed or cell.lost_its_server:
                outcome = endings.with_escaped(outcome, forkserver.end_escaped(cell.lost_its_server))
            events.append(Ended(cell.job, self.recorder.record(cell.job.cell, cell.job.code_hash, outcome, run, tail)))
        return events


def may_start(job: Job, running: Sequence[Job], slots: int) -> bool:
    """Whether `job` may start: alone if it is exclusive, else while there are slots for its threads.

    A job never overtakes another, so an exclusive one is not starved by those behind it.
    """
    if not running:
        return True
    if job.exclusive or any(other.exclusive for other in running):
        return False
    return sum(other.cell.threads for other in running) + job.cell.threads <= slots
