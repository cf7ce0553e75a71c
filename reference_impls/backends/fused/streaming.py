"""Writes rows past the cache, for Numba kernels.

An ordinary store reads the line that it is about to overwrite; one that goes past the cache does not, which is a
third of the traffic of a kernel that only waits for memory, and leaves the cache to what is read again. LLVM does not
vectorise such stores by itself, so a kernel writes a row into a small buffer and this copies it out, 32 bytes at a
time. Must not know neurons.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["fence", "stream"]

VECTOR_BYTES = 32


@intrinsic
def _copy_vector(_context: Any, target: Any, source: Any, at: Any) -> Any:
    """Copy one vector from ``source[at:]`` to ``target[at:]``, which must be aligned to a vector."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointers = []
        for kind, array in zip(signature.args[:2], arguments[:2], strict=True):
            first = context.make_array(kind)(context, builder, array).data
            lanes = VECTOR_BYTES // context.get_abi_sizeof(first.type.pointee)
            vector = ir.VectorType(first.type.pointee, lanes).as_pointer()
            pointers.append(builder.bitcast(builder.gep(first, [arguments[2]]), vector))
        value = builder.load(pointers[1], align=signature.args[1].dtype.bitwidth // 8)
        store = builder.store(value, pointers[0], align=VECTOR_BYTES)
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


@njit(inline="always")
def stream(target: np.ndarray, source: np.ndarray) -> None:
    """Copy ``source`` to ``target``, both contiguous, of one length and dtype, past the cache where it is aligned."""
    lanes = VECTOR_BYTES // target.itemsize
    head = min(len(target), (-(target.ctypes.data // target.itemsize)) % lanes)
    body = head + (len(target) - head) // lanes * lanes
    for i in range(head):
        target[i] = source[i]
    for i in range(head, body, lanes):
        _copy_vector(target, source, i)  # type: ignore[call-arg]  # Numba passes the first argument
    for i in range(body, len(target)):
        target[i] = source[i]
