"""Every operation that a kernel can be printed with gives what torch gives, value and gradient."""

from __future__ import annotations

import itertools
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
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


TOGETHER = 12
"""So many operations share a kernel: compiling one takes far longer than running it."""
GROUPS = [list(FUNCTIONS)[first : first + TOGETHER] for first in range(0, len(FUNCTIONS), TOGETHER)]


class Applying(SequentialNeuron):
    """Puts out its charge, and adds up each of some functions of it in a state of its own."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = names
        self.state = namedtuple("state", ["v", *(f"sum_of_{name}" for name in names)])

    def init_state(self, like: Tensor) -> Any:
        return self.state(*(torch.zeros_like(like) for _ in self.state._fields))

    def step(self, x: Tensor, state: Any, params: Mapping[str, Tensor]) -> tuple[Tensor, Any]:
        v = 0.5 * state.v + x
        sums = (before + FUNCTIONS[name](v) for name, before in zip(self.names, state[1:], strict=True))
        return v, self.state(v, *sums)


def test_no_operation_is_left_out() -> None:
    assert set(FUNCTIONS) >= set(OPERATIONS.values())


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("names", GROUPS, ids=lambda names: f"{names[0]}..{names[-1]}")
@pytest.mark.parametrize("way", WAYS)
def test_every_operation(way: str, names: list[str], dtype: torch.dtype) -> None:
    device = "cuda" if way == "cupy" else "cpu"
    drawn = torch.randn(3, 37, dtype=dtype, device=device, generator=torch.Generator(device).manual_seed(0))
    drawn[0, :2] = torch.tensor([0.5, -0.5])  # where a comparison turns
    answers: list[list[Tensor]] = []
    for neuron in both(way, Applying(names)):
        x = drawn.clone().requires_grad_()
        _, (_, *sums) = neuron.sequence(x)
        gradients = [torch.autograd.grad(total.sum(), x, retain_graph=True)[0] for total in sums]
        answers.append([*(total.detach() for total in sums), *gradients])
    what = [f"{kind} of {name}" for kind, name in itertools.product(("value", "gradient"), names)]
    for of, wanted, found in zip(what, *answers, strict=True):
        torch.testing.assert_close(
            found, wanted, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype], msg=lambda said, of=of: f"{of}: {said}"
        )
