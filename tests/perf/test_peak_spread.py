"""How far peaks of one code are apart, session after session: what thresholds rest on. Asserts none of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.execute.job import Job
from harness.execute.pool import LocalPool
from harness.results.fingerprint import code_hash
from harness.results.record import Record
from harness.results.store import Store

SESSIONS: tuple[tuple[str, ...], ...] = ((), (), ("fused-numba",) * 3, ("compiled",) * 3)
"""Backends of the other cells of a session: what its fork server has imported is in every cell's heap."""
CELLS = [Cell("memory", "digits", neuron, "bptt", "mlp", backend="eager", budget="quick") for neuron in ("lif", "psu")]


@pytest.mark.perf
def test_peaks_of_one_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Within a session a peak comes out the same; each session has its own."""
    found = [session(tmp_path / str(number), backends) for number, backends in enumerate(SESSIONS)]
    for records in zip(*found, strict=True):
        peaks = [record.metrics["peak_bytes"].value for record in records]
        assert len({record.metrics["saved_bytes"].value for record in records}) == 1, "what is exact is the same"
        with capsys.disabled():
            print(f"\n{records[0].cell.neuron}: {', '.join(f'{peak / 2**20:.2f}' for peak in peaks)} MiB", end="; ")
            print(f"the largest is {max(peaks) / min(peaks) - 1:.0%} above the smallest")


def session(root: Path, backends: tuple[str, ...]) -> list[Record]:
    registry, store = load_registry(), Store(root)
    jobs = [Job(cell, code_hash(cell, registry), True, timeout_seconds=120.0, memory_bytes=4 << 30) for cell in CELLS]
    with LocalPool(store, backends=backends) as pool:
        assert pool.run(jobs).counts == {"ok": len(jobs)}
    return sorted(store.read().records, key=lambda record: record.cell.neuron)
