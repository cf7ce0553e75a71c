"""Without the optional libraries everything else works, and what needs one says so in a sentence with the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from harness.extras import EXTRA_OF, MissingExtraError, missing_extra, require

ROOT = Path(__file__).resolve().parents[2]
BLOCKED = f"import sys\nfor name in {sorted(EXTRA_OF)!r}:\n    sys.modules[name] = None\n"
PROGRAM = """
import contextlib, io, json, sys
from harness.cli import main

answers = {}
for words in json.loads(sys.argv[1]):
    sys.argv = ["spikeboard", *words]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
    answers[words[0]] = [code, said.getvalue()]
print(json.dumps(answers))
"""
SMOKE = ("--budget", "smoke", "--suite", "accuracy", "--task", "digits", "--neuron", "lif", "--method", "bptt")
NEED = {
    "figure": (["figure", "out.pdf", "--task", "digits"], "plots"),
    "search": (["search"], "search"),
    "asv": (["asv"], "asv"),
    "measure": (["measure", "net.nir", "--task", "digits"], "nir"),
}


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """What verbs say in a process, and processes that it starts, where no optional library can be imported."""
    folder = tmp_path_factory.mktemp("without")
    (folder / "sitecustomize.py").write_text(BLOCKED)
    (folder / "net.nir").write_bytes(b"")
    run = ["run", *SMOKE, "--topology", "mlp", "--backend", "eager", "--seed", "0"]
    words = [run, ["table", "--store", "reports/runs", "--all"], ["list"], *(asked for asked, _ in NEED.values())]
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(words)], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr
    return {verb: (code, text) for verb, (code, text) in json.loads(said.stdout.splitlines()[-1]).items()}


def test_listing_running_and_tables_need_none(without: dict[str, tuple[int, str]]) -> None:
    assert without["run"][0] == 0, without["run"][1]
    assert "1 ok" in without["run"][1]
    assert "lif" in without["table"][1]
    assert without["list"][0] == 0


@pytest.mark.parametrize("verb", NEED)
def test_a_missing_library_is_a_sentence_with_the_command(verb: str, without: dict[str, tuple[int, str]]) -> None:
    code, said = without[verb]
    assert code == 2
    assert "is not installed" in said
    assert f"python -m pip install 'spikeboard[{NEED[verb][1]}]'" in said
    assert "Traceback" not in said


def test_backends_say_it_when_a_neuron_is_built(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCKED)
    program = (
        "from reference_impls.api import build_neuron, UnsupportedError\n"
        "try:\n    build_neuron('lif', backend='fused-numba')\n"
        "except UnsupportedError as error:\n    print(error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert "pip install 'spikeboard[fused]'" in said.stdout


def test_what_a_failed_import_came_from_is_looked_through() -> None:
    try:
        try:
            raise ModuleNotFoundError("No module named 'tonic.io'", name="tonic.io")
        except ModuleNotFoundError as error:
            raise RuntimeError("reading failed") from error
    except RuntimeError as error:
        found = missing_extra(error)
    assert isinstance(found, MissingExtraError)
    assert "spikeboard[data]" in str(found)
    assert missing_extra(ModuleNotFoundError("x", name="somebody_else")) is None


def test_every_library_is_in_the_extra_that_it_is_said_to_be() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    comes_with = {
        "llvmlite": "numba",
        "asv_runner": "asv_runner",
        "PIL": "pillow",
        "stable_baselines3": "stable-baselines3",
    }
    for library, extra in EXTRA_OF.items():
        assert any(comes_with.get(library, library) in wanted for wanted in extras[extra]), library


def test_a_library_is_asked_for_without_being_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nir", None)
    with pytest.raises(MissingExtraError, match="nir is not installed"):
        require("nir")
