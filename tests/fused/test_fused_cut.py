"""What is kept of a step for its gradient is the cheapest that will do."""

from __future__ import annotations

import pytest
import torch
from own_neurons import Offset, Warm
from test_fused_equals_eager import SEQUENTIAL, build

from reference_impls.backends.fused.cut import Assignment, least_kept
from reference_impls.backends.fused.program import trace_step

UPSTREAM = ("ds", "dn0")


def assigned(*lines: str) -> list[Assignment]:
    """Read ``"a0 = mul x v0"``."""
    parts = [line.split() for line in lines]
    return [Assignment(name, op, tuple(given), op in ("ge", "and")) for name, _, op, *given in parts]


def test_one_value_instead_of_input_and_state() -> None:
    body = assigned("a0 = add x v0", "a1 = atan a0", "b0 = mul ds a1")
    assert least_kept(body, ("x", "v0"), UPSTREAM, ["b0"]) == ("a1",)


def test_the_input_is_there_anyway_and_only_read_again() -> None:
    body = assigned("a0 = add x v0", "a1 = sub x v0", "b0 = mul ds a0", "b1 = mul dn0 a1")
    assert least_kept(body, ("x", "v0"), UPSTREAM, ["b0", "b1"]) == ("x", "v0")


def test_a_truth_value_is_never_kept() -> None:
    body = assigned("a0 = add x v0", "a1 = ge a0 p0", "b0 = where a1 ds dn0")
    assert least_kept(body, ("x", "v0"), UPSTREAM, ["b0"]) == ("a0",)


def test_parameters_and_constants_cost_nothing_to_have() -> None:
    body = assigned("a0 = exp p0", "b0 = mul ds a0")
    assert least_kept(body, ("x", "v0"), UPSTREAM, ["b0"]) == ()


def test_a_gradient_that_is_a_value_of_the_step_is_kept() -> None:
    assert least_kept(assigned("a0 = mul x v0"), ("x", "v0"), UPSTREAM, ["a0", "dn0"]) == ("a0",)


@pytest.mark.parametrize(
    ("name", "values"), [("if", 1), ("lif", 1), ("cuba-lif", 1), ("decolle-lif", 1), ("klif", 1), ("plif", 2)]
)
def test_neurons_keep_few_values(name: str, values: int) -> None:
    traced = trace_step(build(name), torch.float32)
    assert len(traced.kept) == values


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_a_gradient_takes_nothing_but_what_is_kept(name: str) -> None:
    traced = trace_step(build(name), torch.float32)
    known = {*traced.backward.inputs}
    for assignment in traced.backward.body:
        assert {part for part in assignment.arguments if isinstance(part, str)} <= known
        known.add(assignment.name)
    assert {part for part in traced.backward.outputs.values() if isinstance(part, str)} <= known
    assert {*traced.kept} <= {*traced.forward.outputs}


def test_the_state_at_rest_is_known_where_it_is_a_number() -> None:
    assert trace_step(Offset(), torch.float32).rest == (-1.25,)
    assert trace_step(Warm(), torch.float32).rest is None
    assert trace_step(build("lif-double-exponential"), torch.float32).rest == (-60.0, 0.0, 0.0, 0.0)
