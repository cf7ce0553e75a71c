"""Installed, away from any clone: published records are there, and other packages' entries are measured."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from outside import write_package

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with this project and the outside package, both as wheels; libraries are this process's."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("install")
    wheels = folder / "wheels"
    outside = write_package(folder / "outside")
    pip = [sys.executable, "-m", "pip"]
    building = [*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(wheels)]
    source = folder / "source"
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(source)], check=True)
    for tree in (source, outside):
        subprocess.run([*building, str(tree)], check=True)
    home = folder / "env"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    (site,) = home.glob("lib/python*/site-packages")
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    (site / "libraries.pth").write_text("\n".join(libraries) + "\n")
    installing = [*pip, "--python", str(python), "install", "-q", "--no-deps", "--no-index", "--ignore-installed"]
    subprocess.run([*installing, *map(str, wheels.glob("*.whl"))], check=True)
    return home


def spikeboard(environment: Path, folder: Path, *words: str, code: int = 0) -> str:
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(environment / "bin" / "python"), "-m", "spikeboard", *words]
    said = subprocess.run(command, cwd=folder, env=plain, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert said.returncode == code, said.stdout
    return said.stdout


def test_published_records_come_along(environment: Path, tmp_path: Path) -> None:
    said = spikeboard(environment, tmp_path, "table", "--board", "neurons", "--task", "digits", "--format", "csv")
    assert "lif" in said
    assert not (tmp_path / "reports").exists()
    (published,) = environment.glob("lib/python*/site-packages/harness/published")
    assert {path.name for path in published.iterdir()} == {path.name for path in (ROOT / "reports/data").iterdir()}


def test_pages_without_a_record_say_so(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty of figures" in spikeboard(environment, tmp_path, "report", "--store", "empty")


def test_entries_of_another_package_are_checked_and_measured(environment: Path, tmp_path: Path) -> None:
    assert "secret-noise" in spikeboard(environment, tmp_path, "list", "tasks")
    names = ("outside-lif", "outside-learned", "outside-late", "secret-noise")
    assert "4 entries pass" in spikeboard(environment, tmp_path, "check", *names, "--backend", "eager")
    words = ("--budget", "smoke", "--suite", "accuracy", "--task", "secret-noise", "--neuron", "outside-*")
    methods = ("--method", "outside-late", "--topology", "mlp", "--backend", "eager", "--seed", "0")
    said = spikeboard(environment, tmp_path, "run", *words, *methods)
    assert "this run: 2 ok" in said


def test_an_entry_begins_in_any_folder(environment: Path, tmp_path: Path) -> None:
    for kind in ("neuron", "method", "task"):
        assert "spikeboard_entries" in spikeboard(environment, tmp_path, "new", kind, f"own-{kind}")
    said = spikeboard(environment, tmp_path, "check", "own-neuron", "own-method", "own-task", "--backend", "eager")
    assert "3 entries pass" in said
    assert not list(environment.glob("lib/python*/site-packages/**/own_*.py"))
