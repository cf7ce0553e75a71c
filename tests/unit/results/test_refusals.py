"""What is called ``refuse_...`` raises or does nothing: fingerprints leave it out for that reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from checkouts import ROOT

from harness.results.fingerprint import PACKAGES
from harness.results.statements import is_refusal


def refusals() -> Iterator[tuple[str, ast.FunctionDef]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef) and is_refusal(node):
                    yield f"{path.relative_to(ROOT)}:{node.name}", node


FOUND = dict(refusals())


def own(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Yield what a function does itself: neither its signature nor its decorators."""
    for statement in function.body:
        yield from ast.walk(statement)


@pytest.mark.parametrize("name", FOUND)
def test_a_refusal_returns_and_changes_nothing(name: str) -> None:
    assert any(isinstance(node, ast.Raise) for node in own(FOUND[name])), "it refuses nothing: name it otherwise"
    for node in own(FOUND[name]):
        assert not isinstance(node, ast.Global | ast.Nonlocal | ast.Yield | ast.YieldFrom | ast.Delete), ast.dump(node)
        if isinstance(node, ast.Return):
            assert node.value is None, "what it returns may decide a figure: name it otherwise"
        if isinstance(node, ast.Attribute | ast.Subscript):
            assert isinstance(node.ctx, ast.Load), "what it changes may decide a figure: name it otherwise"


def test_the_refusals_that_are_known_are_found() -> None:
    assert {"reference_impls/neuron.py:refuse_other_state", "reference_impls/network.py:refuse_other_batch"} <= set(
        FOUND
    )
