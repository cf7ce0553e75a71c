"""Two commits measured in turns: what two runs of the same code may differ by is no change, and what is more is one."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import record, registry
from typer.testing import CliRunner
from workflows import git

from harness.catalogue.cell import Cell
from harness.cli import alternating, app
from harness.errors import UserError
from harness.execute import turns
from harness.execute.turns import clone_of, run_in
from harness.results.commits import commit_of
from harness.results.comparison import compare
from harness.results.record import Metric, Record
from harness.results.rounds import over_rounds
from harness.results.store import Store

CELL = Cell("throughput", "digits", "lif", "bptt", "mlp", budget="quick", threads=2)


def timed(seconds: float, half: float = 0.01, status: str = "ok", **axes: object) -> Record:
    bounds = {"low": seconds * (1 - half), "high": seconds * (1 + half), "covers": "repetitions"}
    metric = Metric(value=seconds, unit="seconds", direction="lower", n=9, samples=(seconds,) * 9, **bounds)
    return record(replace(CELL, **axes), status, metrics={"train_step_seconds": metric})


def peak(size: float, seed: int = 0) -> Record:
    metric = Metric(value=size, unit="bytes", direction="lower", n=3, low=size, high=1.01 * size, covers="processes")
    return record(replace(CELL, suite="memory", seed=seed), metrics={"peak_bytes": metric})


def verdict(before: list[list[Record]], after: list[list[Record]]) -> str:
    (found,) = compare(over_rounds(before), over_rounds(after), registry(), 0.05)
    return found.verdict


def test_a_figure_is_the_median_and_spans_the_runs() -> None:
    (merged,) = over_rounds([[timed(1.0)], [timed(1.2)], [timed(1.1)]])
    figure = merged.metrics["train_step_seconds"]
    assert (figure.value, figure.covers, figure.samples) == (1.1, "runs", ())
    assert (figure.low, figure.high) == (pytest.approx(0.99), pytest.approx(1.212))


def test_a_machine_that_becomes_slower_is_no_change_and_a_slower_commit_is_one() -> None:
    drifting = [1.0, 1.1, 1.2, 1.3]
    base, head = [[timed(one)] for one in drifting[::2]], [[timed(one)] for one in drifting[1::2]]
    assert verdict(base, head) == "noise"
    assert verdict(base[:1], base[:1]) == "noisy", "one run does not say how far runs are apart"
    slower = [[timed(1.5 * one)] for one in drifting[1::2]]
    assert verdict(base, slower) == "regression"
    assert verdict(slower, base) == "improvement"


@pytest.mark.parametrize("seeds", [1, 3])
def test_runs_of_the_same_code_are_told_apart_in_one_of_three_at_most(seeds: int) -> None:
    """Runs 8 % apart, each so sure of itself that two of them would nearly always be two figures."""
    stream = random.Random(0)
    wrong = 0
    for _ in range(300):

        def run() -> list[Record]:
            speed = stream.lognormvariate(0.0, 0.08)
            return [timed(speed, half=0.001, seed=seed) for seed in range(seeds)]

        rounds = [run() for _ in range(4)]
        wrong += verdict(rounds[::2], rounds[1::2]) in ("regression", "improvement")
    assert wrong / 300 < 1 / 3, "all of one side's on one side of all of the other's: two of six orders"


def test_peaks_are_judged_as_between_sessions_also_of_several_seeds() -> None:
    base = [[peak(size, seed) for seed in range(3)] for size in (100.0, 110.0)]
    assert verdict(base, [[peak(1.5 * size, seed) for seed in range(3)] for size in (100.0, 110.0)]) == "noise"
    assert verdict(base, [[peak(2.5 * size, seed) for seed in range(3)] for size in (100.0, 110.0)]) == "regression"


def test_what_fails_once_has_failed_and_noisy_runs_count_for_nothing() -> None:
    fine = [[timed(1.0)], [timed(1.0)]]
    assert verdict(fine, [[timed(1.0)], [record(CELL, "crashed")]]) == "regression"
    assert verdict(fine, [[timed(1.0)], [timed(1.0, status="noisy")]]) == "noisy"
    assert verdict(fine, [[timed(1.0)], [timed(9.0, status="noisy")], [timed(1.0)]]) == "same"
    assert verdict(fine, [[timed(1.0)], [record(CELL, "interrupted")], [timed(1.0)]]) == "same"


STAND_IN = """
import json, os, signal, sys, time
from pathlib import Path
def main():
    with Path(os.environ["LOG"]).open("a") as log:
        log.write(json.dumps([Path("which").read_text(), Path(__file__).parts[-3], *sys.argv[1:]]) + "\\n")
    if "--wait" in sys.argv:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(30)
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of two commits whose command notes that it was called; it is the current folder."""
    folder = tmp_path / "repository"
    (folder / "harness").mkdir(parents=True)
    (folder / "harness" / "cli.py").write_text(STAND_IN)
    (folder / "harness" / "__init__.py").touch()
    git(folder, "init", "-q", "-b", "main")
    for which in ("old", "new"):
        (folder / "which").write_text(which)
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", which)
    (folder / "which").write_text("changed since")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    return folder


def test_each_commit_is_run_by_its_own_code(repository: Path, tmp_path: Path) -> None:
    for name in ("HEAD~1", "HEAD"):
        clone = clone_of(repository, commit_of(repository, name), tmp_path / "clones" / name)
        assert run_in(clone, ["run", "--x"]) == 0
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines == ['["old", "HEAD~1", "run", "--x"]', '["new", "HEAD", "run", "--x"]']
    assert git(repository, "worktree", "list").count("\n") == 0
    with pytest.raises(UserError, match="'nothing' is no commit"):
        commit_of(repository, "nothing")


def test_a_signal_reaches_the_run_and_its_exit_code_comes_back(repository: Path, tmp_path: Path) -> None:
    clone = clone_of(repository, commit_of(repository, "HEAD"), tmp_path / "clone")
    code = "import sys; from pathlib import Path; from harness.execute.turns import run_in; "
    code += f"sys.exit(run_in(Path({str(clone)!r}), ['--wait']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(turns.__file__).parents[2], timeout=60)
    assert done.returncode == 143


def test_commits_take_turns_and_are_compared(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    commits = [commit_of(repository, name) for name in ("HEAD~1", "HEAD")]

    def run(clone: Path, words: list[str]) -> int:
        head = (clone / "which").read_text() == "new"
        seen.append([(clone / "which").read_text(), *words[:-2]])
        one = timed(1.5 if head else 1.0)
        origin = one.provenance.model_copy(update={"commit": commits[head]})
        Store(Path(words[-1])).write(one.model_copy(update={"provenance": origin}))
        return 1 if head else 0  # cells that failed are results

    monkeypatch.setattr(turns, "run_in", run)
    asked = ["alternate", "HEAD~1", "HEAD", "--store", str(tmp_path / "s"), "--suite", "throughput", "--device", "cpu"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 1, done.output
    assert "1 cell: 1 regression" in done.output
    assert seen == [[which, "run", "--suite", "throughput", "--device", "cpu"] for which in ("old", "new") * 2]
    assert "spikeboard compare" in done.output

    monkeypatch.setattr(turns, "run_in", lambda *_: 130)
    done = CliRunner().invoke(app, asked)
    assert (done.exit_code, "The same command goes on from here" in done.output) == (130, True)
    monkeypatch.setattr(turns, "run_in", lambda *_: 3)
    assert CliRunner().invoke(app, asked).exit_code == 3, "the machine is not quiet"
    with pytest.raises(UserError, match="holds records of the commit"):
        CliRunner().invoke(app, ["alternate", "HEAD", "HEAD~1", *asked[3:]], catch_exceptions=False)
    with pytest.raises(UserError, match="--rounds 1 does not say"):
        CliRunner().invoke(app, [*asked, "--rounds", "1"], catch_exceptions=False)
    assert alternating.ROUNDS == 2
