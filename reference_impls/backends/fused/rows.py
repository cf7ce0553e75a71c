"""Rows of tensors for Numba kernels: where they start, and how they are written past the cache.

A kernel gets addresses, not arrays: describing a dozen arrays costs more than a short kernel takes, and Numba
compiles a loop over an address in a tenth of the time. Must not know neurons.

An ordinary store reads the line that it is about to overwrite; one that goes past the cache does not, which is a
third of the traffic of a kernel that only waits for memory, and leaves the cache to what is read again. LLVM does not
vectorise such stores by itself, so a kernel writes a row into a small buffer and `stream` copies it out, 32 bytes at a
time.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["fence", "fetch", "kernel_type", "row", "stream"]

VECTOR_BYTES, LINE_BYTES = 32, 64
_TO_READ_INTO_THE_FIRST_CACHE = (0, 3, 1)
"""LLVM's codes: to read, for all caches, data."""
_INT64 = ir.IntType(64)


def kernel_type(element: Any) -> Any:
    """Return the type of a kernel for one block: ``void(tensors, scratch, steps, neurons, start, width, past_cache)``.

    `tensors` is a table of addresses, `scratch` memory of the thread, both of `element`; the block is the neurons
    ``start .. start + width``.
    """
    address = types.CPointer(element)
    return types.void(types.CPointer(address), address, *(types.int64,) * 5)


@intrinsic
def row(_context: Any, tensor: Any, offset: Any) -> Any:
    """Return the address of ``tensor[offset]``.

    It is computed as a number. As pointer arithmetic LLVM would test for overlapping rows once for all steps instead
    of once for each, find that the whole tensors may overlap, and not vectorise.
    """

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        pointer, count = arguments
        size = ir.Constant(_INT64, context.get_abi_sizeof(pointer.type.pointee))
        address = builder.add(builder.ptrtoint(pointer, _INT64), builder.mul(count, size))
        return builder.inttoptr(address, pointer.type)

    return tensor(tensor, offset), generate


@intrinsic
def _elements_to_vector(_context: Any, target: Any) -> Any:
    """Return how many elements lie between `target` and the next address that is aligned to a vector."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        size = context.get_abi_sizeof(arguments[0].type.pointee)
        element = builder.udiv(builder.ptrtoint(arguments[0], _INT64), ir.Constant(_INT64, size))
        return builder.and_(builder.neg(element), ir.Constant(_INT64, VECTOR_BYTES // size - 1))

    return types.int64(target), generate


@intrinsic
def _copy_vector(_context: Any, target: Any, source: Any, at: Any) -> Any:
    """Copy one vector from ``source[at:]`` to ``target[at:]``, which must be aligned to a vector."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        size = context.get_abi_sizeof(arguments[0].type.pointee)
        vector = ir.VectorType(arguments[0].type.pointee, VECTOR_BYTES // size).as_pointer()
        to, of = (builder.bitcast(builder.gep(pointer, [arguments[2]]), vector) for pointer in arguments[:2])
        store = builder.store(builder.load(of, align=size), to, align=VECTOR_BYTES)
        store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
        return context.get_dummy_value()

    return types.void(target, source, at), generate


@intrinsic
def fence(_context: Any) -> Any:
    """Let everything that was written past the cache be seen by other threads before what is written next."""

    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def _fetch_line(_context: Any, source: Any, at: Any) -> Any:
    """Ask for the line of ``source[at]``; an address that does not exist is ignored."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        type_ = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", [byte], type_)
        address = builder.bitcast(builder.gep(arguments[0], [arguments[1]]), byte)
        builder.call(fetch, [address, *(ir.Constant(number, code) for code in _TO_READ_INTO_THE_FIRST_CACHE)])
        return context.get_dummy_value()

    return types.void(source, at), generate


@njit(inline="always")
def fetch(tensor: Any, t: int, steps: int, neurons: int, start: int, width: int) -> None:
    """Ask for a row of ``tensor[steps, neurons]`` that will be read soon; there may be no row `t`.

    Rows of a block lie far apart, so at each the hardware has to find out anew that memory is read in order.
    """
    if 0 <= t < steps:
        source: Any = row(tensor, t * neurons + start)  # type: ignore[call-arg]  # Numba passes the first argument
        for i in range(0, width, _elements_of_line(tensor)):
            _fetch_line(source, i)


@njit(inline="always")
def stream(target: Any, source: Any, width: int) -> None:
    """Copy `width` elements from `source` to `target`, past the cache where `target` is aligned."""
    head = min(width, _elements_to_vector(target))  # type: ignore[call-arg]  # the same
    lanes = _elements_of_vector(target)
    body = head + (width - head) // lanes * lanes
    for i in range(head):
        target[i] = source[i]
    for i in range(head, body, lanes):
        _copy_vector(target, source, i)
    for i in range(body, width):
        target[i] = source[i]


def _elements_in(size: int) -> Any:
    """Return a function for kernels that says how many elements of a row are `size` bytes."""

    @intrinsic
    def elements(_context: Any, target: Any) -> Any:
        def generate(context: Any, _builder: Any, _signature: Any, arguments: Any) -> Any:
            return ir.Constant(_INT64, size // context.get_abi_sizeof(arguments[0].type.pointee))

        return types.int64(target), generate

    return elements


_elements_of_vector, _elements_of_line = _elements_in(VECTOR_BYTES), _elements_in(LINE_BYTES)
