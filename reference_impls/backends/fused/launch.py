"""Runs a compiled kernel over blocks of neurons on Numba's threads: compiled once, whatever the kernel does.

Making a loop parallel is the dear part of compiling it, so no printed kernel is parallel: this loop is, and calls a
kernel by its address. Must not know what a kernel computes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.extending import intrinsic

from reference_impls.backends.fused.rows import fence

__all__ = ["launch", "launch_alone"]

_INT64 = ir.IntType(64)
# Numba's own functions of these names are slow from Python, and nothing that calls them can be cached.
_get_num_threads: Any = types.ExternalFunction("get_num_threads", types.intp())
_set_num_threads: Any = types.ExternalFunction("set_num_threads", types.void(types.intp))


def _compiled(**options: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Compile with Numba, and keep what is compiled where there is a place for it: beside this file or in a home."""

    def compiled(function: Callable[..., None]) -> Callable[..., None]:
        if os.access(os.path.dirname(__file__), os.W_OK) or os.path.isabs(os.path.expanduser("~")):
            try:
                return njit(cache=True, **options)(function)
            except RuntimeError:  # neither can be written
                pass
        return njit(**options)(function)

    return compiled


@intrinsic
def _call(
    _context: Any,
    kernel: Any,
    tensors: Any,
    scratch: Any,
    steps: Any,
    neurons: Any,
    start: Any,
    width: Any,
    past_cache: Any,
) -> Any:
    """Call the function at the address `kernel`; its type is ``rows.kernel_type``."""

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        function = ir.FunctionType(ir.VoidType(), [_INT64] * (len(values) - 1)).as_pointer()
        builder.call(builder.inttoptr(values[0], function), values[1:])
        return context.get_dummy_value()

    return types.void(kernel, tensors, scratch, steps, neurons, start, width, past_cache), generate


@_compiled(parallel=True, nogil=True)
def launch(
    kernel: int,
    tensors: np.ndarray,
    scratch: int,
    scratch_bytes: int,
    steps: int,
    neurons: int,
    block: int,
    past_cache: int,
    threads: int,
) -> None:
    """Call `kernel` for every block of `block` neurons, each thread with its own `scratch_bytes` of `scratch`.

    Parameters
    ----------
    kernel, scratch : addresses.
    tensors : addresses of what the kernel reads and writes, int64.
    threads : how many take part; Numba's own number is as before when this returns.
    """
    usual = _get_num_threads()
    _set_num_threads(threads)
    blocks = (neurons + block - 1) // block
    for thread in prange(threads):
        own = scratch + np.int64(thread) * scratch_bytes
        table = np.int64(tensors.ctypes.data)
        for number in range(blocks * thread // threads, blocks * (thread + 1) // threads):
            start = np.int64(number) * block
            width = min(block, neurons - start)
            _call(kernel, table, own, steps, neurons, start, width, past_cache)  # type: ignore[call-arg]  # Numba's
        if past_cache:
            fence()  # type: ignore[call-arg]  # Numba's first
    _set_num_threads(usual)


@_compiled(nogil=True)
def launch_alone(
    kernel: int, tensors: np.ndarray, scratch: int, steps: int, neurons: int, block: int, past_cache: int
) -> None:
    """Like `launch`, in the calling thread: all that is left of Numba's threads in a forked process."""
    table = np.int64(tensors.ctypes.data)
    for start in range(0, neurons, block):
        width = min(block, neurons - start)
        _call(kernel, table, scratch, steps, neurons, np.int64(start), width, past_cache)  # type: ignore[call-arg]  # Numba's
    if past_cache:
        fence()  # type: ignore[call-arg]  # Numba's first
