"""How close to the least possible time a run on many machines ends, simulated on the durations of real records.

``python -m nox -s perf -- tests/perf/test_schedule_ends.py`` prints the table of docs/many.md.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.catalogue.loading import load_registry
from harness.planning.durations import Durations, history_of
from harness.planning.plan import _order
from harness.planning.schedule import Piece, best_order, lower_bound, makespan
from harness.results.index import select
from harness.results.record import MEASURED

RECORDS = Path(__file__).parents[2] / "reports" / "data"


@pytest.mark.perf
@pytest.mark.parametrize("slots", [1, 8])
def test_makespan_beside_the_lower_bound(slots: int, capsys: pytest.CaptureFixture[str]) -> None:
    registry = load_registry()
    records = [record for record in select([RECORDS]).records if record.status in MEASURED]
    expected = Durations(history_of(records), registry)
    pieces = [
        Piece(
            record.cell.suite,
            expected.of(record.cell),
            registry.suite(record.cell.suite).exclusive,
            record.provenance.duration_seconds,
        )
        for record in sorted(records, key=lambda record: _order(record.cell))
    ]
    with capsys.disabled():
        print(f"\n{len(pieces)} cells, {slots} slots a machine\n| machines | bound | planned | best |")
        for machines in (1, 8, 64, 1000):
            bound = lower_bound(pieces, machines, slots)
            best = [pieces[number] for number in best_order(pieces, machines, slots)]
            planned, ours = (makespan(order, machines, slots) for order in (pieces, best))
            print(f"| {machines:,} | {bound:,.0f} s | {planned:,.0f} s | {ours:,.0f} s |")
            assert bound <= ours
