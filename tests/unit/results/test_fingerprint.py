"""A record is redone when, and only when, code that decides its figure changed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import harness
from harness.catalogue.cards import load_rows
from harness.catalogue.cell import Cell
from harness.results.fingerprint import code_hash

ROWS = load_rows()
CELL = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of both packages that a test may change."""
    root = Path(harness.__file__).parents[1]
    for package in ("harness", "reference_impls"):
        shutil.copytree(
            root / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "vectors", "static")
        )
    return tmp_path


def changed(folder: Path, path: str, old: str, new: str, cell: Cell = CELL) -> bool:
    """Whether replacing `old` by `new` in a file changes the hash of `cell`."""
    before = code_hash(cell, ROWS, folder)
    copied = folder.parent / f"{folder.name}-changed"
    shutil.copytree(folder, copied)
    text = (copied / path).read_text()
    assert old in text, f"{path} does not hold {old!r}"
    (copied / path).write_text(text.replace(old, new))
    return code_hash(cell, ROWS, copied) != before


def test_where_the_code_lies_does_not_matter(copy: Path) -> None:
    assert code_hash(CELL, ROWS, copy) == code_hash(CELL, ROWS)


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("reference_impls/neurons/lif.py", "self.decay * state.v", "0.5 * state.v"),
        ("reference_impls/neurons/_membrane.py", "h - s * self.reset_amount", "h - s"),
        ("reference_impls/surrogate.py", "return (x >= 0", "return (x > 0"),
        ("reference_impls/training/bptt.py", ".logits.mean(0)", ".logits.sum(0)"),
        (
            "reference_impls/topologies/mlp.py",
            "nn.Linear(sizes[-1], classes)",
            "nn.Linear(sizes[-1], classes, bias=False)",
        ),
        ("harness/tasks/digits.py", '"T": 8', '"T": 9'),
        ("harness/suites/common/train.py", "epoch.validation_errors <", "epoch.validation_errors <="),
    ],
)
def test_code_that_decides_the_figure_changes_the_hash(copy: Path, path: str, old: str, new: str) -> None:
    assert changed(copy, path, old, new)


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("reference_impls/neurons/lif.py", '"""Charge, fire, reset."""', '"""Other words."""'),
        ("reference_impls/neurons/lif.py", "        s = self.fire(h)\n", "        s = self.fire(h)  # a remark\n"),
        ("reference_impls/neurons/lif.py", "The field's workhorse.", "Everybody's neuron."),
        ("reference_impls/neurons/lif.py", "PSN repository log (soft reset, detached)", "elsewhere"),
        ("reference_impls/neurons/psn.py", "torch.addmm", "torch.baddbmm"),
        ("reference_impls/training/spide.py", "self.T_B", "self.steps"),
        ("harness/report/units.py", "class Scale", "class Other"),
        ("harness/planning/plan.py", "class Plan", "class Other"),
    ],
)
def test_comments_prose_and_code_that_is_not_used_do_not(copy: Path, path: str, old: str, new: str) -> None:
    assert not changed(copy, path, old, new)


def test_other_rows_have_other_hashes() -> None:
    neurons = ("lif", "klif", "psn", "mpe-psn")
    assert len({code_hash(replace(CELL, neuron=neuron), ROWS) for neuron in neurons}) == len(neurons)


def test_a_row_that_a_commit_does_not_have_changes_the_hash(copy: Path) -> None:
    older = copy.parent / "older"
    shutil.copytree(copy, older)
    (older / "reference_impls/neurons/lif.py").unlink()
    assert code_hash(CELL, ROWS, older) != code_hash(CELL, ROWS, copy)
