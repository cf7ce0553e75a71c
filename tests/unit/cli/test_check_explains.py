"""What `check` says of entries that fail: an equal cause once, with the file, and not that all is well before."""

from __future__ import annotations

import io

import pytest
from synthetic import Factory

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.cli.checking import _explain
from harness.execute.display import Display, is_failure
from harness.execute.job import Job
from harness.planning.checking import CheckRow, EntryVerdict
from harness.terminal import Console

FACTORY = Factory()


def failing(name: str, *problems: str, column: str = "contract") -> CheckRow:
    return CheckRow(name, "neuron", {column: EntryVerdict("failed", problems=problems)})


def test_rows_of_a_file_that_fail_for_one_cause_share_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    registry = load_registry()
    path = registry.neurons["lif"].path
    located = f"first look: {path}:7: step() returns a tensor"
    rows = [
        failing("lif", located),
        failing("lif-hard", located),
        failing("psn", "output: no"),
        failing("if", "a", "b"),
    ]
    _explain(rows, registry)
    assert capsys.readouterr().out.splitlines() == [
        f"lif, lif-hard, contract: {located}",
        f"psn, contract ({registry.neurons['psn'].path}): output: no",
        f"if, contract ({registry.neurons['if'].path}):",
        "  a",
        "  b",
    ]


def test_a_broken_contract_is_not_shown_as_ok() -> None:
    job = job_of(0)
    cell = job.cell
    console = Console(file=io.StringIO(), width=200)
    with Display([job, job], console) as display:
        for broken in (0, 2):
            record = FACTORY.conformance(cell, broken)
            assert is_failure(record) == (broken > 0)
            display.started(job)
            display.finished(job, record)
    words = [line.split("] ")[1].split()[0] for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert words == ["ok", "broken"]


def test_the_time_left_stands_on_lines_where_there_is_no_bar() -> None:
    jobs = [job_of(seed) for seed in range(3)]
    console = Console(file=io.StringIO(), width=200)
    with Display(jobs, console) as display:
        display._progress.tasks[0].start_time = display._progress.get_time() - 60
        display.started(jobs[0])
        display.finished(jobs[0], FACTORY.conformance(jobs[0].cell))
    (line,) = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert line.endswith("(about 2 min 00 s left)")


def job_of(seed: int) -> Job:
    cell = Cell("conformance", neuron="lif", seed=seed)
    return Job(cell, "hash", exclusive=False, timeout_seconds=60.0, memory_bytes=2**30)
