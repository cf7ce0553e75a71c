"""Operators of a traced sequence: tracing it, the families that operators belong to, and computing one of them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

from reference_impls.backends import UnsupportedError
from reference_impls.backends.fused import aten

__all__ = [
    "ADDING",
    "DRAWING",
    "FILLING",
    "ITEM",
    "MIXING",
    "MOVING",
    "OPS",
    "PRODUCTS",
    "SCALING",
    "evaluate",
    "flat",
    "packets",
    "traced",
]

OPS = torch.ops.aten


def packets(*names: str) -> frozenset[Any]:
    """Return the operators of these names, as far as this torch has them."""
    return frozenset(getattr(OPS, name) for name in names if hasattr(OPS, name))


MOVING = packets(
    "view", "_unsafe_view", "reshape", "expand", "unsqueeze", "squeeze", "permute", "transpose", "t", "clone", "alias",
    "detach", "_to_copy", "lift_fresh_copy", "lift_fresh", "view_as_real", "view_as_complex", "contiguous", "repeat",
    "slice", "select", "cat", "stack", "flip", "constant_pad_nd", "split", "split_with_sizes", "unbind", "roll",
)  # fmt: skip
"""Operators that compute nothing."""
PRODUCTS = {OPS.mm: 1, OPS.bmm: 1, OPS.addmm: 2, OPS.mv: 1, OPS.baddbmm: 2, OPS.addmv: 2}
"""Products of matrices -> place of the second factor; a bias begins the sum."""
MIXING = frozenset(PRODUCTS) | packets("sum", "mean", "cumsum", "_fft_r2c", "_fft_c2r", "_fft_c2c", "convolution")
"""Linear operators that combine entries of one tensor."""
ADDING = packets("add", "sub", "neg")
SCALING = packets("mul", "div")
DRAWING = packets("rand_like", "rand", "randn_like", "bernoulli", "uniform")
FILLING = frozenset(target.overloadpacket for target in aten.CONSTANTS) | packets(
    "new_full", "new_zeros", "new_ones", "arange"
)
"""Operators that take only a shape from what they are given."""
ITEM = operator.getitem
"""How a graph takes one of several results of an operator."""


def traced(run: Callable[[Tensor], Tensor], x: Tensor, who: str) -> fx.GraphModule:
    """Trace `run`; where it branches on values, as it does when it is compiled: without looking at them."""
    try:
        module: fx.GraphModule = make_fx(run)(x)
    except RuntimeError:
        try:
            with patch("torch.compiler.is_compiling", lambda: True):
                module = make_fx(run)(x)
        except (RuntimeError, TypeError, ValueError) as error:
            raise UnsupportedError(f"{who}: its sequence cannot be traced: {error}") from error
    module.graph.eliminate_dead_code()
    return module


def evaluate(node: fx.Node, values: Mapping[fx.Node, Any]) -> Any:
    """Return what an operator gives for the `values` of the nodes before it."""
    args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda parent: values[parent])
    target: Any = node.target
    return target(*args, **kwargs)


def flat(arguments: Any) -> Iterator[Any]:
    """Yield arguments, those in lists one by one."""
    for argument in arguments:
        if isinstance(argument, (list, tuple)):
            yield from flat(argument)
        else:
            yield argument
