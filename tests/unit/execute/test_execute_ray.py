"""The executor on many machines, with real Ray: three nodes of one processor each, all of them this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import misbehaving
import psutil
import pytest
from misbehaving import GIB, is_gone, job, registry_with_suites

from harness.catalogue.cell import Cell
from harness.errors import UserError
from harness.execute.executor import Executor
from harness.execute.job import Job, Listener
from harness.execute.jobs import jobs_of
from harness.execute.pool import LocalPool
from harness.execute.where import RAY, Where
from harness.planning.plan import plan_cells
from harness.results.record import Record
from harness.results.store import Store

pytest_plugins = ["nodes"]
HELPERS = Path(misbehaving.__file__).parents[1]
pytestmark = [pytest.mark.ray, pytest.mark.slow]


class Log(Listener):
    """Remembers what it was told, and does something at the first progress of a cell."""

    def __init__(
        self, at_work: Callable[[Job], None] | None = None, when_told: Callable[[str], None] | None = None
    ) -> None:
        self.records: dict[str, Record] = {}
        self.started_jobs: list[Job] = []
        self.notes: list[tuple[str, str]] = []
        self.said: list[str] = []
        self._at_work, self._when_told = at_work, when_told

    def started(self, job: Job) -> None:
        self.started_jobs.append(job)

    def progressed(self, job: Job, fraction: float, note: str) -> None:
        self.notes.append((job.cell.neuron, note))
        if fraction and self._at_work is not None:
            self._at_work(job)

    def finished(self, job: Job, record: Record) -> None:
        self.records[f"{job.cell.neuron} {job.cell.seed}"] = record

    def noticed(self, what: str) -> None:
        self.said.append(what)
        if self._when_told is not None:
            self._when_told(what)


@pytest.fixture
def where(nodes_address: str) -> Where:
    return Where(executor=RAY, address=nodes_address)


def on_nodes(where: Where, folder: Path) -> Executor:
    return where.executor_for(Store(folder / "store"), registry=registry_with_suites())


def test_figures_are_those_of_the_local_pool(where: Where, tmp_path: Path) -> None:
    registry = registry_with_suites()
    cells = [Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="smoke", seed=seed) for seed in range(2)]
    jobs = jobs_of(plan_cells([*cells, Cell("conformance", neuron="lif")], registry), registry)
    there, home = Log(), Log()
    with on_nodes(where, tmp_path) as executor:
        executor.run(jobs, there)
    with LocalPool(Store(tmp_path / "home"), slots=1, registry=registry) as pool:
        pool.run(jobs, home)
    for name, record in home.records.items():
        assert record.status == "ok", record.reason
        exact = {
            axis: card.exact or "error" in axis for axis, card in registry.suite(record.cell.suite).metrics.items()
        }
        assert any(exact.values())
        figures = [
            {axis: one.metrics[axis] for axis in one.metrics if exact[axis]} for one in (record, there.records[name])
        ]
        assert figures[0] == figures[1]


def test_every_cell_ends_as_it_does_at_home(where: Where, tmp_path: Path) -> None:
    jobs = [
        *(job("well-behaved", seed=seed) for seed in range(3)),
        *(job("raises"), job("segfaults"), job("hangs", timeout=2.0), job("becomes-nan")),
        *(job("eats-memory", memory_bytes=GIB), job("well-behaved", seed=3, exclusive=True)),
    ]
    log = Log()
    with on_nodes(where, tmp_path) as executor:
        summary = executor.run(jobs, log)
    assert summary.counts == {"ok": 4, "error": 1, "crashed": 1, "timeout": 1, "diverged": 1, "oom": 1}
    assert len({note for _, note in log.notes if note.startswith("on ")}) == 3, "every node had some"
    stored = {f"{found.cell.neuron} {found.cell.seed}": found for found in executor.store.read().records}
    assert stored == log.records
    with LocalPool(Store(tmp_path / "home"), slots=1, registry=registry_with_suites()) as pool:
        home = Log()
        pool.run(jobs[:4], home)
    for name, record in home.records.items():
        there = log.records[name]
        assert (there.status, there.reason, there.metrics) == (record.status, record.reason, record.metrics)
        assert there.provenance.machine == record.provenance.machine
        assert there.details.get("draws") == record.details.get("draws")


def test_nodes_without_the_data_set_are_refused(where: Where, tmp_path: Path) -> None:
    """Every node has a folder of data of its own, in which nothing lies."""
    task = Job(Cell("accuracy", "fsdd", "lif", "bptt", "mlp", budget="quick"), "0" * 64, False, 60.0, GIB)
    with on_nodes(where, tmp_path) as executor, pytest.raises(UserError) as refused:
        executor.run([task])
    assert str(refused.value).count("is refused: data set 'fsdd': data set 'fsdd' is not in") == 3
    assert executor.store.read().records == ()


def test_what_a_lost_node_was_running_runs_elsewhere(
    where: Where, tmp_path: Path, nodes: Any, another_node: Callable[[], Any], site: Path
) -> None:
    from harness.execute.cluster.connection import connect

    extra = another_node()
    connect.cache_clear()
    flag = site / "flag"
    flag.unlink(missing_ok=True)
    at_work: list[Job] = []

    def lose_a_node(one: Job) -> None:
        at_work.append(one)
        if len(at_work) == 4:
            nodes.remove_node(extra, allow_graceful=False)

    log = Log(lose_a_node, lambda what: flag.touch() if "is lost" in what else None)
    with on_nodes(where, tmp_path) as executor:
        summary = executor.run([job("waits", seed=seed) for seed in range(4)], log)
    connect.cache_clear()
    assert summary.counts == {"ok": 4}
    assert len(log.started_jobs) == 4, "told once, although one started twice"
    assert [said for said in log.said if "is lost, with 1 cells" in said], log.said


def test_a_lost_driver_leaves_nothing_behind_and_the_same_command_resumes(
    where: Where, tmp_path: Path, site: Path
) -> None:
    flag, store = site / "flag", Store(tmp_path / "store")
    flag.unlink(missing_ok=True)
    (tmp_path / "mark").touch()
    command = [sys.executable, str(HELPERS / "misbehaving" / "resume.py"), str(store.root)]
    command += ["well-behaved", "waits", "waits", "well-behaved"]
    environment = {**os.environ, "ADDRESS": str(where.address), "MARK": str(tmp_path / "mark")}
    first = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert first.stdout is not None
    seen = [first.stdout.readline() for _ in range(3)]
    while sum("waits 0.5" in line for line in seen) < 2:
        seen.append(first.stdout.readline())
        assert seen[-1], seen
    cells = [found for found in psutil.process_iter() if is_cell(found, flag)]
    first.kill()
    first.communicate()
    assert cells
    assert all(is_gone(cell.pid, patience_seconds=30) for cell in cells)
    done = {found.status for found in store.read().records}
    assert done <= {"ok"}, "what ran has no record, and is run again"
    flag.touch()
    output = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=tmp_path, check=True)
    assert output.stdout.splitlines()[-1].startswith("summary False 0 [('ok', ")
    assert sorted(found.status for found in store.read().records) == ["ok"] * 4


def is_cell(process: psutil.Process, flag: Path) -> bool:
    """Whether a process is a cell of a node here; other runs on this machine have cells, too."""
    try:
        ours = process.environ().get("FLAG") == str(flag)
        return ours and Path(process.cwd()).name.startswith("spikeboard-cell-")
    except (psutil.Error, OSError):
        return False
