"""What an executor is: it starts jobs, watches them and ends them, and says what happens as events.

The course of a run (what waits, what is tried again, where records go) is the same for all of them and is
`session`'s. Must not know where jobs run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from harness.execute.job import Job, Listener, Summary
from harness.execute.messages import CellOutcome
from harness.execute.records import Recorder
from harness.measure.neighbours import Load
from harness.results.record import Record
from harness.results.store import Store

__all__ = ["Disturbed", "Ended", "Event", "Executor", "Noticed", "Progressed", "Started"]


@dataclass(frozen=True, slots=True)
class Disturbed:
    """A machine is not quiet, and timing is about to begin there."""

    load: Load


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something that whoever waits for the run should know: why nothing happens, or what there is less of."""

    what: str


@dataclass(frozen=True, slots=True)
class Started:
    """A job has its process, or is on its way to one."""

    job: Job


@dataclass(frozen=True, slots=True)
class Progressed:
    """A job has come so far (0 to 1) and does what `note` says."""

    job: Job
    fraction: float
    note: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A job has ended, and nothing of it is left."""

    job: Job
    record: Record


Event = Disturbed | Noticed | Started | Progressed | Ended


class Executor(Protocol):
    """Runs jobs, inside a ``with`` block. All calls come from one thread; none waits for a job to end."""

    @property
    def store(self) -> Store:
        """Where the records of a run go."""

    @property
    def recorder(self) -> Recorder:
        """What makes them: the rows that names stand for, and the machine that is measured."""

    @property
    def running(self) -> Sequence[Job]:
        """Jobs that were started and have not ended."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def run(self, jobs: Iterable[Job], listener: Listener | None = None) -> Summary:
        """Run `jobs` in their order; see :func:`harness.execute.session.run_jobs`."""

    def begin(self, jobs: Sequence[Job]) -> list[Event]:
        """Be ready to start `jobs`.

        Raises
        ------
        UserError
            If that cannot be.
        """

    def has_room(self, job: Job) -> bool:
        """Whether `job` may start beside those that are running; it is asked of the next job only."""

    def start(self, job: Job) -> list[Event]:
        """Start `job`; what cannot be started ends at once."""

    def watch(self) -> list[Event]:
        """Wait until something happens, but only for a moment, and say what."""

    def end(self, verdict: CellOutcome) -> None:
        """Kill what is running; it ends with `verdict`, unless it has given its outcome."""

    def abandon(self) -> None:
        """Kill what is running and clear it away, without a word."""
