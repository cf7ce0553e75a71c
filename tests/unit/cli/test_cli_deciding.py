"""The verbs that decide, on a store of made-up records: what they print, and how they end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import Factory, error_metric, older, record, write_store
from typer.testing import CliRunner

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.cli import app
from harness.errors import UserError

REGISTRY = load_registry()
BASE = Cell("accuracy", "fsdd", "lif", "bptt", "mlp", budget="standard")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    card = REGISTRY.suite("accuracy").metrics["error_fraction"]
    made = [Factory(REGISTRY).conformance(Cell("conformance", neuron=name, dtype="float64")) for name in ("lif", "psn")]
    for task in ("fsdd", "smnist-rows"):
        for neuron, wrong in (("lif", 200), ("psn", 100), ("glif", 190)):
            for seed in range(5):
                cell = replace(BASE, task=task, neuron=neuron, seed=seed)
                made.append(record(cell, metrics={"error_fraction": error_metric(wrong + 3 * seed, card, 1000)}))
    return write_store(tmp_path_factory.mktemp("deciding") / "store", made, corrupt=False)


def ran(*arguments: str) -> str:
    found = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


@pytest.mark.parametrize(
    ("name", "sign"),
    [("md", "| 1"), ("latex", r"\begin{tabular}"), ("csv", "relative.value"), ("html", "<table")],
)
def test_overall_boards_come_in_every_format(store: Path, name: str, sign: str) -> None:
    text = ran("table", "--board", "overall-neurons", "--store", str(store), "--format", name)
    assert sign in text
    assert "psn" in text
    terminal = ran("table", "--board", "overall-neurons", "--store", str(store))
    assert "Neuron models over all tasks: standard" in terminal
    assert "family-wise 95 %" in terminal


def test_the_terminal_answers_in_two_sentences(store: Path) -> None:
    answer, unknown = ran("recommend", "--data", "sound", "--store", str(store)).splitlines()
    assert answer.startswith("For sound, take psn: test error ")
    assert unknown.startswith("Not known: ")
    online = ran("recommend", "--data", "sound", "--online", "--store", str(store))
    assert "psn" not in online.splitlines()[0]


def test_claims_are_printed_by_either_name(store: Path) -> None:
    assert "klif-free" in ran("claims", "--store", str(store))
    assert ran("table", "--board", "claims", "--store", str(store), "--format", "csv") == ran(
        "claims", "--store", str(store), "--format", "csv"
    )


def test_without_current_records_it_is_said_and_what_to_do(store: Path, tmp_path: Path) -> None:
    stale = write_store(tmp_path / "stale", [older(record(BASE, metrics={}))], corrupt=False)
    for arguments in (["recommend", "--data", "sound"], ["table", "--board", "overall-neurons"]):
        with pytest.raises(UserError, match="spikeboard"):
            CliRunner().invoke(app, [*arguments, "--store", str(stale)], catch_exceptions=False)
    with pytest.raises(UserError, match="overall-neurons needs current errors of at least half of the rows on 2 tasks"):
        CliRunner().invoke(app, ["table", "--board", "overall-neurons", "--store", str(stale)], catch_exceptions=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "sond"], "did you mean 'sound'"),
        (["--data", "sound", "--energy", "3ms"], "is no energy"),
        (["--data", "sound", "--choose", "methods"], "did you mean 'method'"),
    ],
)
def test_mistakes_are_answered_with_the_nearest(store: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        CliRunner().invoke(app, ["recommend", *arguments, "--store", str(store)], catch_exceptions=False)
