"""What another package offers through entry points: neurons, and tasks with data of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from outside import installed

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.results.fingerprint import fingerprint
from harness.workload import Workload
from reference_impls.discovery import discover

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package, installed for this process."""
    folder = installed(tmp_path / "site")
    monkeypatch.syspath_prepend(str(folder))
    discover.cache_clear()
    load_registry.cache_clear()
    yield folder
    for name in [name for name in sys.modules if name.startswith("outside_package")]:
        del sys.modules[name]
    discover.cache_clear()
    load_registry.cache_clear()


def test_entries_of_another_package_are_rows(outside: Path) -> None:
    registry = load_registry()
    assert registry.problems == ()
    assert registry.neurons["outside-learned"].module == "outside_package.neurons.learned"
    assert registry.methods["outside-late"].capabilities.structures == ("chain",)
    assert registry.neurons["outside-lif"].params["tau"] == 1.5
    assert registry.task("secret-noise").data is None
    assert registry.tasks["secret-noise"].module == "outside_package.noise"


def test_a_private_task_is_loaded_from_its_own_data(outside: Path) -> None:
    cell = Cell("accuracy", "secret-noise", "outside-lif", "bptt", "mlp", budget="smoke")
    workload = Workload(cell, load_registry())
    assert len(workload.split.test) == 40
    assert workload.task.encode(workload.split.test.inputs.float()).shape == (5, 40, 6)


def test_its_code_decides_its_figures(outside: Path) -> None:
    """A record of a private task goes stale when that task's file changes."""
    cell = Cell("accuracy", "secret-noise", "lif", "bptt", "mlp", budget="smoke")
    program = (
        "from harness.catalogue.loading import load_registry; from harness.catalogue.cell import Cell\n"
        "from harness.results.fingerprint import fingerprint\n"
        f"print(dict(fingerprint({cell!r}, load_registry()).inputs))"
    )
    before = dict(fingerprint(cell, load_registry()).inputs)
    task = outside / "outside_package" / "noise.py"
    task.write_text(task.read_text().replace("test_fraction=0.2", "test_fraction=0.3"))
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{outside}"}
    said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    after = eval(said.stdout)
    assert {name for name in before if before[name] != after.get(name)} == {"task"}


def command(outside: Path, folder: Path, *words: str, code: int = 0) -> str:
    """Run the command, away from any clone, with the package installed; one module of tests may measure only once."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{outside}", "COLUMNS": "200"}
    program = [sys.executable, "-c", "from harness.cli import main; main()", *words]
    said = subprocess.run(
        program, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert said.returncode == code, said.stdout
    return said.stdout


def test_they_keep_the_contract_and_are_measured_unchanged(outside: Path, tmp_path: Path) -> None:
    names = ("outside-lif", "outside-learned", "outside-late", "secret-noise")
    assert "4 entries pass" in command(outside, tmp_path, "check", *names, "--backend", "eager")
    run = ("run", "--budget", "smoke", "--suite", "accuracy", "--task", "secret-noise", "--topology", "mlp")
    rows = (
        "--neuron",
        "outside-*",
        "--method",
        "outside-late",
        "--method",
        "bptt",
        "--backend",
        "eager",
        "--seed",
        "0",
    )
    assert "this run: 4 ok" in command(outside, tmp_path, *run, *rows)
    store = tmp_path / "reports/runs"
    told = command(outside, tmp_path, "table", "--board", "neurons", "--task", "secret-noise", "--store", str(store))
    assert {"outside-lif", "outside-learned"} <= {*told.split()}
    # What the package's own modules do decides its figures, too.
    assert "0 cells to measure, 4 done already" in command(outside, tmp_path, *run, *rows, "--dry-run")
    shared = outside / "outside_package/shared/membrane.py"
    shared.write_text(shared.read_text().replace("0.5 * v", "0.6 * v"))
    assert "2 cells to measure, 2 done already" in command(outside, tmp_path, *run, *rows, "--dry-run")


def test_data_that_are_missing_are_said_with_the_task(outside: Path, tmp_path: Path) -> None:
    (outside / "outside_package/noise.npz").unlink()
    said = command(outside, tmp_path, "check", "secret-noise", code=1)
    assert "noise.npz" in said


def test_a_module_that_is_not_there_is_a_problem_and_no_crash(outside: Path, tmp_path: Path) -> None:
    (outside / "outside_package/late.py").unlink()
    said = command(outside, tmp_path, "list", "neurons")
    assert "outside-lif" in said
    assert "late.py" in said


def test_two_tasks_of_one_name_are_a_problem_of_the_second(outside: Path) -> None:
    task = outside / "outside_package" / "noise.py"
    task.write_text(task.read_text().replace('"name": "secret-noise"', '"name": "digits"'))
    registry = load_registry()
    assert registry.tasks["digits"].module == "harness.tasks.digits"
    assert any("the name 'digits' is already taken" in str(problem) for problem in registry.problems)
