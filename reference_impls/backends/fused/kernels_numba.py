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
import torch
from torch import Tensor

from reference_impls.backends.fused import streaming  # noqa: F401  # printed modules import it: a code hash covers it
from reference_impls.backends.fused.cache import kept_source

__all__ = ["NumbaKernels"]

SCRATCH_BYTES = 256 * 1024
"""Of one thread: states of a block over all steps should stay in the second cache of a core."""
SMALLEST_BLOCK, LARGEST_BLOCK = 128, 2048

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


class NumbaKernels:
    """The two kernels of a step, from the text of a module; see :class:`~..kernels.Kernels`."""

    def __init__(self, source: str) -> None:
        module = _loaded(source)
        self._forward, self._backward = module.forward, module.backward

    def forward(
        self, x: Tensor, first: Sequence[Tensor], params: Sequence[Tensor], keep: bool
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Run the step over all of ``x[T, N]``; keeps nothing."""
        spikes, last = torch.empty_like(x), [torch.empty_like(state) for state in first]
        threads, block = _use_torch_threads(), _block(x, len(first))
        scratch = _scratch((threads, 1, 1, block), x.dtype)
        self._forward(*_arrays(x, *first, *params, spikes, *last, scratch), _past_cache(x), block)
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
        threads, block = _use_torch_threads(), _block(x, len(first))
        scratch = _scratch((threads, x.shape[0] + 1, max(1, len(first)), block), x.dtype)
        tensors = [x, *first, *params, upstream, *upstream_last, dx, *dfirst, *dparams, scratch]
        self._backward(*_arrays(*tensors), _past_cache(x), block)
        return dx, dfirst, dparams


def _loaded(source: str) -> ModuleType:
    """Import the file that holds `source`; Numba keeps the compiled code beside it."""
    path = kept_source(source, ".py")
    name = f"spikeboard_kernels.{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    return sys.modules[name]


def _use_torch_threads() -> int:
    threads = min(torch.get_num_threads(), MOST_THREADS)
    numba.set_num_threads(threads)
    return threads


def _block(x: Tensor, states: int) -> int:
    """Return how many neurons are taken at a time: a power of two whose states over time fit into the cache."""
    fitting = SCRATCH_BYTES // (x.element_size() * max(1, states) * x.shape[0])
    return max(SMALLEST_BLOCK, min(LARGEST_BLOCK, 1 << max(0, fitting.bit_length() - 1)))


def _past_cache(result: Tensor) -> bool:
    return result.numel() * result.element_size() >= PAST_CACHE_BYTES


def _scratch(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Return memory of this thread for `shape`, the same at each call as long as it is enough."""
    wanted = torch.Size(shape).numel()
    kept: dict[str, Tensor] = _buffers.__dict__
    name = str(dtype)
    if name not in kept or kept[name].numel() < wanted:
        kept[name] = torch.empty(wanted, dtype=dtype)
    return kept[name][:wanted].view(shape)


def _arrays(*tensors: Tensor) -> list[object]:
    return [tensor.numpy() for tensor in tensors]
