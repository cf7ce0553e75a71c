"""A traced step in the arithmetic of torch's CUDA kernels, which is not everywhere that of its CPU kernels.

On a GPU torch divides by a number that is no tensor by multiplying with its reciprocal (``BinaryDivTrueKernel.cu``), so
the spikes of a neuron that computes ``x / tau`` can only be equal if a kernel does so too. What no spike and no state
hangs on, only a gradient, need not be rounded as torch rounds it: there a reciprocal to one unit in the last place will
do, because the exactly rounded one branches, and holds up the loads behind it. Must not know CUDA C.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from reference_impls.backends.fused.program import Assignment, Program, Traced

__all__ = ["NEAR", "ROUNDED", "as_on_cuda"]

NEAR = {"div": "near_div", "reciprocal": "near_reciprocal", "sigmoid": "near_sigmoid"}
"""Operation -> the one that takes its place where only a gradient hangs on it."""
ROUNDED = frozenset(
    ("add", "sub", "mul", "div", "neg", "abs", "reciprocal", "relu", "sign", "sqrt", "floor", "maximum", "minimum")
) | frozenset(("where", "ge", "gt", "le", "lt", "eq", "ne", "and", "or", "not", "number"))
"""Operations with one right result, which torch's kernels and ours both give; others may differ in the last bit."""


def as_on_cuda(traced: Traced, real: str) -> Traced:
    """Return `traced` with the operations that a CUDA kernel of ours has for those of torch's.

    Parameters
    ----------
    real : what it computes in, ``"float32"`` or ``"float64"``.
    """
    decisive = {one.name for one in traced.forward.only(_decisive(traced)).body}
    return replace(
        traced,
        forward=_rewritten(traced.forward, real, decisive),
        backward=_rewritten(traced.backward, real, ()),
    )


def _decisive(traced: Traced) -> list[str]:
    return ["s", *(f"n{i}" for i in range(len(traced.states)))]


def _rewritten(program: Program, real: str, decisive: Iterable[str]) -> Program:
    exact = frozenset(decisive)
    return replace(program, body=tuple(_on_cuda(one, real, one.name in exact) for one in program.body))


def _on_cuda(one: Assignment, real: str, is_decisive: bool) -> Assignment:
    if one.operation == "div" and not isinstance(one.arguments[1], str):
        scalar = np.dtype(real).type
        with np.errstate(divide="ignore"):
            inverse = float(scalar(1) / scalar(one.arguments[1]))
        return replace(one, operation="mul", arguments=(one.arguments[0], inverse))
    if is_decisive or real == "float64":
        return one
    return replace(one, operation=NEAR.get(one.operation, one.operation))
