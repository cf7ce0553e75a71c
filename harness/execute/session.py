"""One run of jobs on any executor: what waits, what is tried again, what has been counted, how it is broken off.

Every cell that ends, however it ends, is a record in the store before the next one starts. Must not know where or how
a job runs.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable

from harness.execute import endings
from harness.execute.executor import Disturbed, Ended, Event, Executor, Noticed, Progressed, Started
from harness.execute.interrupt import Interrupt
from harness.execute.job import Job, Listener, Summary
from harness.execute.outbox import Outbox
from harness.results.record import Record, Status

__all__ = ["run_jobs"]


def run_jobs(executor: Executor, jobs: Iterable[Job], listener: Listener | None = None) -> Summary:
    """Run `jobs` in their order and return how many ended in which way.

    A first Ctrl-C, SIGTERM or another of `HELD_BACK` kills what is running, records it as interrupted and returns;
    a second one raises at once.

    Raises
    ------
    UserError
        If the executor cannot begin, or the store cannot be written: before anything is measured, or, after what
        was running has ended, where to is what was measured.
    """
    with Interrupt() as interrupt:
        waiting = deque(jobs)
        executor.store.require_writable((job.cell for job in waiting), executor.recorder.origin.machine.name)
        return _Session(executor, waiting, listener or Listener(), interrupt).run()


class _Session:
    """One call of `run_jobs`."""

    def __init__(self, executor: Executor, waiting: deque[Job], listener: Listener, interrupt: Interrupt) -> None:
        self._executor = executor
        self._waiting = waiting
        self._listener = listener
        self._listener_is_gone = False
        self._interrupt = interrupt
        self._outbox = Outbox(executor.store)
        self._counts: Counter[Status] = Counter()
        self._noisy: dict[Job, bool] = {}
        """Jobs that were timed too noisily; whether they have had their second try."""

    def run(self) -> Summary:
        try:
            if self._waiting:
                self._take_in(self._executor.begin(self._waiting))
            while self._executor.running or (self._may_go_on() and self._any_waiting()):
                if self._interrupt.asked:
                    self._executor.end(endings.interrupted())
                else:
                    self._start_what_may()
                self._take_in(self._executor.watch())
        finally:
            self._executor.abandon()
            self._outbox.close()
        return Summary(dict(self._counts), len(self._waiting), self._interrupt.signal)

    def _start_what_may(self) -> None:
        if not self._may_go_on():
            return
        while self._waiting and self._executor.has_room(self._waiting[0]):
            self._take_in(self._executor.start(self._waiting.popleft()))

    def _take_in(self, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case Ended(job, record):
                    self._record(job, record)
                case Progressed(job, fraction, note):
                    self._tell(self._listener.progressed, job, fraction, note)
                case Started(job):
                    self._tell(self._listener.started, job)
                case Disturbed(load):
                    self._tell(self._listener.disturbed, load)
                case Noticed(what):
                    self._tell(self._listener.noticed, what)

    def _may_go_on(self) -> bool:
        """Whether more may be measured: not after a Ctrl-C, nor while records cannot be written."""
        return not self._interrupt.asked and not self._outbox.held

    def _any_waiting(self) -> bool:
        """Whether anything is left to start; at the end, what was too noisy is put in line once more."""
        if not self._waiting and not self._executor.running and not self._interrupt.asked:
            for job in [job for job, tried in self._noisy.items() if not tried]:
                self._noisy[job] = True
                self._counts["noisy"] -= 1
                self._waiting.append(job)
                self._tell(self._listener.again, job)
            self._counts += Counter()  # forgets what came down to 0
        return bool(self._waiting)

    def _tell(self, event: Callable[..., None], *what: object) -> None:
        """Tell the listener of an event, until it cannot write any more: a terminal that has gone costs no record."""
        if self._listener_is_gone:
            return
        try:
            event(*what)
        except OSError:
            self._listener_is_gone = True

    def _record(self, job: Job, record: Record) -> None:
        self._outbox.put(record)
        self._counts[record.status] += 1
        if record.status == "noisy":
            self._noisy.setdefault(job, False)
        self._tell(self._listener.finished, job, record)
