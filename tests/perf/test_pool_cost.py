"""What the pool itself costs per cell, beside an interpreter of its own for each: measured, never asserted."""

from __future__ import annotations

import dataclasses
import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.catalogue.cards import MetricCard, Row, SuiteCard
from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.execute.job import Job
from harness.execute.pool import LocalPool
from harness.results.store import Store

CELLS = 20
INTERPRETERS = 3
EMPTY_SUITE = """
from harness.suites.common.base import Answer, Measurement, Suite

class Empty(Suite):
    def run(self, workload):
        return Answer({"nothing": Measurement(0.0)})
"""


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalPool]:
    path = tmp_path / "spikeboard_empty_suite.py"
    path.write_text(EMPTY_SUITE)
    monkeypatch.syspath_prepend(tmp_path)
    card = SuiteCard(
        "empty", "suite", "Empty", "Nothing.", 1, True, 60.0, 0.0, {"nothing": MetricCard("", "1", "none")}
    )
    row = Row("empty", "suite", "Empty", "Nothing.", card, {}, None, path, path.stem)
    registry = load_registry()
    with LocalPool(
        Store(tmp_path), registry=dataclasses.replace(registry, suites={**registry.suites, "empty": row})
    ) as pool:
        pool.run([job(0)])
        yield pool


def job(seed: int) -> Job:
    return Job(
        Cell("empty", neuron="lif", seed=seed), "0" * 64, exclusive=True, timeout_seconds=60.0, memory_bytes=1 << 34
    )


@pytest.mark.perf
def test_cost_per_cell(pool: LocalPool, benchmark: BenchmarkFixture, capsys: pytest.CaptureFixture[str]) -> None:
    """Start, hand over, worker's own work, record written, one after the other; the suite does nothing."""
    seeds = itertools.count(1)

    def run_cells() -> None:
        summary = pool.run([job(next(seeds)) for _ in range(CELLS)])
        assert summary.counts == {"ok": CELLS}

    benchmark.pedantic(run_cells, rounds=5)
    cell_seconds = benchmark.stats.stats.median / CELLS
    interpreter_seconds = statistics.median(import_seconds() for _ in range(INTERPRETERS))
    benchmark.extra_info.update(
        cell_seconds=cell_seconds,
        interpreter_seconds=interpreter_seconds,
        ratio=interpreter_seconds / cell_seconds,
    )
    with capsys.disabled():
        print(
            f"\nthe pool's own cost: {cell_seconds:.4f} s a cell; a new interpreter that imports torch: "
            f"{interpreter_seconds:.2f} s, {interpreter_seconds / cell_seconds:.0f} times as much"
        )


def import_seconds() -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return time.perf_counter() - start
