"""What entries of others may rely on: the documented names are there, and the documented entries need no others."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections import defaultdict
from pathlib import Path

import outside
import pytest

from harness.catalogue.loading import load_registry
from harness.drafts.draft import KINDS, begin
from harness.tasks.common.base import Task
from reference_impls.api import ParallelNeuron, SequentialNeuron, TrainingMethod
from reference_impls.discovery import ENTRY_POINT_GROUP, LOOSE

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/reference/contracts.md").read_text(encoding="utf-8")
_LINE = re.compile(r"^\| `((?:reference_impls|harness)[\w.]*)` \| (.*) \|$", re.MULTILINE)


def promised() -> dict[str, set[str]]:
    names: dict[str, set[str]] = defaultdict(set)
    for module, taken in _LINE.findall(PAGE):
        names[module] |= set(re.findall(r"`(\w+)`", taken))
    return names


def test_every_documented_name_is_there() -> None:
    names = promised()
    assert len(names) >= 7
    for module, taken in names.items():
        assert not [name for name in taken if not hasattr(importlib.import_module(module), name)], module
    assert f"`{ENTRY_POINT_GROUP}`" in PAGE
    assert f"`{LOOSE}`" in PAGE


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        (SequentialNeuron.init_state, ["self", "like"]),
        (SequentialNeuron.step, ["self", "x", "state", "params"]),
        (SequentialNeuron.step_params, ["self"]),
        (TrainingMethod.accumulate, ["self", "x", "target"]),
        (TrainingMethod.predict, ["self", "x"]),
        (TrainingMethod.update, ["self", "x", "target"]),
        (TrainingMethod.prepare, ["self", "network", "optimizer"]),
        (TrainingMethod.pretrain, ["self", "epoch", "epochs"]),
        (TrainingMethod.read_outs, ["self", "x", "steps"]),
        (Task.load, ["self", "data_root", "seed"]),
        (Task.encode, ["self", "inputs"]),
    ],
)
def test_what_an_entry_writes_is_called_as_documented(method: object, parameters: list[str]) -> None:
    assert list(inspect.signature(method).parameters) == parameters  # type: ignore[arg-type]
    name = method.__name__  # type: ignore[attr-defined]
    assert re.search(rf"`{name}[`(]", PAGE)


def test_a_parallel_neuron_writes_forward_alone() -> None:
    class Mean(ParallelNeuron):
        def forward(self, x: object) -> object:
            return x

    assert Mean().run.__func__ is ParallelNeuron.run


def imported(source: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("reference_impls", "harness")):
            found[node.module or ""] |= {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("source", [outside.LEARNED, outside.METHOD, outside.TASK], ids=["neuron", "method", "task"])
def test_the_package_that_tests_measure_needs_nothing_else(source: str) -> None:
    found = imported(source)
    assert found
    assert all(names <= promised()[module] for module, names in found.items())


def test_drafts_need_nothing_else(tmp_path: Path) -> None:
    for kind in KINDS:
        found = imported(begin(kind, f"own-{kind}", load_registry(), tmp_path).path.read_text())
        assert found
        assert all(names <= promised()[module] for module, names in found.items())
