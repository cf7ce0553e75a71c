"""Runs jobs on the nodes of a Ray cluster, each in its node's own local pool; records come back here.

Nodes are chosen here; that two cells do not disturb each other is decided by the same rule here and there. What a lost
node was running is run elsewhere.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ray

from harness.catalogue.cards import Registry
from harness.catalogue.loading import load_registry
from harness.errors import UserError
from harness.execute import endings
from harness.execute.cluster.connection import NodeSite, connect, line_of
from harness.execute.cluster.fitness import expected_of
from harness.execute.cluster.node import Node, Setup
from harness.execute.executor import Disturbed, Ended, Event, Noticed, Progressed, Started
from harness.execute.job import Job, Listener, Summary
from harness.execute.messages import CellOutcome
from harness.execute.pool import may_start
from harness.execute.records import CellRun, Recorder
from harness.execute.session import run_jobs
from harness.planning.schedule import Piece, best_order
from harness.results.provenance import this_origin
from harness.results.store import Store

__all__ = ["RayExecutor"]

WATCH_SECONDS = 0.25
"""How long a Ctrl-C may go unnoticed."""
PREPARE_SECONDS = 600.0
"""How long a node may take to free its processors, import torch and read its data."""
MOST_RETURNS = 2
"""How often a cell is run again because its node was lost."""
THREADS = 3
"""Of an actor: one for `events`, the others for orders."""


@dataclass(eq=False, slots=True)
class _Link:
    """A node that takes part."""

    site: NodeSite
    slots: int
    handle: Any
    """Of the actor."""
    stream: Any = None
    """Its events."""
    running: dict[Job, bool] = field(default_factory=dict)
    """Jobs that it was given; whether it has started them."""
    ending: bool = False

    def has_room(self, job: Job) -> bool:
        if job.cell.device != "cpu":  # which GPU has room, its node knows; it is offered one job at a time
            return all(self.running.values())
        return may_start(job, list(self.running), self.slots)


class RayExecutor:
    """The nodes of a cluster, to be used in a ``with`` statement.

    Parameters
    ----------
    device : what every node runs cells on, as `Where` has it.
    address : of the cluster; None: RAY_ADDRESS, or that of this machine.
    store, data_root, scratch, slots, registry, vectors, backends : as `LocalPool` has them; slots are each node's.
    """

    def __init__(
        self,
        store: Store,
        device: str = "cpu",
        address: str | None = None,
        data_root: Path | None = None,
        scratch: Path | None = None,
        slots: int | None = None,
        registry: Registry | None = None,
        vectors: Path | None = None,
        backends: Iterable[str] = (),
    ) -> None:
        self.store = store
        self._cluster = connect(address)
        self.recorder = Recorder(registry or load_registry(), self._cluster.origin)
        root, place, golden = (path and path.absolute() for path in (data_root, scratch, vectors))
        self._setup = Setup(device, root, place, slots or 0, golden, tuple(backends))
        self._links: list[_Link] = []
        self._again: deque[Job] = deque()
        """What lost nodes were running."""
        self._losses: Counter[Job] = Counter()
        self._last_loss = ""
        self._late: list[Event] = []
        """What is to be said by the next `watch`."""

    def __enter__(self) -> Self:
        self._links = [self._link(site) for site in self._cluster.nodes]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._links:
            ray.kill(self._links.pop().handle)

    @property
    def running(self) -> Sequence[Job]:
        """Jobs that nodes have, or that a lost one had."""
        return [*self._again, *(job for link in self._links for job in link.running)]

    def run(self, jobs: Iterable[Job], listener: Listener | None = None) -> Summary:
        """Run `jobs` in the order that ends first on so many nodes; see :func:`harness.execute.session.run_jobs`."""
        known = list(jobs)
        pieces = [Piece(job.cell.suite, job.expected_seconds, job.exclusive) for job in known]
        slots = min((link.slots for link in self._links), default=1)
        order = best_order(pieces, max(1, len(self._links)), slots)
        return run_jobs(self, [known[number] for number in order], listener)

    def begin(self, jobs: Sequence[Job]) -> list[Event]:
        """Have every node prepare; those that differ from this machine's code or data are refused with a sentence.

        Raises
        ------
        UserError
            If none is left.
        """
        machine, registry = self._cluster.machine.name, self.recorder.registry
        expected = expected_of((job.cell for job in jobs), registry, this_origin(), machine)
        self._losses.clear()
        rows = ray.put(registry)
        asked = {link.handle.prepare.remote(rows, expected): link for link in self._links}
        ready, late = ray.wait(list(asked), num_returns=len(asked), timeout=PREPARE_SECONDS) if asked else ([], [])
        refusals = {asked[one]: "its processors are taken by other work of Ray's" for one in late}
        for one in ready:
            if why := _problems(one):
                refusals[asked[one]] = why
        events: list[Event] = []
        for link, why in refusals.items():
            self._forget(link)
            events.append(Noticed(f"The node {link.site.name} is refused: {why}."))
        if not self._links:
            said = " ".join(event.what for event in events if isinstance(event, Noticed))
            raise UserError(
                f"no node of the cluster can run this. {said}".strip(),
                "bring the nodes to the driver's commit and data",
            )
        for link in self._links:
            if link.stream is None:
                link.stream = link.handle.events.options(num_returns="streaming").remote()
        return events

    def has_room(self, job: Job) -> bool:
        """Whether a node has room for `job`; what a lost one had goes first."""
        return not self._again and self._place_for(job) is not None

    def start(self, job: Job) -> list[Event]:
        """Give `job` to the node that has least to do."""
        link = self._place_for(job)
        assert link is not None
        link.running[job] = False
        link.handle.start.remote(job)
        return []

    def watch(self) -> list[Event]:
        """Wait until a node says something, or is lost."""
        if self._late:
            late, self._late = self._late, []
            return late
        while self._again and (link := self._place_for(self._again[0])):
            job = self._again.popleft()
            link.running[job] = False
            link.handle.start.remote(job)
        if not self._links:
            raise UserError(
                f"every node of the cluster is lost, the last one so: {self._last_loss}",
                "the same command goes on when they are back",
            )
        streams = [link.stream for link in self._links]
        ready, _ = ray.wait(streams, num_returns=1, timeout=WATCH_SECONDS)
        if ready:  # those that have something by now, too, so that none is heard before the others for ever
            ready, _ = ray.wait(streams, num_returns=len(streams), timeout=0)
        return [
            event
            for link in list(self._links)
            if any(link.stream is one for one in ready)
            for event in self._heard_of(link)
        ]

    def end(self, verdict: CellOutcome) -> None:
        """Have the nodes kill what runs; what waits for another node is not run again."""
        self._late += [self._not_run(job, verdict) for job in self._again]
        self._again.clear()
        for link in self._links:
            if link.running and not link.ending:
                link.ending = True
                link.handle.end.remote(verdict)

    def abandon(self) -> None:
        """Kill what runs with the actors that run it; of an executor that has run all it was given, nothing."""
        self._again.clear()
        for link in [link for link in self._links if link.running]:
            self._forget(link)

    def _link(self, site: NodeSite) -> _Link:
        cores = min(site.origin.machine.physical_cores, max(1, int(site.cpus)))
        slots = min(cores, self._setup.slots or cores)
        setup = replace(self._setup, slots=slots)
        actor: Any = ray.remote(Node)
        # All of the node: what else Ray would run there would disturb what is measured.
        handle = actor.options(
            num_cpus=site.cpus, num_gpus=site.gpus, max_concurrency=THREADS, scheduling_strategy=site.here
        ).remote(setup)
        return _Link(site, slots, handle)

    def _place_for(self, job: Job) -> _Link | None:
        roomy = [link for link in self._links if not link.ending and link.has_room(job)]
        return min(roomy, key=lambda link: len(link.running), default=None)

    def _heard_of(self, link: _Link) -> Iterator[Event]:
        try:
            said: list[Event] = ray.get(next(link.stream))
        except (ray.exceptions.RayError, StopIteration) as error:
            yield from self._lose(link, error)
            return
        name = link.site.name
        for event in said:
            match event:
                case Ended(job, _):
                    link.running.pop(job, None)
                    link.ending = link.ending and bool(link.running)
                    yield event
                case Started(job):
                    link.running[job] = True
                    if not self._losses[job]:
                        yield event
                    yield Progressed(job, 0.0, f"on {name}")
                case Progressed(job, fraction, note):
                    yield Progressed(job, fraction, f"{note}, on {name}")
                case Disturbed(load):
                    yield Noticed(f"{name} is not quiet: {load}. What is timed there is noisy and not ranked.")
                case Noticed(what):
                    yield Noticed(f"{name}: {what}")

    def _lose(self, link: _Link, error: BaseException) -> Iterator[Event]:
        had = list(link.running)
        self._forget(link)
        self._last_loss = _gist(error)
        yield Noticed(f"The node {link.site.name} is lost, with {len(had)} cells: {self._last_loss}")
        for job in had:
            self._losses[job] += 1
            if link.ending:
                yield self._not_run(job, endings.interrupted())
            elif self._losses[job] > MOST_RETURNS:
                yield self._not_run(job, endings.node_lost(link.site.name, self._losses[job]))
            else:
                self._again.append(job)

    def _forget(self, link: _Link) -> None:
        self._links.remove(link)
        ray.kill(link.handle)

    def _not_run(self, job: Job, outcome: CellOutcome) -> Ended:
        run = CellRun(datetime.now(UTC), 0.0)
        return Ended(job, self.recorder.record(job.cell, job.code_hash, outcome, run))


def _problems(reference: Any) -> str:
    """Return what a node said that keeps it from taking part, or why it could not say anything; empty: nothing."""
    try:
        return "; ".join(ray.get(reference))
    except ray.exceptions.RayError as error:
        return _gist(error)


def _gist(error: BaseException) -> str:
    """Return what an error of Ray's is about: of one that happened on a node its last line, else the first."""
    return line_of(error, -1 if isinstance(error, ray.exceptions.RayTaskError) else 0).rstrip(".")
