"""The examples of CONTRIBUTING.md, saved where it says and used with the commands that it gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from checkouts import copy_packages, spikeboard
from documents import save_examples

NAMES = {"neuron": "dead-zone", "method": "last-step", "task": "digits-flash"}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the two packages with one file more for each example."""
    folder = copy_packages(tmp_path_factory.mktemp("checkout"))
    assert len(save_examples(folder)) == len(NAMES)
    return folder


@pytest.mark.parametrize("kind", NAMES)
def test_a_file_is_a_row(checkout: Path, kind: str) -> None:
    assert NAMES[kind] in spikeboard(checkout, "list", f"{kind}s")


@pytest.mark.parametrize(
    "what",
    [
        ("--task", "digits-flash", "--neuron", "dead-zone", "--method", "last-step"),  # all three at once
        pytest.param(("--task", "digits", "--neuron", "dead-zone", "--method", "last-step"), marks=pytest.mark.slow),
        pytest.param(("--task", "digits-flash", "--neuron", "lif", "--method", "bptt"), marks=pytest.mark.slow),
    ],
)
def test_it_is_measured_like_every_other(checkout: Path, what: tuple[str, ...]) -> None:
    smoke = ("--budget", "smoke", "--suite", "accuracy", "--topology", "mlp", "--backend", "eager", "--seed", "0")
    assert "this run: 1 ok" in spikeboard(checkout, "run", *smoke, *what)


LONG_CHECK = pytest.param("method", "last-step", marks=pytest.mark.slow)
"""A method's contract is checked on every network that it trains."""


@pytest.mark.parametrize(("axis", "example"), [("neuron", "dead-zone"), LONG_CHECK])
def test_its_contract_is_kept(checkout: Path, axis: str, example: str) -> None:
    spikeboard(checkout, "run", "--preset", "quick", "--suite", "conformance", f"--{axis}", example)
    records = [json.loads(path.read_text()) for path in (checkout / "reports/runs").rglob("*.json")]
    kept = [
        check["passed"]
        for record in records
        if record["cell"]["suite"] == "conformance" and record["cell"][axis] == example
        if record["status"] != "unsupported"
        for check in record["details"]["checks"]
    ]
    assert len(kept) > 4
    assert all(kept)
