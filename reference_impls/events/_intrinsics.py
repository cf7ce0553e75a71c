"""What the kernels of events need of LLVM beside lanes: bits of a comparison, and other readings of an address.

Must not know what an event is.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from reference_impls.backends.fused.lanes import LINE_BYTES

__all__ = ["as_int32", "as_int64", "bits", "lane_count", "ones_in", "trailing_zeros"]

_INT64 = ir.IntType(64)


def _read_as(element: Any) -> Any:
    @intrinsic
    def read_as(_context: Any, pointer: Any) -> Any:
        kind = types.CPointer(element)

        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], context.get_value_type(kind))

        return kind(pointer), generate

    return read_as


as_int32, as_int64 = map(_read_as, (types.int32, types.int64))


@intrinsic
def lane_count(_context: Any, pointer: Any) -> Any:
    """Return how many elements of `pointer` make a line, known when the kernel is compiled."""
    count = LINE_BYTES * 8 // pointer.dtype.bitwidth

    def generate(_context: Any, _builder: Any, _signature: Any, _arguments: Any) -> Any:
        return _INT64(count)

    return types.int64(pointer), generate


@intrinsic
def bits(_context: Any, flags: Any) -> Any:
    """Return the lanes of a comparison as bits, the first lane in the lowest."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        flag = ir.VectorType(ir.IntType(1), flags.count)
        (given,) = arguments
        narrow = given if given.type == flag else builder.trunc(given, flag)
        return builder.zext(builder.bitcast(narrow, ir.IntType(flags.count)), _INT64)

    return types.int64(flags), generate


@intrinsic
def ones_in(_context: Any, word: Any) -> Any:
    """Return the number of bits that are set."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.int64), generate


@intrinsic
def trailing_zeros(_context: Any, word: Any) -> Any:
    """Return the place of the lowest bit that is set; there must be one."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.int64(types.int64), generate
