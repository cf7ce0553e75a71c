"""What two processes that do the same differ by, beyond what repetitions in one show: ``harness.results.evidence``.

``python -m nox -s perf -- tests/perf/test_process_spread.py`` prints it. For seconds the published records tell: each
throughput record holds LIF's own step, measured in that record's process. For ratios no two published records do the
same work; a cell is measured in several processes here, on a machine that should be idle.
"""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from harness.paths import PUBLISHED
from harness.results.evidence import BETWEEN_RUNS, OTHER_BETWEEN_RUNS
from harness.results.record import Record
from harness.results.store import read_stores

pytestmark = [pytest.mark.perf, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]
SESSION_ENDS_AFTER = timedelta(minutes=30)
"""Without a measurement: what happened to the machine meanwhile is not a process's doing."""
PROCESSES = 10
CELL = ("--suite", "throughput", "--preset", "quick", "--neuron", "if", "--task", "digits", "--topology", "mlp")


def test_seconds_of_the_published_records(capsys: pytest.CaptureFixture[str]) -> None:
    of_same_work: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    for record in read_stores([ROOT / PUBLISHED]).records:
        if record.status == "ok" and "baseline_train_step_seconds" in record.details:
            cell, machine = record.cell, record.provenance.machine.name
            key = (machine, cell.task, cell.topology, cell.dtype, str(cell.threads), cell.budget, cell.device)
            of_same_work[key].append(record)
    logs = [
        [math.log(record.details["baseline_train_step_seconds"]) for record in session]
        for records in of_same_work.values()
        for session in sessions(records)
    ]
    with capsys.disabled():
        print(f"\nLIF's own step in seconds: {pooled(logs)}; the rule's: {OTHER_BETWEEN_RUNS:.0%}")


def test_a_ratio_in_several_processes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(PROCESSES):
        command = [sys.executable, "-m", "harness", "run", *CELL, "--store", str(tmp_path / str(number))]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    records = [r for r in read_stores(sorted(tmp_path.iterdir())).records if r.cell.suite == "throughput"]
    assert len(records) == PROCESSES
    for metric in ("train_step_ratio", "train_step_seconds"):
        logs = [math.log(record.metrics[metric].value) for record in records]
        noisy = sum(record.status == "noisy" for record in records)
        with capsys.disabled():
            print(f"\n{metric} of IF: {pooled([logs])}, {noisy} of {PROCESSES} records noisy; the rule's for ratios:")
            print(f"{BETWEEN_RUNS['ratio']:.0%}, for seconds: {OTHER_BETWEEN_RUNS:.0%}")


def sessions(records: Sequence[Record]) -> Iterator[list[Record]]:
    """Split records where the machine rested, or did something else."""
    session: list[Record] = []
    for record in sorted(records, key=_started):
        if session and _started(record) - _started(session[-1]) > SESSION_ENDS_AFTER:
            yield session
            session = []
        session.append(record)
    yield session


def _started(record: Record) -> datetime:
    return datetime.fromisoformat(record.provenance.started_at)


def pooled(logs: Sequence[Sequence[float]]) -> str:
    """Say the standard deviation within groups, and on how many degrees of freedom it rests."""
    several = [group for group in logs if len(group) > 1]
    freedom = sum(len(group) - 1 for group in several)
    variance = sum(statistics.variance(group) * (len(group) - 1) for group in several) / freedom
    return f"{math.sqrt(variance):.1%} between processes ({freedom} degrees of freedom in {len(several)} sessions)"
