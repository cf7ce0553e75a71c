"""What a cluster costs per cell beside the local pool, and whether the driver's memory stays flat: never asserted.

``python -m nox -s perf -- tests/perf/test_cluster_cost.py``; `CELLS` in the environment makes it shorter.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from misbehaving import job, registry_with_suites

from harness.execute.executor import Executor
from harness.execute.job import Job, Listener
from harness.execute.where import RAY, Where
from harness.results.record import Record
from harness.results.store import Store

pytest_plugins = ["nodes"]
CELLS = int(os.environ.get("CELLS", "2000"))


class Weighing(Listener):
    """Weighs this process after a tenth of the cells, and after each further tenth."""

    def __init__(self, cells: int) -> None:
        self._every, self._count = max(1, cells // 10), 0
        self.resident: list[int] = []

    def finished(self, job: Job, record: Record) -> None:
        self._count += 1
        if self._count % self._every == 0:
            self.resident.append(psutil.Process().memory_info().rss)


@pytest.mark.perf
@pytest.mark.ray
@pytest.mark.timeout(1800)
def test_cost_per_cell(nodes_address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def measured(executor: Callable[[], Executor], cells: int) -> tuple[float, list[int]]:
        jobs = [job("well-behaved", seed=seed) for seed in range(cells)]
        weighing = Weighing(cells)
        with executor() as running:
            running.run([job("well-behaved", seed=cells)])
            began = time.perf_counter()
            summary = running.run(jobs, weighing)
            seconds = time.perf_counter() - began
        assert summary.counts == {"ok": cells}
        return seconds / cells, weighing.resident

    def on(where: Where, folder: str) -> Callable[[], Executor]:
        return lambda: where.executor_for(Store(tmp_path / folder), slots=1, registry=registry_with_suites())

    few = max(10, CELLS // 20)
    home, _ = measured(on(Where(), "home"), few)
    there, resident = measured(on(Where(executor=RAY, address=nodes_address), "cluster"), CELLS)
    with capsys.disabled():
        print(
            f"\n{CELLS} cells on three nodes: {there * 1e3:.0f} ms a cell; in the local pool, one after the other: "
            f"{home * 1e3:.0f} ms; the driver held {resident[0] >> 20} MiB after a tenth, {resident[-1] >> 20} then"
        )
