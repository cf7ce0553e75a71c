"""Compiles a printed step with Numba and calls it on torch's CPU tensors, without a copy.

Threads follow ``torch.set_num_threads``. Scratch memory is kept between calls: fresh pages cost more than the
arithmetic. Must not know how a step was traced.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Sequence
from types import ModuleType

import numba
import numpy as np
import torch
from torch import Tensor

from reference_impls.backends.fused import rows  # noqa: F401  # printed modules import it: a code hash covers it
from reference_impls.backends.fused.cache import kept_source
from reference_impls.backends.fused.launch import launch

__all__ = ["NumbaKernels"]

SCRATCH_BYTES = 128 * 1024
"""Of one thread: states of a block over all steps should stay in the second cache of a core, beside the rows read."""
SMALLEST_BLOCK, LARGEST_BLOCK = 128, 512

PAST_CACHE_BYTES = 1 << 20
"""From this size on a result is written past the cache: it would not stay there until somebody reads it."""


def _started_threads() -> int:
    """Start Numba's threads and return their number, leaving torch's as it was: both ask the same OpenMP."""
    of_torch = torch.get_num_threads()
    started: int = numba.get_num_threads()
    torch.set_num_threads(of_torch)
    return started


MOST_THREADS = _started_threads()
"""What Numba was started with."""

_buffers = threading.local()
_loading = threading.Lock()


class NumbaKernels:
    """The two kernels of a step, from the text of a module; see :class:`~..kernels.Kernels`."""

    def __init__(self, source: str) -> None:
        module = _loaded(source)
        self._forward, self._backward = module.forward.address, module.backward.address

    def forward(
        self, x: Tensor, first: Sequence[Tensor], params: Sequence[Tensor], keep: bool
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Run the step over all of ``x[T, N]``; keeps nothing."""
        spikes, last = torch.empty_like(x), [torch.empty_like(state) for state in first]
        _run(self._forward, [x, *first, *params, spikes, *last], _block(x, len(first)), scratch_rows=1)
        return spikes, last, []

    def backward(
        self,
        x: Tensor,
        first: Sequence[Tensor],
        params: Sequence[Tensor],
        kept: Sequence[Tensor],
        upstream: Tensor,
        upstream_last: Sequence[Tensor],
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Run the step again, then its gradient back in time."""
        dx, dfirst = torch.empty_like(x), [torch.empty_like(state) for state in first]
        dparams = [torch.empty_like(param) for param in params]
        tensors = [x, *first, *params, upstream, *upstream_last, dx, *dfirst, *dparams]
        _run(self._backward, tensors, _block(x, len(first)), scratch_rows=x.shape[0] * max(1, len(first)) + 1)
        return dx, dfirst, dparams


def _run(kernel: int, tensors: Sequence[Tensor], block: int, scratch_rows: int) -> None:
    """Run the kernel at an address on `tensors`, the first of which is ``x[T, N]``."""
    x = tensors[0]
    threads = min(torch.get_num_threads(), MOST_THREADS)
    numba.set_num_threads(threads)
    scratch = _scratch(threads * scratch_rows * block, x.dtype)
    addresses = np.array([tensor.data_ptr() for tensor in tensors])
    size = x.element_size()
    past_cache = x.numel() * size >= PAST_CACHE_BYTES
    own_bytes = scratch_rows * block * size
    launch(kernel, addresses, scratch.data_ptr(), own_bytes, *x.shape, block, int(past_cache))  # type: ignore[call-arg]


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


def _block(x: Tensor, states: int) -> int:
    """Return how many neurons are taken at a time: a power of two whose states over time fit into the cache."""
    fitting = SCRATCH_BYTES // (x.element_size() * max(1, states) * x.shape[0])
    return max(SMALLEST_BLOCK, min(LARGEST_BLOCK, 1 << max(0, fitting.bit_length() - 1)))


def _scratch(elements: int, dtype: torch.dtype) -> Tensor:
    """Return memory of this thread for so many `elements`, the same at each call as long as it is enough."""
    kept: dict[str, Tensor] = _buffers.__dict__
    name = str(dtype)
    if name not in kept or kept[name].numel() < elements:
        kept[name] = torch.empty(elements, dtype=dtype)
    return kept[name]
