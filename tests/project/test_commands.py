"""Every command of README.md, CONTRIBUTING.md and docs/ runs in a clone as it stands there; the long ones are slow."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import torch
from documents import ROOT, Command, clone, commands, save_examples, sessions, shell
from submitted import submission

import spikeboard
from harness.data import DATA_SETS
from harness.results.store import Store

INSTALLS = re.compile(r"(^|python -m )(pip|nox)\b|python -m venv|bin/activate|spikeboard asv (?!--publish)|export PIP_")
"""Fetches packages, or makes an environment for which it has to."""
FETCHES = re.compile(r"spikeboard data fetch (?P<name>\S+)")
MEASURES_ONLY = re.compile(r"-m perf\b")
"""Benchmarks of the harness: they assert nothing, and a compiler is not everywhere."""
TAKES_HOURS = re.compile(r"spikeboard (calibrate|alternate)\b")
"""And a clone without a change; tests/unit/cli/test_calibrate.py and tests/unit/results/test_rounds.py run them."""
ON_A_GPU = re.compile(
    r"nvidia-smi|compute-sanitizer|-m \"gpu|gpu-state|Records of a GPU|torch\.version\.cuda|--device cuda"
)
"""Says what is missing where there is none; what it does on one is shown there (docs/gpu.md)."""
ON_A_CLUSTER = re.compile(r"^export RAY_|ray start|--executor ray|sbatch")
"""tests/unit/execute/test_execute_ray.py and test_execute_slurm.py run them, on three nodes of this machine."""
PLANNED_ONLY = re.compile(
    r"spikeboard (tune|run) --preset (neurons|methods|streaming|conversion)\b(?!.*--(task|dry-run))"
    r"|spikeboard tune --preset neurons --task|--recipe default --recipe tuned"
)
"""Takes hours or days: that it is a plan which could be measured is seen from `--dry-run`."""
SHORT = re.compile(r"spikeboard (list|table|show|figure|publish)\b|spikeboard run .*--dry-run")
"""Seconds, and needs nothing that another command leaves; everything else is slow."""
PLACEHOLDERS = {
    # Where published records are stale, all of them may take hours.
    "run --stale": "run --stale --suite spikes --task digits --neuron lif --method bptt",
    "--golden DIR": "--golden harness/golden/vectors",
    "--watch": "--backend eager",  # which nobody would end
    # In place it would take from the commands after it what they show.
    "--to reports/data --only-current": "--to build/current --only-current",
    # A submission of published records, which the fixture has put there; the examples are committed before one is made.
    "submissions/NAME": "submissions/somebody",
    "submit --neuron own-lif": "submit --store reports/data --neuron lif --task digits",
    "--data-root DIR": f"--data-root {os.environ.get('SPIKEBOARD_DATA', 'DIR')}",
}

MAY_LACK = {
    "table --board overall-": "needs current errors of at least half of the rows on 2 tasks of one budget",
    "verify-submission reports/submissions/somebody --run": "cannot cut a stranger's code off",
}
"""Commands that need more than published records may hold at a time, as their page says; and what they then answer."""

KNOWN = list(commands())


OFTEN = 2
"""Of the short commands of a verb, every run gives so many; the others differ in the values of their options."""


def marks(command: Command) -> list[pytest.MarkDecorator]:
    alike = [one for one in KNOWN if SHORT.match(one.line) and one.words[:2] == command.words[:2]]
    return [] if command in alike[:OFTEN] else [pytest.mark.slow, pytest.mark.timeout(3600)]


RUN = [
    one for one in KNOWN if not any(kind.search(one.line) for kind in (INSTALLS, FETCHES, MEASURES_ONLY, TAKES_HOURS))
]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which a reader has saved the examples of CONTRIBUTING.md, and a network of another library."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    folder = clone(tmp_path_factory.mktemp("fresh") / "clone")
    save_examples(folder)
    submission(folder / "reports" / "submissions" / "somebody")
    spikeboard.write_nir(folder / "net.nir", spikeboard.build_network("mlp", "lif-hard", task="digits"), (1, 8, 8))
    return folder


@pytest.mark.parametrize("command", [pytest.param(one, marks=marks(one), id=f"{one.page}: {one.line}") for one in RUN])
def test_a_command_does_what_its_page_says(checkout: Path, command: Command) -> None:
    line = command.line
    for placeholder, value in PLACEHOLDERS.items():
        line = line.replace(placeholder, value)
    if "DIR" in line.split():
        pytest.skip("needs SPIKEBOARD_DATA")
    if "CELL" in line.split():
        record = next(iter(Store(checkout / "reports" / "data").read().records))
        line = line.replace("CELL", record.cell_id)
    if " submit " in line:
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        for words in (["add", "harness", "reference_impls"], ["commit", "--quiet", "--allow-empty", "-m", "mine"]):
            subprocess.run(["git", "-C", str(checkout), *who, *words], check=True)
    if ON_A_CLUSTER.search(line):
        pytest.skip("needs a cluster: python -m pytest -m ray")
    if ON_A_GPU.search(line) and not torch.cuda.is_available():
        if not line.startswith("spikeboard"):
            pytest.skip("needs a GPU: docs/gpu.md")
        said = shell(checkout, line, checkout.parent / "tools")
        assert said.returncode == 2, said.stdout[-3000:]
        assert "Traceback" not in said.stdout
        return
    if PLANNED_ONLY.search(line):
        line += " --dry-run"
    done = shell(checkout, line, checkout.parent / "tools")
    lacks = next((words for part, words in MAY_LACK.items() if part in line), None)
    if lacks is not None and done.returncode == 2:
        assert lacks in done.stdout
        return
    assert done.returncode == 0, done.stdout[-3000:]
    assert "Traceback" not in done.stdout


def test_the_pages_have_commands() -> None:
    """Should the way to find them break, nothing would be tested, in silence."""
    lines = [one.line for one in KNOWN]
    assert "spikeboard run --neuron lif --method 'ottt*'" in lines
    assert "spikeboard run --neuron dead-zone" in lines
    assert any(line.startswith("spikeboard run --budget standard --suite accuracy --task mnist") for line in lines)
    assert len(RUN) > 20


def test_sessions_and_data_sets_that_the_pages_name_exist() -> None:
    named = {name for one in KNOWN for name in re.findall(r"nox -s (\w+)", one.line)}
    assert named
    assert named <= sessions()
    fetched = {found["name"] for one in KNOWN for found in FETCHES.finditer(one.line)}
    assert fetched
    assert fetched <= {*DATA_SETS}
