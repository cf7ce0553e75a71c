"""Two stores or two commits: exit code 1 for a regression beyond the noise, and for nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import record
from typer.testing import CliRunner

import harness
from harness.catalogue.cards import load_rows
from harness.catalogue.cell import Cell
from harness.cli import app
from harness.errors import UserError
from harness.results.comparison import compare, records_of
from harness.results.fingerprint import code_hash
from harness.results.record import Metric, Record
from harness.results.store import Store

CELL = Cell("throughput", "digits", "lif", "bptt", "mlp", budget="quick", threads=2)


def timed(seconds: float, half: float = 0.01, **axes: object) -> Record:
    metric = Metric(value=seconds, unit="seconds", direction="lower", low=seconds - half, high=seconds + half, n=9)
    return record(replace(CELL, **axes), metrics={"train_step_seconds": metric})


def saved(size: float) -> Record:
    metric = Metric(value=size, unit="bytes", direction="lower", exact=True)
    return record(replace(CELL, suite="memory"), metrics={"saved_bytes": metric})


def stores(folder: Path, before: list[Record], after: list[Record]) -> list[str]:
    for name, records in (("before", before), ("after", after)):
        (folder / name).mkdir()
        for each in records:
            Store(folder / name).write(each)
    return [str(folder / "before"), str(folder / "after")]


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        (timed(1.0), timed(1.0), 0),
        (timed(1.0), timed(1.5), 1),
        (timed(1.5), timed(1.0), 0),
        (timed(1.0, half=0.4), timed(1.5, half=0.4), 0),
        (timed(1.0), timed(1.03), 0),
        (saved(1000), saved(1001), 1),
        (saved(1001), saved(1000), 0),
    ],
)
def test_only_a_regression_beyond_the_noise_fails(tmp_path: Path, before: Record, after: Record, code: int) -> None:
    result = CliRunner().invoke(app, ["compare", *stores(tmp_path, [before], [after])])
    assert result.exit_code == code, result.output
    assert ("regression" in result.output) == (code == 1)


def test_stores_without_a_common_figure_are_an_error_not_a_pass(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["compare", *stores(tmp_path, [timed(1.0)], [timed(1.0, neuron="if")])])
    assert isinstance(result.exception, UserError)
    assert "no figure in common" in str(result.exception)


def test_seeds_are_combined_before_they_are_compared() -> None:
    before = [timed(value, seed=seed) for seed, value in enumerate((1.0, 1.2, 1.1))]
    after = [timed(value, seed=seed) for seed, value in enumerate((1.05, 1.25, 1.15))]
    (found,) = compare(before, after, 0.01)
    assert found.change.before.n == 3
    assert found.change.verdict == "noise"


def test_other_machines_are_not_compared() -> None:
    elsewhere = timed(9.0)
    machine = elsewhere.provenance.machine.model_copy(update={"name": "elsewhere"})
    moved = elsewhere.model_copy(update={"provenance": elsewhere.provenance.model_copy(update={"machine": machine})})
    assert compare([timed(1.0)], [moved], 0.05) == []


def test_what_is_neither_store_nor_commit_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither a folder of records nor a commit"):
        records_of("no-such-commit", [tmp_path], load_rows())


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of two commits that differ in what LIF computes."""
    root, folder = Path(harness.__file__).parents[1], tmp_path / "repository"
    for package in ("harness", "reference_impls"):
        shutil.copytree(
            root / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "vectors", "static")
        )
    monkeypatch.chdir(folder)
    for name in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setitem(os.environ, name, "tests@example.org")
    subprocess.run(["git", "init", "-q", "-b", "main"], check=True)
    _commit("first")
    path = folder / "reference_impls/neurons/lif.py"
    path.write_text(path.read_text().replace("s = self.fire(h)", "s = self.fire(h) * 1.0"))
    _commit("second")
    return folder


def _commit(message: str) -> None:
    subprocess.run(["git", "add", "-A"], check=True)
    subprocess.run(["git", "commit", "-q", "-m", message], check=True)


def test_a_commit_stands_for_the_records_of_its_code(repository: Path, tmp_path: Path) -> None:
    """Whenever they were measured: what counts is the hash of the code, not the commit noted in the record."""
    rows, store = load_rows(), Store(tmp_path / "records")
    for commit, seconds in (("main~1", 1.0), ("main", 2.0)):
        folder = tmp_path / commit.replace("~", "")
        subprocess.run(["git", "worktree", "add", "-q", "--detach", str(folder), commit], check=True)
        measured = timed(seconds)
        code = code_hash(CELL, rows, folder)
        store.write(
            measured.model_copy(update={"provenance": measured.provenance.model_copy(update={"code_hash": code})})
        )
    result = CliRunner().invoke(app, ["compare", "main~1", "main", "--store", str(store.root)])
    assert result.exit_code == 1, result.output
    assert "+100.0%" in result.output
    assert CliRunner().invoke(app, ["compare", "main", "main~1", "--store", str(store.root)]).exit_code == 0
