"""What the driver of a cluster does with what its nodes say, told by nodes that are lost when the test wants it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from misbehaving import job, registry_with_suites

from harness.errors import UserError
from harness.execute import endings
from harness.execute.executor import Ended, Event, Noticed, Progressed, Started
from harness.execute.job import Job
from harness.execute.records import CellRun, Recorder
from harness.results.provenance import this_origin
from harness.results.store import Store

ray = pytest.importorskip("ray", reason="Ray is not installed")
from harness.execute.cluster import executor as module  # noqa: E402
from harness.execute.cluster.connection import Cluster, NodeSite  # noqa: E402

pytestmark = pytest.mark.ray
LOST = ray.exceptions.RayActorError()


class FakeNode:
    """An actor and its stream of events: what is put into `said` is what the driver hears next."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.given: list[Job] = []
        self.verdicts: list[object] = []
        self.said: deque[list[Event] | Exception] = deque()
        self.start = SimpleNamespace(remote=self._start)
        self.end = SimpleNamespace(remote=self.verdicts.append)

    def _start(self, one: Job) -> None:
        self.given.append(one)
        self.said.append([Started(one)])

    def __next__(self) -> list[Event] | Exception:
        return self.said.popleft()


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> list[FakeNode]:
    def wait(streams: Sequence[FakeNode], **_: object) -> tuple[list[FakeNode], list[FakeNode]]:
        return [one for one in streams if one.said], [one for one in streams if not one.said]

    def get(what: object) -> object:
        if isinstance(what, Exception):
            raise what
        return what

    fake = SimpleNamespace(wait=wait, get=get, kill=lambda _handle: None, exceptions=ray.exceptions)
    monkeypatch.setattr(module, "ray", fake)
    return [FakeNode(name) for name in "abcd"]


@pytest.fixture
def driver(nodes: list[FakeNode], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> module.RayExecutor:
    origin = this_origin()
    sites = tuple(NodeSite(one.name, one.name, 1.0, 0.0, origin) for one in nodes)
    monkeypatch.setattr(module, "connect", lambda _address: Cluster(sites))
    driver = module.RayExecutor(Store(tmp_path), registry=registry_with_suites())
    driver._links = [module._Link(site, 1, node, node) for site, node in zip(sites, nodes, strict=True)]
    return driver


def ended(one: Job) -> Ended:
    outcome, run = endings.timed_out(1.0), CellRun(datetime.now(UTC), 1.0)
    return Ended(one, Recorder(registry_with_suites()).record(one.cell, one.code_hash, outcome, run))


def test_jobs_go_to_the_node_that_has_least_to_do_and_timings_to_an_idle_one(
    driver: module.RayExecutor, nodes: list[FakeNode]
) -> None:
    jobs = [job("waits", seed=seed, exclusive=seed == 2) for seed in range(5)]
    for one in jobs[:4]:
        assert driver.has_room(one)
        driver.start(one)
    assert [node.given for node in nodes] == [[one] for one in jobs[:4]]
    assert not driver.has_room(jobs[4])
    nodes[2].said.append([ended(jobs[2])])
    driver.watch()
    driver.watch()
    assert driver.has_room(jobs[4])
    assert list(driver.running) == [jobs[0], jobs[1], jobs[3]]


def test_a_cell_that_loses_its_node_runs_elsewhere_twice_and_then_is_a_record(
    driver: module.RayExecutor, nodes: list[FakeNode]
) -> None:
    fatal, other = job("waits"), job("waits", seed=1)
    driver.start(fatal)
    driver.start(other)
    assert driver.watch() == [
        *(Started(fatal), Progressed(fatal, 0.0, "on a")),
        *(Started(other), Progressed(other, 0.0, "on b")),
    ]
    events: list[Event] = []
    for place in (0, 2, 3):
        nodes[place].said.append(LOST)
        events += driver.watch()
        assert not [event for event in events if isinstance(event, Started)], "it was told once"
        if place != 3:
            assert not driver.has_room(job("waits", seed=2)), "what a lost node had goes first"
            events += driver.watch()  # it is given to the next, which starts it
    assert [node.given for node in nodes] == [[fatal], [other], [fatal], [fatal]]
    notices = [event.what for event in events if isinstance(event, Noticed)]
    assert [what.partition(":")[0] for what in notices] == [f"The node {name} is lost, with 1 cells" for name in "acd"]
    [end] = [event for event in events if isinstance(event, Ended)]
    assert end.job == fatal
    assert end.record.status == "crashed"
    assert end.record.reason == "The node d was lost while the cell ran there, and so were 2 others before it."
    assert list(driver.running) == [other]
    nodes[1].said.append(LOST)
    driver.watch()
    with pytest.raises(UserError, match="every node of the cluster is lost"):
        driver.watch()


def test_an_end_reaches_what_runs_and_what_waits_for_another_node(
    driver: module.RayExecutor, nodes: list[FakeNode]
) -> None:
    lost, running = job("waits"), job("waits", seed=1)
    driver.start(lost)
    driver.start(running)
    driver.watch()
    nodes[0].said.append(LOST)
    driver.watch()
    verdict = endings.interrupted()
    for _ in range(3):
        driver.end(verdict)
    [end] = driver.watch()
    assert isinstance(end, Ended)
    assert (end.job, end.record.status) == (lost, "interrupted")
    assert nodes[1].verdicts == [verdict], "told once"
    assert list(driver.running) == [running]
    assert nodes[2].verdicts == []
