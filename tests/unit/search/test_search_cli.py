"""``spikeboard search``: from the command line to a row in a table."""

from __future__ import annotations

import ast
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from checkouts import ROOT, copy_packages, spikeboard

pytest.importorskip("optuna", reason="optuna is not installed: pip install -c constraints.txt -e '.[search]'")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the two packages, that a topology can be written into."""
    return copy_packages(tmp_path_factory.mktemp("checkout"))


@pytest.mark.slow
def test_a_search_from_the_command_line_to_a_row_in_a_table(checkout: Path) -> None:
    arguments = ("search", "--budget", "smoke", "--initial", "1", "--final-budget", "smoke", "--final-seeds", "1")
    first = spikeboard(checkout, *arguments, "--evaluations", "1", "--no-baseline")
    assert first.count("validation accuracy") >= 2
    said = spikeboard(checkout, *arguments, "--evaluations", "2", "--export", "skip-found")
    assert "bayes             1/2" not in said  # evaluated before
    assert "bayes             2/2" in said
    assert "random            2/2" in said
    assert (checkout / "reports/runs/search/digits-skip-mlp-lif-bptt-smoke-free-0/search.svg").exists()
    written = (checkout / "reference_impls/topologies/skip_found.py").read_text()
    assert ast.parse(written)
    tried = json.loads(next((checkout / ".spikeboard/search").rglob("*.json")).read_text())
    assert "this run: 1 ok" in spikeboard(checkout, *shlex.split(tried["provenance"]["command"])[1:])
    assert "skip-found" in spikeboard(checkout, "list", "topologies")
    run = said.strip().splitlines()[-1].split()
    assert run[0] == "spikeboard"
    table = spikeboard(checkout, *run[1:], "--suite", "accuracy", "--backend", "eager", "--seed", "0")
    assert "this run: 2 ok" in table
    assert "skip-found" in table
    assert "there is a topology 'skip-found' already" in spikeboard(
        checkout, *arguments, "--export", "skip-found", code=2
    )


@pytest.mark.parametrize("words", [["search"], ["tune", "--task", "digits", "--dry-run"]], ids=lambda words: words[0])
def test_without_optuna_it_says_how_to_get_it(tmp_path: Path, words: list[str]) -> None:
    program = (
        "import sys, importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'optuna' else find(name, *a)\n"
        f"from harness.cli import main; sys.argv = ['spikeboard', *{words!r}]; main()"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 2
    assert "optuna is not installed" in result.stderr
    assert "'spikeboard[search]'" in result.stderr
