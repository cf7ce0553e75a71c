"""What runs on a node: its own local pool, orders from the driver, and the events that go back to it.

An actor of Ray's, which calls its methods in threads: `events` is the one that works, the others leave orders for it.
Must not import Ray, nor torch: as on one machine, cells come from a fork server.
"""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from harness.catalogue.cards import Registry
from harness.data import data_root
from harness.data.base import ROOT_VARIABLE
from harness.errors import UserError
from harness.execute.cluster.fitness import Expected, broken_data, why_unfit
from harness.execute.executor import Event, Executor
from harness.execute.job import Job
from harness.execute.messages import CellOutcome
from harness.execute.pool import LocalPool
from harness.execute.records import Recorder
from harness.execute.where import Where
from harness.results.provenance import Origin, this_origin
from harness.results.store import Store

__all__ = ["Node", "Setup", "report"]


@dataclass(frozen=True, slots=True)
class Setup:
    """How a node's pool is made; see `LocalPool`."""

    device: str
    data_root: Path | None
    """Unless the node has an answer of its own: SPIKEBOARD_DATA."""
    scratch: Path | None
    slots: int
    vectors: Path | None
    backends: tuple[str, ...]


def report() -> Origin:
    """Return what is installed here, and on what machine."""
    return this_origin()


class Node:
    """The actor; `setup` is the same for all nodes but for the slots."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._root = data_root(None if os.environ.get(ROOT_VARIABLE) else setup.data_root)
        self._pool: LocalPool | None = None
        self._orders: SimpleQueue[Job | CellOutcome] = SimpleQueue()
        self._waiting: deque[Job] = deque()
        self._reader, self._writer = os.pipe()
        for end in (self._reader, self._writer):
            os.set_blocking(end, False)
        self._verify = functools.cache(lambda name, root: tuple(broken_data(name, root)))

    def prepare(self, registry: Registry, expected: Expected) -> list[str]:
        """Be ready to start jobs of these rows; return why this node cannot take part, if it cannot."""
        unfit = why_unfit(expected, registry, this_origin(), self._root, self._verify, os.nice(0))
        if unfit:
            return unfit
        try:
            if self._pool is None:
                self._pool = self._made(registry)
            self._pool.recorder = Recorder(registry)
            self._pool.begin(())
        except UserError as error:
            return [" ".join(str(error).split())]
        return []

    def start(self, job: Job) -> None:
        """Leave the order to run `job` as soon as there is room."""
        self._order(job)

    def end(self, verdict: CellOutcome) -> None:
        """Leave the order to kill what runs."""
        self._order(verdict)

    def events(self) -> Iterator[list[Event]]:
        """Obey orders and say what happens, for ever."""
        assert self._pool is not None
        while True:
            found = [*self._obey(self._pool), *self._started(self._pool), *self._pool.watch(self._reader)]
            if found:
                yield found

    def _made(self, registry: Registry) -> LocalPool:
        setup = self._setup
        unused = Store(Path(tempfile.gettempdir()) / "spikeboard-node")  # the driver writes the records
        pool: Executor = Where(setup.device).executor_for(
            unused, self._root, setup.scratch, setup.slots, registry, setup.vectors, setup.backends
        )
        assert isinstance(pool, LocalPool)
        return pool.__enter__()

    def _order(self, order: Job | CellOutcome) -> None:
        self._orders.put(order)
        with contextlib.suppress(BlockingIOError):  # full: it will be read anyway
            os.write(self._writer, b"!")

    def _obey(self, pool: LocalPool) -> Iterator[Event]:
        with contextlib.suppress(BlockingIOError):
            os.read(self._reader, 1 << 16)
        for order in self._all_orders():
            if isinstance(order, Job):
                self._waiting.append(order)
            else:
                pool.end(order)
                yield from (pool.not_run(job, order) for job in self._waiting)
                self._waiting.clear()

    def _started(self, pool: LocalPool) -> Iterator[Event]:
        while self._waiting and pool.has_room(self._waiting[0]):
            yield from pool.start(self._waiting.popleft())

    def _all_orders(self) -> Iterable[Job | CellOutcome]:
        while True:
            try:
                yield self._orders.get_nowait()
            except Empty:
                return
