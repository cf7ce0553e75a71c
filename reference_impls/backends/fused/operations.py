"""The operations of a program on lanes, for Numba kernels: each rounds as torch's does on a single number.

A number among the arguments stands for the same number in every lane. What the processor or LLVM has no vectors for is
called lane by lane. Must not know memory or loops.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from reference_impls.backends.fused.exponential import exponential
from reference_impls.backends.fused.lanes import Lanes, call_on_lanes, in_all_lanes, lanes_of

__all__ = [
    "absolute", "add", "atan", "both", "cos", "div", "either", "eq", "erf", "exp", "expm1", "floor", "ge", "gt", "le",
    "log", "log1p", "lt", "mul", "ne", "neg", "opposite", "power", "select", "sin", "sqrt", "sub", "tanh",
]  # fmt: skip

Generate = Callable[..., Any]
"""From context, builder, the type of an element, and lanes."""


@intrinsic
def select(_context: Any, condition: Any, one: Any, other: Any) -> Any:
    """Return `one` in the lanes where `condition`, else `other`; both are read."""
    kind = one if isinstance(one, Lanes) else other if isinstance(other, Lanes) else lanes_of(one)

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.select(*(in_all_lanes(builder, value, kind.count) for value in arguments))

    return kind(condition, one, other), generate


def _defined(generate: Generate, kinds: tuple[Any, ...], makes_flags: bool) -> tuple[Any, Callable[..., Any]]:
    kind = next((kind for kind in kinds if isinstance(kind, Lanes)), None) or lanes_of(kinds[0])

    def lower(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        lanes = (in_all_lanes(builder, value, kind.count) for value in arguments)
        return generate(context, builder, kind.element, *lanes)

    return (Lanes(types.boolean, kind.count) if makes_flags else kind)(*kinds), lower


def _of_one(generate: Generate) -> Any:
    @intrinsic
    def operation(_context: Any, a: Any) -> Any:
        return _defined(generate, (a,), makes_flags=False)

    return operation


def _of_two(generate: Generate, makes_flags: bool = False) -> Any:
    @intrinsic
    def operation(_context: Any, a: Any, b: Any) -> Any:
        return _defined(generate, (a, b), makes_flags)

    return operation


def _instruction(name: str) -> Generate:
    return lambda _context, builder, _element, *values: getattr(builder, name)(*values)


def _comparison(sign: str) -> Any:
    # Ordered, so false if either is not a number; != is the negation of ==.
    name = "fcmp_unordered" if sign == "!=" else "fcmp_ordered"
    return _of_two(lambda _context, builder, _element, a, b: getattr(builder, name)(sign, a, b), makes_flags=True)


def _vector_function(name: str) -> Generate:
    return lambda _context, builder, _element, value: call_on_lanes(builder, name, value)


def _lane_by_lane(function: Any) -> Generate:
    def generate(context: Any, builder: Any, element: Any, *values: Any) -> Any:
        kind = context.typing_context.resolve_value_type(function)
        signature = kind.get_call_type(context.typing_context, (element,) * len(values), {})
        scalar = context.get_function(kind, signature)
        result = ir.Constant(values[0].type, ir.Undefined)
        for number in range(values[0].type.count):
            lane = ir.IntType(32)(number)
            found = scalar(builder, [builder.extract_element(value, lane) for value in values])
            result = builder.insert_element(result, found, lane)
        return result

    return generate


def _exp(context: Any, builder: Any, element: Any, value: Any) -> Any:
    if element == types.float32:
        return exponential(builder, value)
    return _lane_by_lane(math.exp)(context, builder, element, value)


add, sub, mul, div = map(_of_two, map(_instruction, ("fadd", "fsub", "fmul", "fdiv")))
neg, opposite = map(_of_one, map(_instruction, ("fneg", "not_")))
both, either = map(_of_two, map(_instruction, ("and_", "or_")))
ge, gt, le, lt, eq, ne = map(_comparison, (">=", ">", "<=", "<", "==", "!="))
absolute, sqrt, floor = map(_of_one, map(_vector_function, ("fabs", "sqrt", "floor")))
exp = _of_one(_exp)
power = _of_two(_lane_by_lane(operator.pow))
expm1, log, log1p, sin, cos, tanh, erf, atan = (
    _of_one(_lane_by_lane(function))
    for function in (math.expm1, math.log, math.log1p, math.sin, math.cos, math.tanh, math.erf, math.atan)
)
