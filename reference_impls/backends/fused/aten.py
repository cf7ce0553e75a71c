"""Which of torch's operations on scalars a kernel can be printed for, and what each is called in a program.

Must not know how a step is traced or what a program is printed in.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import fx
from torch._decomp import core_aten_decompositions

__all__ = ["CONSTANTS", "COPIES", "FLAGS", "OPERATIONS", "OPS", "VIEWS", "decompositions"]

OPS = torch.ops.aten


@functools.cache
def decompositions() -> dict[Any, Callable[..., Any]]:
    """Return how torch writes operations in terms of its core ones; making this takes longer than a trace."""
    return {**core_aten_decompositions()}


VIEWS = {OPS.alias.default, OPS.detach.default, OPS.expand.default, OPS.view.default, OPS.squeeze.default}
COPIES = {OPS.clone.default, OPS.lift_fresh_copy.default}
CONSTANTS: Mapping[Any, Callable[[fx.Node, list[Any]], Any]] = {
    OPS.zeros_like.default: lambda _node, _arguments: 0.0,
    OPS.ones_like.default: lambda _node, _arguments: 1.0,
    OPS.full_like.default: lambda _node, arguments: float(arguments[1]),
    OPS.full.default: lambda _node, arguments: float(arguments[1]),
    OPS.scalar_tensor.default: lambda _node, arguments: float(arguments[0]),
    OPS.zeros.default: lambda _node, _arguments: 0.0,
    OPS.ones.default: lambda _node, _arguments: 1.0,
}
_NAMES = {
    "add": ("add.Tensor", "add.Scalar"),
    "sub": ("sub.Tensor", "sub.Scalar"),
    "mul": ("mul.Tensor", "mul.Scalar"),
    "div": ("div.Tensor", "div.Scalar"),
    "neg": ("neg.default",),
    "abs": ("abs.default",),
    "reciprocal": ("reciprocal.default",),
    "relu": ("relu.default",),
    "sign": ("sign.default",),
    "sqrt": ("sqrt.default",),
    "exp": ("exp.default",),
    "expm1": ("expm1.default",),
    "log": ("log.default",),
    "log1p": ("log1p.default",),
    "sin": ("sin.default",),
    "cos": ("cos.default",),
    "tanh": ("tanh.default",),
    "sigmoid": ("sigmoid.default",),
    "erf": ("erf.default",),
    "atan": ("atan.default",),
    "floor": ("floor.default",),
    "maximum": ("maximum.default",),
    "minimum": ("minimum.default",),
    "where": ("where.self",),
    "ge": ("ge.Scalar", "ge.Tensor"),
    "gt": ("gt.Scalar", "gt.Tensor"),
    "le": ("le.Scalar", "le.Tensor"),
    "lt": ("lt.Scalar", "lt.Tensor"),
    "eq": ("eq.Scalar", "eq.Tensor"),
    "ne": ("ne.Scalar", "ne.Tensor"),
    "and": ("logical_and.default", "bitwise_and.Tensor"),
    "or": ("logical_or.default", "bitwise_or.Tensor"),
    "not": ("logical_not.default", "bitwise_not.default"),
}


def _overload(name: str) -> Any:
    packet, _, overload = name.partition(".")
    return getattr(getattr(OPS, packet), overload)


OPERATIONS: Mapping[Any, str] = {_overload(name): operation for operation, names in _NAMES.items() for name in names}
FLAGS = {"ge", "gt", "le", "lt", "eq", "ne", "and", "or", "not"}
