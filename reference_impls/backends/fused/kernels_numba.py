"""Compiles a step with Numba and calls it on torch's CPU tensors, without a copy.

Threads follow ``torch.set_num_threads``. Scratch memory is kept between calls: fresh pages cost more than the
arithmetic. Must not know how a step was traced.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import sys
import threading
from collections.abc import Sequence
from types import ModuleType

import numba
import numpy as np
import torch
from torch import Tensor

from reference_impls.backends.fused import operations, rows  # noqa: F401  # printed modules import them: for code hashes
from reference_impls.backends.fused.cache import kept_source
from reference_impls.backends.fused.lanes import LINE_BYTES
from reference_impls.backends.fused.launch import launch, launch_alone
from reference_impls.backends.fused.numba_source import numba_source, rows_backward, rows_forward
from reference_impls.backends.fused.program import Traced

__all__ = ["NumbaKernels", "run_shared"]

SCRATCH_BYTES = 128 * 1024
"""Of one thread: what is kept of a block should stay in the second cache of a core, beside the rows read."""
SMALLEST_BLOCK, LARGEST_BLOCK = 128, 512

PAST_CACHE_BYTES = 6 << 20
"""When a kernel reads and writes more than that, its result goes past the cache: it would not stay there until somebody
reads it. By trial, of one layer and of two in a row, where 32 MiB of last cache are shared with others."""


def _started_threads() -> int:
    """Start Numba's threads and return their number, leaving torch's as it was: both ask the same OpenMP."""
    of_torch = torch.get_num_threads()
    started: int = numba.get_num_threads()
    torch.set_num_threads(of_torch)
    return started


MOST_THREADS = _started_threads()
"""What Numba was started with."""

# Of Numba's ways to have threads, the one that it brings along ends the process when two threads start a loop at once.
_launching = threading.Lock() if numba.threading_layer() == "workqueue" else contextlib.nullcontext()
_buffers = threading.local()
_loading = threading.Lock()
_forked = False


def _note_fork() -> None:
    """Do without threads from now on: a forked process has none of Numba's, and starting some would end it."""
    global _forked, _loading
    _forked, _loading = True, threading.Lock()


os.register_at_fork(after_in_child=_note_fork)


class NumbaKernels:
    """The two kernels of a step; see :class:`~..kernels.Kernels`.

    Parameters
    ----------
    traced, dtype : what to print: ``"float32"`` or ``"float64"``.
    """

    def __init__(self, traced: Traced, dtype: str) -> None:
        module = _loaded(numba_source(traced, dtype))
        self._forward, self._backward = module.forward.address, module.backward.address
        self._rows_forward, self._rows_backward = rows_forward(traced), rows_backward(traced)
        self._at_rest = [None for _ in traced.states]

    def forward(
        self, x: Tensor, first: Sequence[Tensor] | None, params: Sequence[Tensor], keep: bool
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Run the step over all of ``x[T, ...]``; keeps what it was given."""
        spikes, last = torch.empty_like(x), [x.new_empty(x.shape[1:]) for _ in self._at_rest]
        states = self._at_rest if first is None else first
        _run(self._forward, [x, *states, *params, spikes, *last], spikes, (0, self._rows_forward), sequences=2)
        return spikes, last, [x, *(first or ())] if keep else []

    def backward(
        self,
        kept: Sequence[Tensor],
        params: Sequence[Tensor],
        upstream: Tensor,
        upstream_last: Sequence[Tensor | None],
        from_rest: bool,
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Run the step again, then its gradient back in time."""
        x, *first = kept
        dx, dfirst = torch.empty_like(x), [torch.empty_like(state) for state in first]
        dparams = [torch.empty_like(param) for param in params]
        states, dstates = (self._at_rest, self._at_rest) if from_rest else (first, dfirst)
        tensors = [x, *states, *params, upstream, *upstream_last, dx, *dstates, *dparams]
        _run(self._backward, tensors, dx, self._rows_backward, sequences=3)
        return dx, dfirst, dparams


def _run(
    kernel: int, tensors: Sequence[Tensor | None], result: Tensor, own_rows: tuple[int, int], *, sequences: int
) -> None:
    """Run the kernel at an address on `tensors`, of which so many are `sequences` like the `result`.

    `own_rows` says how much scratch memory it wants: for each of T + 1 steps, and beside them.
    """
    steps, count, size, address = result.shape[0], result.numel(), result.element_size(), result.data_ptr()
    neurons = count // steps
    threads = 1 if _forked else min(torch.get_num_threads(), MOST_THREADS)
    each, beside = own_rows
    block = _block(size, each, steps)
    own_bytes = ((steps + 1) * each + beside) * block * size
    whole_lines = address % LINE_BYTES == 0 and neurons * size % LINE_BYTES == 0
    past_cache = int(whole_lines and sequences * count * size > PAST_CACHE_BYTES)
    table = np.array([0 if tensor is None else tensor.data_ptr() for tensor in tensors])
    scratch = _scratch(threads * own_bytes)
    if _forked:
        launch_alone(kernel, table, scratch, steps, neurons, block, past_cache)
        return
    with _launching:
        launch(kernel, table, scratch, own_bytes, steps, neurons, block, past_cache, threads)


def run_shared(kernel: int, tensors: Sequence[Tensor], steps: int, outputs: int, scratch_bytes: int = 0) -> None:
    """Run the kernel at an address on `tensors`, one part of its outputs on each thread.

    Parameters
    ----------
    kernel : of the type ``rows.kernel_type``; told `steps` as it stands, and the `outputs` in place of neurons.
    scratch_bytes : memory that each thread has for itself.
    """
    if outputs == 0:
        return
    threads = 1 if _forked else min(torch.get_num_threads(), MOST_THREADS, outputs)
    table = np.array([tensor.data_ptr() for tensor in tensors])
    own_bytes = -(-scratch_bytes // LINE_BYTES) * LINE_BYTES
    scratch = _scratch(threads * own_bytes)
    if _forked:
        launch_alone(kernel, table, scratch, steps, outputs, outputs, 0)
        return
    with _launching:
        launch(kernel, table, scratch, own_bytes, steps, outputs, -(-outputs // threads), 0, threads)


def _loaded(source: str) -> ModuleType:
    """Import the file that holds `source`; Numba keeps the compiled code beside it."""
    path = kept_source(source, ".py")
    name = f"spikeboard_kernels.{path.stem}"
    with _loading:
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(name, path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module  # before it runs: it is compiled then, and Numba notes whose function it was
            try:
                spec.loader.exec_module(module)
            except BaseException:
                del sys.modules[name]
                raise
        return sys.modules[name]


@functools.cache
def _block(size: int, kept: int, steps: int) -> int:
    """Return how many neurons are taken at a time: a power of two for which what is kept fits the cache."""
    fitting = SCRATCH_BYTES // (size * max(1, kept) * steps)
    return max(SMALLEST_BLOCK, min(LARGEST_BLOCK, 1 << max(0, fitting.bit_length() - 1)))


def _scratch(size: int) -> int:
    """Return the address of `size` bytes of this thread, the same at each call as long as they are enough."""
    held: Tensor | None = getattr(_buffers, "scratch", None)
    if held is None or held.numel() < size:
        held = _buffers.scratch = torch.empty(size, dtype=torch.uint8)
    return held.data_ptr()
