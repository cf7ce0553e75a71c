"""What another package offers through entry points: neurons, and tasks with data of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from outside import installed

from harness.catalogue.cards import load_registry
from harness.catalogue.cell import Cell
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


def test_a_task_and_a_neuron_of_another_package_are_rows(outside: Path) -> None:
    registry = load_registry()
    assert registry.problems == ()
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
        "from harness.catalogue.cards import load_registry; from harness.catalogue.cell import Cell\n"
        "from harness.results.fingerprint import fingerprint\n"
        f"print(dict(fingerprint({cell!r}, load_registry()).inputs))"
    )
    before = dict(fingerprint(cell, load_registry()).inputs)
    task = outside / "outside_package" / "noise.py"
    task.write_text(task.read_text().replace("0.7, 0.2", "0.6, 0.2"))
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{outside}"}
    said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    after = eval(said.stdout)
    assert {name for name in before if before[name] != after.get(name)} == {"task"}


def test_two_tasks_of_one_name_are_a_problem_of_the_second(outside: Path) -> None:
    task = outside / "outside_package" / "noise.py"
    task.write_text(task.read_text().replace('"name": "secret-noise"', '"name": "digits"'))
    registry = load_registry()
    assert registry.tasks["digits"].module == "harness.tasks.digits"
    assert any("the name 'digits' is already taken" in str(problem) for problem in registry.problems)
