"""Imports run one way, and what lists, plans and reports works where torch cannot be imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[2]

BLOCKED = """
import sys
sys.modules["torch"] = None
from harness.cli import main
sys.argv = ["spikeboard", *{arguments!r}]
main()
"""


def test_imports_run_one_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert lint_imports() == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["table", "--store", "store", "--format", "csv"],
        ["compare", "store", "store"],
        ["report", "--store", "store", "--out", "site"],
        ["run", "--preset", "smoke", "--dry-run"],
        ["data"],
        ["show", "9783", "--store", "store"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_verbs_that_measure_nothing_need_no_torch(arguments: list[str], tmp_path: Path) -> None:
    from synthetic import record

    from harness.catalogue.cell import Cell
    from harness.results.record import Metric
    from harness.results.store import Store

    cell = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick")
    metric = Metric(value=0.03, unit="fraction", direction="lower", n=359)
    Store(tmp_path / "store").write(record(cell, metrics={"error_fraction": metric}))
    program = BLOCKED.format(arguments=arguments)
    result = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout
