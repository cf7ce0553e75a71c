"""The command line as its users have it: runs, resumes, tells what is wrong and what to do next."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command import spikeboard
from synthetic import Factory

from harness.catalogue.cell import Cell
from harness.results.fingerprint import combined
from harness.results.store import Store

ONE = ["--preset", "smoke", "--suite", "accuracy", "--neuron", "lif", "--method", "bptt"]


def measuring(folder: Path, *arguments: str) -> str:
    """Run the command in `folder` in a process of its own, as who measures, and return all that it printed."""
    command = [sys.executable, "-c", "from harness.cli import main; main()", *arguments]
    result = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert result.returncode == 0, result.stdout
    return result.stdout


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which one cell has been measured."""
    folder = tmp_path_factory.mktemp("measured")
    said = measuring(folder, "run", *ONE)
    assert "this run: 1 ok" in said
    assert "test error" in said
    return folder


def test_the_same_command_does_only_what_is_new(measured: Path) -> None:
    assert "0 cells to measure, 1 done already" in spikeboard(measured, "run", *ONE)
    said = spikeboard(measured, "run", *ONE, "--seed", "0", "--seed", "1", "--dry-run")
    assert "1 cell to measure, 1 done already" in said
    assert "lif+bptt+mlp+eager+s1" in said


def test_what_is_stale_is_measured_again_and_nothing_else(measured: Path, tmp_path: Path) -> None:
    (path,) = (measured / "reports/runs").rglob("*.json")
    record = json.loads(path.read_text())
    inputs = record["provenance"]["inputs"] | {"neuron": "0" * 12}
    record["provenance"] |= {"inputs": inputs, "code_hash": combined(inputs)}
    published = tmp_path / "reports/data"
    published.mkdir(parents=True)
    (published / "older.json").write_text(json.dumps(record))
    said = spikeboard(tmp_path, "status", code=1)
    assert "1 of 1 cells" in said
    assert "neuron" in said
    assert "spikeboard run --stale" in said
    assert "0 cells to measure" in spikeboard(tmp_path, "run", "--stale", "--neuron", "psn", "--dry-run")
    assert "this run: 1 ok" in measuring(tmp_path, "run", "--stale")
    (again,) = (tmp_path / "reports/runs").rglob("*.json")
    reproduces(json.loads(again.read_text()), json.loads(path.read_text()))
    spikeboard(tmp_path, "status", code=1)  # what is published is still the older one
    spikeboard(tmp_path, "status", "--store", "reports/data", "--store", "reports/runs")
    assert "0 cells to measure" in spikeboard(tmp_path, "run", "--stale")


def reproduces(again: dict[str, Any], record: dict[str, Any]) -> None:
    """Hold one record of a cell against another that was made later."""
    assert again["cell_id"] == record["cell_id"]
    assert again["metrics"] == record["metrics"]
    assert again["predictions"] == record["predictions"]
    assert record["predictions"]["samples"] == record["metrics"]["error_fraction"]["n"]
    assert again["provenance"]["started_at"] > record["provenance"]["started_at"]


def test_a_record_names_the_command_that_reproduces_it(measured: Path) -> None:
    """That measuring a cell again gives the same is asserted of the stale one above."""
    (path,) = (measured / "reports/runs").rglob("*.json")
    record = json.loads(path.read_text())
    command = record["provenance"]["command"].split()
    assert command[:2] == ["spikeboard", "run"]
    said = spikeboard(measured, *command[1:], "--dry-run")
    assert "1 cell to measure, 0 done already" in said
    assert record["cell_id"] in said


@pytest.mark.parametrize(
    ("name", "sign"), [("md", "| lif"), ("latex", r"\toprule"), ("csv", "neuron"), ("html", "<table")]
)
def test_tables_come_in_every_format(measured: Path, name: str, sign: str) -> None:
    assert sign in spikeboard(measured, "table", "--board", "neurons", "--format", name)


def test_a_cell_can_be_shown(measured: Path) -> None:
    path = next((measured / "reports/runs").rglob("*.json"))
    cell_id = json.loads(path.read_text())["cell_id"]
    shown = json.loads(spikeboard(measured, "show", "--json", cell_id[:6]))
    assert shown["cell_id"] == cell_id
    assert set(shown["predictions"]) == {"digest", "samples"}, "packed bytes are not for reading"


def test_pages_are_written(measured: Path) -> None:
    said = spikeboard(measured, "report")
    assert (measured / "reports/site/index.html").exists()
    assert "reports/site/index.html" in said


@pytest.fixture(scope="module")
def comparable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything in its store that a figure needs."""
    folder, factory = tmp_path_factory.mktemp("comparable"), Factory()
    store = Store(folder / "reports/runs")
    store.write(factory.conformance(Cell("conformance", neuron="if", method="bptt", topology="mlp", dtype="float64")))
    for neuron in ("lif", "psn"):  # without conformance nothing is ranked
        store.write(factory.conformance(Cell("conformance", neuron=neuron, dtype="float64")))
        for suite in ("accuracy", "memory"):
            store.write(factory.measured(Cell(suite, "digits", neuron, "bptt", "mlp", budget="quick")))
    return folder


def drawn(file: str, cost: str) -> tuple[str, ...]:
    """Return the command that draws what was measured here, and not the records that come with the package."""
    return ("figure", file, "--against", cost, "--store", "reports/runs")


@pytest.mark.parametrize(
    "ending", ["svg", pytest.param("pdf", marks=pytest.mark.slow), pytest.param("png", marks=pytest.mark.slow)]
)
def test_a_figure_is_drawn_in_every_format(comparable: Path, ending: str) -> None:
    said = spikeboard(comparable, *drawn(f"figure.{ending}", "memory.saved_bytes"))
    assert "Frontier" in said
    assert (comparable / f"figure.{ending}").stat().st_size > 2000


def test_a_figure_needs_something_to_compare(comparable: Path) -> None:
    misspelt = spikeboard(comparable, *drawn("x.pdf", "memory.savd_bytes"), code=2)
    assert "did you mean 'memory.saved_bytes'" in misspelt
    assert "cannot draw a .doc" in spikeboard(comparable, *drawn("x.doc", "memory.saved_bytes"), code=2)


def test_publishing_copies_what_succeeded(measured: Path) -> None:
    records = len(list((measured / "reports/runs").rglob("*.json")))
    assert f"{records} records in " in spikeboard(measured, "publish", "--to", "published")
    published = Store(measured / "published").read()
    assert (len(published.records), published.problems) == (records, ())
    assert len([path for path in (measured / "published").rglob("*") if path.is_file()]) <= records


def test_a_broken_file_in_the_store_is_named_and_skipped(measured: Path) -> None:
    broken = measured / "reports/runs/broken.json"
    broken.write_text("{")
    try:
        said = spikeboard(measured, "table")
        assert "skipped" in said
        assert "broken.json" in said
        assert "lif" in said
    finally:
        broken.unlink()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "neuron"], "did you mean 'neurons'"),
        (["run", "--preset", "quik"], "did you mean 'quick'"),
        (["run", "--neuron", "kliff"], "did you mean 'klif'"),
        (["run", "--budget", "quik", "--task", "digits"], "did you mean 'quick'"),
        (["run", "--device", "cuda"], "no CUDA device"),
        (["run", "--device", "gpu"], "unknown device 'gpu'"),
        (["table", "--board", "neuron"], "did you mean 'neurons'"),
        (["table", "--neuron", "liff"], "did you mean 'lif'"),
        (["table", "--task", "fsd"], "did you mean 'fsdd'"),
        (["table", "--method", "bpt"], "did you mean 'bptt'"),
        (["table", "--budget", "quik"], "did you mean 'quick'"),
        (["table", "--recipe", "tund"], "Known: default"),
        (["-q", "-v", "list"], "contradict each other"),
        (["table", "--machine", "nobodys"], "measure something first: spikeboard run --preset smoke"),
        (["show", "ffff"], "no record of a cell 'ffff'"),
        (["data", "fetch", "minst"], "did you mean 'mnist'"),
        (["compare", "nowhere", "nothing"], "neither a folder of records nor a commit"),
    ],
)
def test_mistakes_end_with_what_to_do(tmp_path: Path, arguments: list[str], message: str) -> None:
    said = spikeboard(tmp_path, *arguments, code=2)
    assert message in re.sub(r"\s+", " ", said)
    assert "Traceback" not in said


@pytest.mark.parametrize(("option", "guess"), [("--nueron", "--neuron"), ("--presett", "--preset")])
def test_misspelt_options_suggest_the_nearest(tmp_path: Path, option: str, guess: str) -> None:
    assert guess in spikeboard(tmp_path, "run", option, "x", code=2)


def test_misspelt_commands_suggest_the_nearest(tmp_path: Path) -> None:
    assert "list" in spikeboard(tmp_path, "lst", code=2)


def test_a_missing_data_set_says_how_to_get_it(tmp_path: Path) -> None:
    said = spikeboard(
        tmp_path, "run", "--preset", "standard", "--task", "mnist", "--neuron", "lif", "--suite", "accuracy",
        "--data-root", str(tmp_path), "--dry-run",
    )  # fmt: skip
    assert "wait for the data set 'mnist'" in said
    assert "spikeboard data fetch mnist" in said


def test_everything_is_listed(tmp_path: Path) -> None:
    listed = json.loads(spikeboard(tmp_path, "list", "--json"))
    assert {entry["name"] for entry in listed["neurons"]} >= {"lif", "psn", "rpsu"}
    assert {entry["name"] for entry in listed["boards"]} >= {"neurons", "methods", "backends", "tasks", "signals"}
    assert "MPE-PSN" in spikeboard(tmp_path, "list", "neurons")


def test_a_combination_that_the_default_preset_lacks_is_measured_like_the_others(tmp_path: Path) -> None:
    said = spikeboard(tmp_path, "run", "--neuron", "lif", "--method", "ottt*", "--dry-run")
    assert "not a combination of the preset 'quick'" in said
    cells = {tuple(line.split()[3:]) for line in said.splitlines() if " s  " in line}
    for seed in range(3):
        assert ("accuracy", "digits", f"lif+ottt-a+mlp+eager+s{seed}") in cells
    assert ("memory", "digits", "lif+ottt-o+mlp+eager+s0") in cells
    assert ("conformance", "-", "lif+eager+s0") in cells
    assert not [cell for cell in cells if "bptt" in cell[2]]
    named = spikeboard(
        tmp_path, "run", "--preset", "quick", "--neuron", "lif", "--method", "ottt*", "--dry-run", code=2
    )
    assert "no cell of preset 'quick' has the method 'ottt*'" in named
