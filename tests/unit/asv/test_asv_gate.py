"""The gate of ``spikeboard asv``: what changed since a commit, and nothing else; it leaves the tree as it was."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("asv")

from history import ROOT, Repository, around, cell, figure, git, make_repository, measured_at

from harness.asv.output import without_unasked
from harness.results.record import Record

COMMITS = 6
SLOWER, WORSE = "klif", "psn"
"""Neurons that the newest commit makes slower, or less accurate."""
OLD = "if"
"""A neuron that became slower some commits before."""
MAIN = "from harness.cli import main; main()"


def asv(folder: Path, *words: str, code: int) -> list[str]:
    """Publish what there is in `folder` and return the lines that were printed."""
    command = [sys.executable, "-c", MAIN, "asv", "--publish", "--gate", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == code, done.stdout
    return done.stdout.splitlines()


def regressions(lines: list[str]) -> list[str]:
    """Return suite, metric and neuron of every regression that was said."""
    words = [line.split() for line in lines if line.startswith("regression: ")]
    return sorted(" ".join((suite, metric, neuron)) for _, suite, metric, _, neuron, *_ in words)


def records(repository: Repository) -> Iterator[Record]:
    for number, commit in enumerate(repository.commits):
        newest = number == COMMITS - 1
        for neuron in ("lif", OLD, SLOWER, WORSE):
            # Rounds differ a little at each commit; every derived metric follows the step it is made of.
            seconds = 2e-3 * (1 + 0.002 * (number % 3))
            seconds *= 1.4 if (neuron == SLOWER and newest) or (neuron == OLD and number >= 2) else 1.0
            timed = figure("throughput", "train_step_seconds", seconds, around(seconds))
            timed |= figure("throughput", "train_samples_per_second", 64 / seconds)
            yield measured_at(commit, cell("throughput", neuron), timed)
            for seed in range(3):
                error = (0.030 + 0.001 * seed + 0.0003 * (number % 2)) * (1.5 if neuron == WORSE and newest else 1.0)
                metrics = figure("accuracy", "error_fraction", error)
                metrics |= figure("accuracy", "last_error_fraction", error)
                yield measured_at(commit, cell("accuracy", neuron, seed=seed), metrics)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    made = make_repository(tmp_path_factory.mktemp("gate") / "clone", COMMITS)
    made.write(records(made))
    shutil.copy(ROOT / ".gitignore", made.root / ".gitignore")
    return made


def test_a_slowdown_and_a_loss_of_accuracy_are_found_and_nothing_else(repository: Repository) -> None:
    said = asv(repository.root, "--since", "HEAD~1", "--store", "store", code=1)
    assert regressions(said) == [f"accuracy error_fraction {WORSE}", f"throughput train_step_seconds {SLOWER}"]
    assert "judged: the 1 commit since HEAD~1, 1 of them with figures; 2 regressions" in said


def test_everything_is_judged_where_nothing_was_published(repository: Repository) -> None:
    said = asv(repository.root, "--store", "store", code=1)
    assert len(regressions(said)) == 3
    assert f"throughput train_step_seconds {OLD}" in regressions(said)
    assert any(line.startswith("judged: the whole history") for line in said)


def test_what_is_older_is_not_judged(repository: Repository) -> None:
    said = asv(repository.root, "--since", "HEAD", "--store", "store", code=0)
    assert regressions(said) == []
    assert "judged: the 0 commits since HEAD, 0 of them with figures; 0 regressions" in said


def test_only_the_series_that_were_asked_for_are_judged(repository: Repository) -> None:
    judged = ("--since", "HEAD~1", "--store", "store")
    assert regressions(asv(repository.root, *judged, "--cell", f"{WORSE} *", code=1)) == [
        f"accuracy error_fraction {WORSE}"
    ]
    assert regressions(asv(repository.root, *judged, "--cell", "lif *", code=0)) == []
    assert "no series on the graphs is called 'lfi *'" in " ".join(
        asv(repository.root, *judged, "--cell", "lfi *", code=2)
    )


def test_a_trifle_on_top_of_what_was_accepted_is_none(tmp_path: Path) -> None:
    """asv compares with the best of all times; the gate with the value before."""
    made = make_repository(tmp_path / "clone", 8)
    values = [1.0, 1.0, 1.0, 1.5, 1.5, 1.5, 1.55, 1.55]
    for commit, value in zip(made.commits, values, strict=True):
        made.write([measured_at(commit, cell("memory", "lif"), figure("memory", "peak_bytes", value * 1e6))])
    assert regressions(asv(made.root, "--since", made.commits[4], "--store", "store", code=0)) == []


def test_a_commit_that_is_none_is_named(repository: Repository) -> None:
    said = " ".join(asv(repository.root, "--since", "nowhere", "--store", "store", code=2))
    assert "--since 'nowhere' is no commit of this repository" in said


def test_published_results_are_accepted_and_a_subfolder_will_do(repository: Repository, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(repository.root, clone)
    shutil.move(clone / "store", clone / "reports" / "data")
    (clone / "docs").mkdir()
    git(clone, "add", ".")
    git(clone, "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "--quiet", "-m", "Publish")
    assert regressions(asv(clone / "docs", code=0)) == []
    assert git(clone, "status", "--short") == ""


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a clone")
def test_the_gate_is_green_on_this_history_and_leaves_the_tree_clean(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(ROOT), str(clone))
    said = asv(clone, code=0)
    assert regressions(said) == []
    assert not [line for line in said if "n/a" in line]
    assert git(clone, "status", "--short") == ""


TABLE = """\
[50.00%] ··· memory.Memory.track_saved_bytes                    2/34 failed
             ==================================== ========
                             cell
             ------------------------------------ --------
              lif bptt mlp digits quick             325k
              alif-lsnn bptt mlp digits quick       n/a
              if eprop mlp digits quick            failed
              plif bptt mlp digits quick           failed
             ==================================== ========
"""


def test_rows_that_say_nothing_are_not_printed() -> None:
    lines = TABLE.splitlines(keepends=True)
    assert [*without_unasked(lines, [])] == lines[:5] + lines[6:]
    assert [*without_unasked(lines, ["plif bptt mlp digits quick"])] == lines[:5] + lines[7:]
