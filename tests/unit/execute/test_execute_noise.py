"""Timings that are too noisy: tried once more at the end of the run, and again by the next; a busy machine is named."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import misbehaving
import pytest
from misbehaving import job, registry_with_suites

from harness.catalogue.loading import load_registry
from harness.execute.job import Job, Listener, Summary
from harness.execute.pool import LocalPool
from harness.measure.neighbours import BUSY_FRACTION, Load
from harness.results.record import Record
from harness.results.store import Store
from reference_impls.discovery import discover


class Log(Listener):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, str]] = []
        self.tried_again: list[str] = []
        self.loads: list[Load] = []

    def finished(self, job: Job, record: Record) -> None:
        self.ended.append((job.cell.budget, record.status))

    def again(self, job: Job) -> None:
        self.tried_again.append(job.cell.budget)

    def disturbed(self, load: Load) -> None:
        self.loads.append(load)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPool]:
    folder = tmp_path_factory.mktemp("site")
    misbehaving.install(folder)
    sys.path.insert(0, str(folder))
    discover.cache_clear()
    load_registry.cache_clear()
    try:
        store, scratch = Store(tmp_path_factory.mktemp("store")), tmp_path_factory.mktemp("scratch")
        with LocalPool(store, scratch=scratch, slots=1, registry=registry_with_suites()) as pool:
            yield pool
    finally:
        sys.path.remove(str(folder))
        discover.cache_clear()
        load_registry.cache_clear()


def test_what_is_too_noisy_is_tried_once_more_after_the_others(pool: LocalPool) -> None:
    log = Log()
    jobs = [job("well-behaved", "unsteady", budget=budget) for budget in ("1", "0", "2", "5")]
    summary = pool.run(jobs, log)
    assert log.ended == [
        *(("1", "noisy"), ("0", "ok"), ("2", "noisy"), ("5", "noisy")),
        *(("1", "ok"), ("2", "noisy"), ("5", "noisy")),
    ]
    assert log.tried_again == ["1", "2", "5"]
    assert summary == Summary({"ok": 2, "noisy": 2})
    records = {record.cell.budget: record for record in pool.store.read().records}
    assert records["1"].status == "ok"
    assert records["2"].metrics["step_seconds"].value == 2.0
    assert records["2"].reason == "Intervals wider than asked."
    assert records["2"].output_tail == ()

    machine = pool.recorder.origin.machine.name
    left = [one for one in jobs if not pool.store.has(one.cell, machine, one.code_hash)]
    assert [one.cell.budget for one in left] == ["2", "5"]
    assert pool.run(left) == Summary({"ok": 1, "noisy": 1})
    assert {record.cell.budget: record.status for record in pool.store.read().records} == {
        "0": "ok",
        "1": "ok",
        "2": "ok",
        "5": "noisy",
    }


def test_a_time_that_was_taken_beside_others_is_noisy_and_says_so(pool: LocalPool) -> None:
    log = Log()
    burn = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        cell = job("well-behaved", "timed", exclusive=True)
        pool.run([cell, job("well-behaved", "timed", exclusive=True, seed=1)], log)
    finally:
        burn.kill()
        burn.wait()
    assert len(log.loads) == 1, "said once, before the first timing"
    assert log.loads[0].fraction > BUSY_FRACTION
    records = [record for record in pool.store.read().records if record.cell.suite == "timed"]
    assert len(records) == 2
    for record in records:
        assert record.status == "noisy"
        assert record.reason is not None
        assert record.reason.startswith("The machine was not quiet: other processes used ")
        assert "python" not in record.reason, "what else runs on a machine is nobody's business"
        assert record.provenance.busy_fraction is not None
        assert record.provenance.busy_fraction > BUSY_FRACTION
        assert record.metrics["step_seconds"].value == 0.5
        assert record.provenance.runner is not None, "the machine was looked at before"
        assert record.provenance.runner.load_average is not None


def test_what_measures_no_time_is_not_disturbed(pool: LocalPool) -> None:
    log = Log()
    pool.run([job("well-behaved")], log)
    assert log.loads == []
    (record,) = [record for record in pool.store.read().records if record.cell.suite == "probe"]
    assert record.provenance.busy_fraction is None
    assert record.provenance.runner is None


@pytest.mark.parametrize("suite", ["throughput", "scaling", "layers", "libraries", "training", "time_to_target"])
def test_suites_that_measure_time_are_known_by_their_units(suite: str) -> None:
    assert load_registry().suite(suite).timed
    assert not load_registry().suite("memory").timed
    assert not load_registry().suite("accuracy").timed
