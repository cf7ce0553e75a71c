"""From a new neuron in a fork to a row on the project's board: made, checked, run cut off, marked and shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from documents import ROOT, clone
from submitted import ALIEN

from harness.submissions.sandbox import find_sandbox

CELLS = ("--task", "digits", "--method", "bptt", "--topology", "mlp", "--backend", "eager", "--budget", "quick")


def command(folder: Path, *words: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-c", "from harness.cli import main; main()", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == code, done.stdout[-4000:]
    return done.stdout


def commit(folder: Path) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    for words in (["add", "-A"], ["commit", "--quiet", "--allow-empty", "-m", "mine"]):
        subprocess.run(["git", "-C", str(folder), *who, *words], check=True)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("place", ["reference_impls/neurons", "spikeboard_entries"])
def test_from_a_fork_to_the_board(tmp_path: Path, place: str) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    project = clone(tmp_path / "project")
    commit(project)
    fork = tmp_path / "fork"
    subprocess.run(["git", "clone", "--quiet", str(project), str(fork)], check=True)
    entry = fork / place / "alien.py"
    entry.parent.mkdir(exist_ok=True)
    entry.write_text(ALIEN.format(name="alien-lif", more=""), encoding="utf-8")
    only = ["--neuron", "alien-lif", *CELLS, "--seed", "0", "--suite", "accuracy", "--suite", "conformance"]
    if place.startswith("reference_impls"):
        assert "no records" in command(
            fork, "submit", "--neuron", "alien-lif", "--store", "reports/data", "--to", "x", code=2
        )
    commit(fork)
    command(fork, "run", *only, "--suite", "memory")
    said = command(fork, "submit", "--neuron", "alien-lif", "--to", "made")
    assert "with the sources of neuron alien-lif" in said
    assert "does not hold" not in command(fork, "verify-submission", "made")

    target = project / "reports" / "submissions" / "somebody"
    target.parent.mkdir()
    (fork / "made").rename(target)
    board = ["table", "--board", "neurons", "--task", "digits", "--budget", "quick", "--rows", "alien-lif"]
    assert "(reported)" in command(project, *board)
    said = command(project, "verify-submission", "reports/submissions/somebody", "--mark")
    assert "cannot be told   nothing was run" in said or "nothing was run" in said
    assert "(checked)" in command(project, *board)
    if not find_sandbox().protects:
        pytest.skip("nothing can be cut off here")
    run = ["verify-submission", "reports/submissions/somebody", "--run", "--sample", "9", "--mark", "--format", "json"]
    lines = {one["check"]: one for one in json.loads(_json(command(project, *run)))["lines"]}
    assert lines["isolation"]["verdict"] == "holds"
    assert lines["exact figures"]["verdict"] == "holds"
    assert lines["test errors"]["verdict"] == "holds"
    [table] = [one for one in json.loads(command(project, *board, "--format", "json")) if one["rows"]]
    [row] = table["rows"]
    assert row["verified"] is True
    error = row["figures"]["accuracy.error_fraction"]
    assert (error["mark"], error["standing"], error["submission"]) == ("reproduced", "current", "somebody")
    assert error["rank"] is not None

    forged = next(target.rglob("accuracy/*.jsonl"))
    forged.write_bytes(forged.read_bytes().replace(b'"seed":0', b'"seed":1'))
    assert "does not hold" in command(project, "verify-submission", "reports/submissions/somebody", code=1)
    assert "alien-lif" not in command(project, "table", "--board", "neurons", "--task", "digits")


def _json(text: str) -> str:
    """Return the JSON among what else was said."""
    return text[text.index("{\n") : text.rindex("\n}") + 2]
