"""Every operation that a kernel can be printed with gives what torch gives, value and gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from own_neurons import Charge
from test_fused_equals_eager import TOLERANCE, WAYS, both
from torch import Tensor

from reference_impls.api import SequentialNeuron
from reference_impls.backends.fused.aten import OPERATIONS

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "add": lambda x: x + x * x,
    "sub": lambda x: 0.75 - x,
    "mul": lambda x: x * (x + 1),
    "div": lambda x: x / (x * x + 2),
    "neg": lambda x: -x,
    "abs": torch.abs,
    "reciprocal": lambda x: torch.reciprocal(x * x + 1),
    "relu": torch.relu,
    "sign": torch.sign,
    "sqrt": lambda x: torch.sqrt(x * x + 1),
    "exp": torch.exp,
    "expm1": torch.expm1,
    "log": lambda x: torch.log(x * x + 0.5),
    "log1p": lambda x: torch.log1p(x * x),
    "sin": torch.sin,
    "cos": torch.cos,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "erf": torch.erf,
    "atan": torch.atan,
    "floor": lambda x: torch.floor(x) * x,
    "maximum": lambda x: torch.maximum(x, 0.3 - x),
    "minimum": lambda x: torch.minimum(x, 0.3 - x),
    "pow": lambda x: (x * x + 1) ** 1.7,
    "where": lambda x: torch.where(x > 0.2, x, x * 0.25),
    "ge": lambda x: torch.where(x >= 0.5, x, 2 * x),
    "gt": lambda x: torch.where(x > x * x, x, 2 * x),
    "le": lambda x: torch.where(x <= 0.5, x, 2 * x),
    "lt": lambda x: torch.where(x < x * x, x, 2 * x),
    "eq": lambda x: torch.where(x == 0.5, x, 2 * x),
    "ne": lambda x: torch.where(x != 0.5, x, 2 * x),
    "and": lambda x: torch.where(torch.logical_and(x > -0.5, x < 0.5), x, 2 * x),
    "or": lambda x: torch.where(torch.logical_or(x < -0.5, x > 0.5), x, 2 * x),
    "not": lambda x: torch.where(torch.logical_not(x > 0.5), x, 2 * x),
}
"""Operation -> something that needs it."""


class Applying(SequentialNeuron):
    """Puts out a function of its charge."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def init_state(self, like: Tensor) -> Charge:
        return Charge(torch.zeros_like(like))

    def step(self, x: Tensor, state: Any, params: Mapping[str, Tensor]) -> tuple[Tensor, Charge]:
        v = 0.5 * state.v + x
        return self.function(v), Charge(v)


def test_no_operation_is_left_out() -> None:
    assert set(FUNCTIONS) >= set(OPERATIONS.values())


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("way", WAYS)
def test_every_operation(way: str, name: str, dtype: torch.dtype) -> None:
    eager, fused = both(way, Applying(FUNCTIONS[name]))
    device = "cuda" if way == "cupy" else "cpu"
    drawn = torch.randn(3, 37, dtype=dtype, device=device, generator=torch.Generator(device).manual_seed(0))
    drawn[0, :2] = torch.tensor([0.5, -0.5])  # where a comparison turns
    outcomes = []
    for neuron in (eager, fused):
        x = drawn.clone().requires_grad_()
        values, state = neuron.sequence(x)
        (gradient,) = torch.autograd.grad(values.sum() + state.v.square().sum(), x)
        outcomes.append((values.detach(), gradient))
    for found, wanted in zip(*reversed(outcomes), strict=True):
        torch.testing.assert_close(found, wanted, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
