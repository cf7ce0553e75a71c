"""``spikeboard calibrate``: goes on where it was, counts what counts, and refuses what could not mean anything."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from documents import clone, shell
from history import around, figure
from synthetic import record
from typer.testing import CliRunner

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.cli import app, calibrating
from harness.errors import UserError
from harness.execute import pauses
from harness.execute.job import Job, Summary
from harness.results import provenance
from harness.results.fingerprint import code_hash
from harness.results.machine import this_machine
from harness.results.record import Record
from harness.results.store import Store

COMMIT = "c" * 40
ASKED = ["calibrate", "--runs", "5", "--preset", "smoke", "--neuron", "lif", "--method", "bptt", "--topology", "mlp"]


@pytest.fixture(autouse=True)
def clean_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the state of the tree that is tested, measure a commit."""
    origin = replace(provenance.this_origin(), commit=COMMIT, dirty=False)
    monkeypatch.setattr(provenance, "this_origin", lambda: origin)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Take the place of the pool: write a time that differs from run to run; what was asked of it is returned."""
    calls: list[tuple[str, int]] = []

    def measure(_where: object, jobs: Sequence[Job], _registry: object, store: Store, *_more: object) -> Summary:
        calls.append((store.root.name, len(jobs)))
        seconds = 2e-3 * (1 + 0.01 * len(calls))
        for job in jobs:
            store.write(made(job.cell, seconds, len(calls)))
        return Summary({"ok": len(jobs)})

    monkeypatch.setattr(calibrating, "measure_shown", measure)
    return calls


def made(cell: Cell, seconds: float, day: int) -> Record:
    metrics = figure("throughput", "train_step_seconds", seconds, around(seconds))
    begun = f"2026-03-{day:02d}T01:00:00+00:00"
    one = record(cell, metrics=metrics, machine=this_machine(), started_at=begun)
    suite = load_registry().suite(cell.suite)
    origin = {"commit": COMMIT, "dirty": False, "code_hash": code_hash(cell, load_registry())}
    versions = {"suite_version": suite.version, "task_version": load_registry().task(cell.task).version}
    return one.model_copy(update={"provenance": one.provenance.model_copy(update=origin | versions)})


def spikeboard(folder: Path, *more: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, [*ASKED, "--store", str(folder / "runs"), "--noise", str(folder / "noise"), *more])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


def spreads(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for path in (folder / "noise").glob("*") for line in path.read_text().splitlines()]


def test_every_run_has_a_store_of_its_own_and_what_is_done_is_not_done_again(
    tmp_path: Path, measured: list[tuple[str, int]]
) -> None:
    said = spikeboard(tmp_path)
    assert measured == [(f"run-{number:03d}", 1) for number in range(1, 6)]
    assert "run 5 of 5" in said
    (spread,) = spreads(tmp_path)
    assert (spread["runs"], spread["commit"], spread["label"]) == (5, COMMIT, "lif bptt mlp digits smoke")
    assert "spread of 1 figure" in said
    done = tmp_path / "runs" / COMMIT[:10] / "run-003"
    for path in done.rglob("*.json"):
        path.unlink()
    said = spikeboard(tmp_path)
    assert measured[5:] == [("run-003", 1)]
    assert "5 runs, 4 of them done already" in said
    assert "run 3 of 5" in said


def test_runs_are_spread_over_the_time_that_was_asked(
    tmp_path: Path, measured: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    due: list[float] = []
    monkeypatch.setattr(pauses, "wait_until", lambda moment: due.append(moment))
    spikeboard(tmp_path, "--over", "4h")
    assert len(measured) == 5
    runs = sorted((tmp_path / "runs" / COMMIT[:10]).iterdir())
    begun = [one.provenance.moment.timestamp() for run in runs for one in Store(run).read().records]
    assert due[0] == 0.0
    assert due[1:] == [moment + 3600 for moment in sorted(begun)[:-1]], "an hour after the run before began"


def test_a_signal_while_waiting_leaves_what_is_done(
    tmp_path: Path, measured: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauses, "wait_until", lambda moment: signal.SIGINT if moment else None)
    said = spikeboard(tmp_path, "--over", "4h", code=130)
    assert len(measured) == 1
    assert "The same command goes on from here." in said
    assert spreads(tmp_path) == []


def test_a_plan_is_shown_and_nothing_is_run(tmp_path: Path, measured: list[tuple[str, int]]) -> None:
    said = spikeboard(tmp_path, "--dry-run", "--over", "4h")
    assert "1 cell a run" in said
    assert "5 runs, 0 of them done already" in said
    assert measured == []


@pytest.mark.usefixtures("measured")
def test_what_could_not_mean_anything_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="the suite 'accuracy' gives the same figures at every run"):
        spikeboard(tmp_path, "--suite", "accuracy")
    with pytest.raises(UserError, match="--runs 4 gives no spread"):
        spikeboard(tmp_path, "--runs", "4")
    with pytest.raises(UserError, match="'soon' is no time"):
        spikeboard(tmp_path, "--over", "soon")
    changed = replace(provenance.this_origin(), dirty=True)
    monkeypatch.setattr(provenance, "this_origin", lambda: changed)
    with pytest.raises(UserError, match="was changed since its commit"):
        spikeboard(tmp_path)
    nowhere = replace(changed, commit=None, dirty=None)
    monkeypatch.setattr(provenance, "this_origin", lambda: nowhere)
    with pytest.raises(UserError, match="is of no commit"):
        spikeboard(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_real_calibration_of_a_commit_against_itself(tmp_path: Path) -> None:
    """Of memory, whose peaks differ between processes also where the machine is too busy to take times."""
    folder = clone(tmp_path / "clone")
    git = "git -c user.name=A -c user.email=a@example.org -c commit.gpgsign=false"
    shell(folder, f"git add -A && {git} commit --quiet --allow-empty -m 'As it is'", tmp_path / "tools")
    line = "spikeboard calibrate --runs 5 --preset smoke --suite memory --neuron lif --method bptt --topology mlp"
    done = shell(folder, line, tmp_path / "tools")
    assert done.returncode == 0, done.stdout
    kept = [
        json.loads(one) for path in (folder / "reports/asv/noise").glob("*") for one in path.read_text().splitlines()
    ]
    (peak,) = kept
    assert (peak["suite"], peak["metric"], peak["runs"]) == ("memory", "peak_bytes", 5)
    assert peak["lowest"] <= peak["value"] <= peak["highest"]
    assert 0 <= peak["between"] < 1
    head = shell(folder, "git rev-parse HEAD", tmp_path / "tools").stdout.strip()
    assert peak["commit"] == head
    assert "5 of them done already" in shell(folder, line, tmp_path / "tools").stdout
