"""Rows of tensors for Numba kernels: where they start, how they are asked for, and how they are written past the cache.

A kernel gets addresses, not arrays: describing a dozen arrays costs more than a short kernel takes, and Numba
compiles a loop over an address in a tenth of the time. What is written here in LLVM's instructions need not be
compiled by Numba for each kernel anew. Must not know neurons.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core.cgutils import for_range_slice
from numba.extending import intrinsic

__all__ = ["fence", "fetch", "kernel_type", "read", "row", "select", "stream", "write"]

LINE_BYTES = 64
_INT64 = ir.IntType(64)
_TO_READ_INTO_THE_FIRST_CACHE = (0, 3, 1)
"""LLVM's codes: to read, for all caches, data."""


def kernel_type(element: Any) -> Any:
    """Return the type of a kernel for one block: ``void(tensors, scratch, steps, neurons, start, width, past_cache)``.

    `tensors` is a table of addresses, `scratch` memory of the thread, both of `element`; the block is the neurons
    ``start .. start + width``.
    """
    address = types.CPointer(element)
    return types.void(types.CPointer(address), address, *(types.int64,) * 5)


@intrinsic
def row(_context: Any, tensor: Any, number: Any, length: Any, start: Any) -> Any:
    """Return the address of ``tensor[number, start]``, whose rows have `length` elements."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _row(context, builder, *arguments)

    return tensor(tensor, number, length, start), generate


def _row(context: Any, builder: Any, pointer: Any, number: Any, length: Any, start: Any) -> Any:
    # Computed as a number. As pointer arithmetic LLVM would test for overlapping rows once for all steps instead of
    # once for each, find that the whole tensors may overlap, and not vectorise.
    offset = builder.add(builder.mul(number, length), start)
    size = ir.Constant(_INT64, context.get_abi_sizeof(pointer.type.pointee))
    return builder.inttoptr(builder.add(builder.ptrtoint(pointer, _INT64), builder.mul(offset, size)), pointer.type)


@intrinsic
def select(_context: Any, condition: Any, one: Any, other: Any) -> Any:
    """Return `one` where `condition`, else `other`, without a branch."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.select(*arguments)

    return one(condition, one, other), generate


@intrinsic
def fetch(_context: Any, tensor: Any, number: Any, count: Any, length: Any, start: Any, width: Any) -> Any:
    """Ask for ``tensor[number, start : start + width]``, which will be read soon, if there is such a row of `count`.

    Rows of a block lie far apart, so at each the hardware has to find out anew that memory is read in order.
    """

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        pointer, number, count, length, start, width = arguments
        byte, code = ir.IntType(8).as_pointer(), ir.IntType(32)
        type_ = ir.FunctionType(ir.VoidType(), [byte, code, code, code])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [byte], type_)
        codes = [ir.Constant(code, value) for value in _TO_READ_INTO_THE_FIRST_CACHE]
        step = ir.Constant(_INT64, LINE_BYTES // context.get_abi_sizeof(pointer.type.pointee))
        with builder.if_then(builder.icmp_unsigned("<", number, count)):  # a negative one is a large one
            source = _row(context, builder, pointer, number, length, start)
            with for_range_slice(builder, _INT64(0), width, step, _INT64) as (at, _):
                builder.call(prefetch, [builder.bitcast(builder.gep(source, [at]), byte), *codes])
        return context.get_dummy_value()

    return types.void(tensor, number, count, length, start, width), generate


@intrinsic
def read(_context: Any, target: Any, source: Any, start: Any, width: Any, otherwise: Any) -> Any:
    """Copy ``source[start : start + width]`` to `target`, or fill it with `otherwise` if `source` is null."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        target, source, start, width, otherwise = arguments
        with builder.if_else(_is_null(builder, source)) as (missing, given):
            with missing, for_range_slice(builder, _INT64(0), width, _INT64(1), _INT64) as (at, _):
                builder.store(otherwise, builder.gep(target, [at]))
            with given:
                of = _row(context, builder, source, _INT64(0), _INT64(0), start)
                _copy(builder, target, of, _INT64(0), width)
        return context.get_dummy_value()

    return types.void(target, source, start, width, otherwise), generate


@intrinsic
def write(_context: Any, target: Any, start: Any, width: Any, source: Any) -> Any:
    """Copy `width` elements of `source` to ``target[start:]``, unless `target` is null."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        target, start, width, source = arguments
        with builder.if_then(builder.not_(_is_null(builder, target))):
            _copy(builder, _row(context, builder, target, _INT64(0), _INT64(0), start), source, _INT64(0), width)
        return context.get_dummy_value()

    return types.void(target, start, width, source), generate


def _is_null(builder: Any, pointer: Any) -> Any:
    return builder.icmp_unsigned("==", builder.ptrtoint(pointer, _INT64), _INT64(0))


def _copy(builder: Any, target: Any, source: Any, first: Any, last: Any) -> None:
    with for_range_slice(builder, first, last, _INT64(1), _INT64) as (at, _):
        builder.store(builder.load(builder.gep(source, [at])), builder.gep(target, [at]))


@intrinsic
def stream(_context: Any, target: Any, source: Any, width: Any) -> Any:
    """Copy `width` elements from `source` to `target`, past the cache where `target` is aligned.

    An ordinary store reads the line that it is about to overwrite; one that goes past the cache does not, which is a
    third of the traffic of a kernel that only waits for memory, and leaves the cache to what is read again. LLVM does
    not vectorise such stores by itself, so a kernel writes a row into a small buffer that is copied from there.
    """

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        target, source, width = arguments
        element = target.type.pointee
        size = context.get_abi_sizeof(element)
        lanes = _INT64(LINE_BYTES // size)
        vector = ir.VectorType(element, LINE_BYTES // size).as_pointer()
        place = builder.udiv(builder.ptrtoint(target, _INT64), _INT64(size))
        to_aligned = builder.and_(builder.neg(place), _INT64(LINE_BYTES // size - 1))
        head = builder.select(builder.icmp_signed("<", width, to_aligned), width, to_aligned)
        rest = builder.sub(width, head)
        body = builder.add(head, builder.sub(rest, builder.urem(rest, lanes)))
        for first, last in ((_INT64(0), head), (body, width)):
            _copy(builder, target, source, first, last)
        with for_range_slice(builder, head, body, lanes, _INT64) as (at, _):
            to, of = (builder.bitcast(builder.gep(pointer, [at]), vector) for pointer in (target, source))
            store = builder.store(builder.load(of, align=size), to, align=LINE_BYTES)
            store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
        return context.get_dummy_value()

    return types.void(target, source, width), generate


@intrinsic
def fence(_context: Any) -> Any:
    """Let everything that was written past the cache be seen by other threads before what is written next."""

    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate
