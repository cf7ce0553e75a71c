"""Rows of tensors for Numba kernels: where they start, and how a block of one is filled up to whole lanes.

A kernel gets addresses, not arrays: describing a dozen arrays costs more than a short kernel takes. What is written
here in LLVM's instructions need not be compiled by Numba for each kernel anew. Must not know neurons.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core.cgutils import for_range_slice
from numba.extending import intrinsic

__all__ = ["either_row", "fence", "fetch", "fill", "kernel_type", "read", "row", "whole_row", "write"]

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

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _row(builder, *arguments)

    return tensor(tensor, number, length, start), generate


def _row(builder: Any, tensor: Any, number: Any, length: Any, start: Any) -> Any:
    return builder.gep(tensor, [builder.add(builder.mul(number, length), start)])


@intrinsic
def either_row(_context: Any, condition: Any, one: Any, other: Any) -> Any:
    """Return the address `one` if `condition`, else `other`, without a branch."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.select(*arguments)

    return one(condition, one, other), generate


@intrinsic
def whole_row(_context: Any, source: Any, width: Any, whole: Any, spare: Any) -> Any:
    """Return `source`, or, if its `width` elements are not `whole` lanes, `spare` with a copy of them."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        source, width, whole, spare = arguments
        is_short = builder.icmp_signed("<", width, whole)
        with builder.if_then(is_short, likely=False):
            _copy(builder, spare, source, width)
        return builder.select(is_short, spare, source)

    return source(source, width, whole, spare), generate


@intrinsic
def fetch(_context: Any, source: Any, at: Any) -> Any:
    """Ask for the line of ``source[at]``, which will be read soon; there need be no such memory.

    Rows of a block lie far apart, so at each the hardware has to find out anew that memory is read in order.
    """

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        byte, code = ir.IntType(8).as_pointer(), ir.IntType(32)
        type_ = ir.FunctionType(ir.VoidType(), [byte, code, code, code])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [byte], type_)
        codes = [code(value) for value in _TO_READ_INTO_THE_FIRST_CACHE]
        builder.call(prefetch, [builder.bitcast(builder.gep(arguments[0], [arguments[1]]), byte), *codes])
        return context.get_dummy_value()

    return types.void(source, at), generate


@intrinsic
def read(_context: Any, target: Any, source: Any, start: Any, width: Any, otherwise: Any) -> Any:
    """Copy ``source[start : start + width]`` to `target`, or fill it with `otherwise` if `source` is null."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        target, source, start, width, otherwise = arguments
        with builder.if_else(_is_null(builder, source)) as (missing, given):
            with missing:
                _fill(builder, target, width, otherwise)
            with given:
                _copy(builder, target, builder.gep(source, [start]), width)
        return context.get_dummy_value()

    return types.void(target, source, start, width, otherwise), generate


@intrinsic
def fill(_context: Any, target: Any, width: Any, number: Any) -> Any:
    """Set `width` elements of `target` to `number`."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        _fill(builder, *arguments)
        return context.get_dummy_value()

    return types.void(target, width, number), generate


@intrinsic
def write(_context: Any, target: Any, start: Any, width: Any, source: Any) -> Any:
    """Copy `width` elements of `source` to ``target[start:]``, unless `target` is null."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        target, start, width, source = arguments
        with builder.if_then(builder.not_(_is_null(builder, target))):
            _copy(builder, builder.gep(target, [start]), source, width)
        return context.get_dummy_value()

    return types.void(target, start, width, source), generate


def _is_null(builder: Any, pointer: Any) -> Any:
    return builder.icmp_unsigned("==", builder.ptrtoint(pointer, _INT64), _INT64(0))


def _fill(builder: Any, target: Any, width: Any, number: Any) -> None:
    with for_range_slice(builder, _INT64(0), width, _INT64(1), _INT64) as (at, _):
        builder.store(number, builder.gep(target, [at]))


def _copy(builder: Any, target: Any, source: Any, width: Any) -> None:
    with for_range_slice(builder, _INT64(0), width, _INT64(1), _INT64) as (at, _):
        builder.store(builder.load(builder.gep(source, [at])), builder.gep(target, [at]))


@intrinsic
def fence(_context: Any) -> Any:
    """Let everything that was written past the cache be seen by other threads before what is written next."""

    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate
