"""Sixteen float32 or eight float64 numbers at a time in Numba: what a printed kernel loads, computes with and stores.

A line of memory is one value, a vector whatever the processor makes of it. LLVM would find the vectors of a plain loop
too, but it would first test at each row whether it overlaps another, and of stores that go past the cache it makes no
vectors at all. Must not know neurons.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core.cgutils import get_or_insert_function
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model

__all__ = ["LINE_BYTES", "Lanes", "call_on_lanes", "in_all_lanes", "lanes_of", "load", "put", "store"]

LINE_BYTES = 64
_INT32 = ir.IntType(32)


class Lanes(types.Type):
    """So many of `element`, which is a number or a truth value."""

    def __init__(self, element: Any, count: int) -> None:
        self.element, self.count = element, count
        super().__init__(name=f"Lanes({element}, {count})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Lanes) -> None:
        super().__init__(manager, kind, ir.VectorType(manager.lookup(kind.element).get_value_type(), kind.count))


def lanes_of(element: Any) -> Lanes:
    """Return the type of a line of `element`, which is float32 or float64."""
    return Lanes(element, LINE_BYTES * 8 // element.bitwidth)


def in_all_lanes(builder: Any, value: Any, count: int) -> Any:
    """Return a number in every lane; lanes are returned as they are."""
    if isinstance(value.type, ir.VectorType):
        return value
    nothing = ir.Constant(ir.VectorType(value.type, count), ir.Undefined)
    first = builder.insert_element(nothing, value, _INT32(0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(_INT32, count), [0] * count))


def call_on_lanes(builder: Any, name: str, *values: Any) -> Any:
    """Call LLVM's own function `name`, such as ``floor``, which returns lanes like its arguments."""
    kind = values[0].type
    bits = 32 if isinstance(kind.element, ir.FloatType) else 64
    type_ = ir.FunctionType(kind, [kind] * len(values))
    return builder.call(get_or_insert_function(builder.module, type_, f"llvm.{name}.v{kind.count}f{bits}"), values)


@intrinsic
def load(_context: Any, source: Any, at: Any) -> Any:
    """Return the lanes from ``source[at]`` on."""
    kind = lanes_of(source.dtype)

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.load(_line(context, builder, kind, *arguments), align=_bytes(kind.element))

    return kind(source, at), generate


@intrinsic
def store(_context: Any, target: Any, at: Any, value: Any) -> Any:
    """Set the lanes from ``target[at]`` on; a number goes into all of them."""
    kind = lanes_of(target.dtype)

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        target, at, value = arguments
        line = _line(context, builder, kind, target, at)
        builder.store(in_all_lanes(builder, value, kind.count), line, align=_bytes(kind.element))
        return context.get_dummy_value()

    return types.void(target, at, value), generate


@intrinsic
def put(_context: Any, target: Any, at: Any, value: Any, past_cache: Any) -> Any:
    """Like `store`, past the cache if `past_cache` is not 0; the address must then be that of a line.

    An ordinary store reads the line that it is about to overwrite; one that goes past the cache does not, which is a
    third of the traffic of a kernel that only waits for memory, and leaves the cache to what is read again.
    """
    kind = lanes_of(target.dtype)

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        target, at, value, past_cache = arguments
        value, line = in_all_lanes(builder, value, kind.count), _line(context, builder, kind, target, at)
        with builder.if_else(builder.icmp_signed("!=", past_cache, past_cache.type(0))) as (past, through):
            with past:
                store = builder.store(value, line, align=LINE_BYTES)
                store.set_metadata("nontemporal", builder.module.add_metadata([_INT32(1)]))
            with through:
                builder.store(value, line, align=_bytes(kind.element))
        return context.get_dummy_value()

    return types.void(target, at, value, past_cache), generate


def _line(context: Any, builder: Any, kind: Lanes, pointer: Any, at: Any) -> Any:
    return builder.bitcast(builder.gep(pointer, [at]), context.get_value_type(kind).as_pointer())


def _bytes(element: Any) -> int:
    return int(element.bitwidth) // 8
