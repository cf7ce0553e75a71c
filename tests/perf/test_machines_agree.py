"""Whether errors of two machines may stand in one table: what training the same cells on both gave.

``python -m pytest -m perf -s tests/perf/test_machines_agree.py`` prints, for each row that two machines have measured
with the same seeds, the mean difference of its errors beside what seeds of one machine differ by.
"""

from __future__ import annotations

import itertools
import statistics
from collections import defaultdict
from pathlib import Path

import pytest
from scipy import stats

from harness.catalogue.boards import BOARDS
from harness.paths import PUBLISHED
from harness.results.store import read_stores

pytestmark = pytest.mark.perf

STORE = Path(__file__).resolve().parents[2] / PUBLISHED
LEAST_SEEDS = 3


def test_errors_of_the_same_trainings_on_two_machines(capsys: pytest.CaptureFixture[str]) -> None:
    errors: dict[tuple[str, ...], dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for record in read_stores([STORE]).records:
        if record.cell.suite == "accuracy" and record.status == "ok":
            cell = record.cell
            row = (cell.task, cell.neuron, cell.method, cell.topology, cell.budget, cell.recipe)
            errors[row][record.provenance.machine.name][cell.seed] = record.metrics["error_fraction"].value
    means, lines, chances = [], [], []
    for row, on in sorted(errors.items()):
        for (first, ours), (second, theirs) in itertools.combinations(sorted(on.items()), 2):
            shared = sorted(ours.keys() & theirs.keys())
            if len(shared) < LEAST_SEEDS:
                continue
            differences = [100 * (ours[seed] - theirs[seed]) for seed in shared]
            mean, spread = statistics.mean(differences), statistics.stdev(differences)
            half = float(stats.t.ppf(0.975, len(shared) - 1)) * spread / len(shared) ** 0.5
            between = f"{mean - half:+.2f} to {mean + half:+.2f}"
            seeds = statistics.stdev(100 * ours[seed] for seed in shared)
            means.append(mean)
            chances.append(float(stats.ttest_1samp(differences, 0).pvalue) if spread > 0 else 1.0)
            lines.append(
                f"{' '.join(row)}: {first} less {second} {mean:+.2f} ({between}) points, "
                f"{len(shared)} seeds, which differ by {seeds:.2f} (one standard deviation)"
            )
    if not lines:
        pytest.skip("no row was published by two machines with the same seeds")
    overall = statistics.mean(means)
    with capsys.disabled():
        print("\n" + "\n".join(lines) + f"\nmean of {len(means)} rows: {overall:+.2f} points")
    assert min(chances) > 0.05 / len(chances), "a row is told apart from itself"
    assert abs(overall) < 100 * BOARDS[0].share_margin
