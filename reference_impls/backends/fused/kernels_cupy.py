"""Compiles a printed step with CuPy and runs it on torch's CUDA tensors, without a copy, on torch's current stream.

CuPy keeps what it has compiled on disk, by content. Must not know how a step was traced.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cupy
import torch
from torch import Tensor

__all__ = ["OPTIONS", "CupyKernels"]

OPTIONS = ("--std=c++17", "--fmad=false")
"""No fused multiply-add: torch's separate operations round twice, and a spike may hang on it."""
THREADS_PER_BLOCK = 128


class CupyKernels:
    """The two kernels of a step, from CUDA C; see :class:`~..kernels.Kernels`."""

    def __init__(self, source: str) -> None:
        self._module = cupy.RawModule(code=source, options=OPTIONS)
        self._functions: dict[tuple[int, str], Any] = {}

    def forward(
        self, x: Tensor, first: Sequence[Tensor], params: Sequence[Tensor], keep: bool
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Run the step over all of ``x[T, N]``."""
        spikes, last = torch.empty_like(x), [torch.empty_like(state) for state in first]
        kept = [torch.empty_like(x) for _ in first] if keep else []
        places: list[Tensor | None] = [*kept] if keep else [None for _ in first]
        self._launch("forward", x, [x, *first, *params, spikes, *last, *places])
        return spikes, last, kept

    def backward(
        self,
        x: Tensor,
        first: Sequence[Tensor],
        params: Sequence[Tensor],
        kept: Sequence[Tensor],
        upstream: Tensor,
        upstream_last: Sequence[Tensor],
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Walk back in time over the states that the forward pass has kept."""
        dx, dfirst = torch.empty_like(x), [torch.empty_like(state) for state in first]
        dparams = [torch.empty_like(param) for param in params]
        self._launch("backward", x, [x, *kept, *params, upstream, *upstream_last, dx, *dfirst, *dparams])
        return dx, dfirst, dparams

    def _launch(self, name: str, x: Tensor, tensors: Sequence[Tensor | None]) -> None:
        steps, neurons = x.shape
        if neurons == 0:
            return
        arguments = [0 if tensor is None else tensor.data_ptr() for tensor in tensors]
        stream = torch.cuda.current_stream(x.device).cuda_stream
        with cupy.cuda.Device(x.device.index), cupy.cuda.ExternalStream(stream, x.device.index):
            blocks = (neurons + THREADS_PER_BLOCK - 1) // THREADS_PER_BLOCK
            self._function(x.device.index, name)((blocks,), (THREADS_PER_BLOCK,), (*arguments, steps, neurons))

    def _function(self, device: int, name: str) -> Any:
        """Return the kernel `name` as loaded on `device`, which must be the current one."""
        key = device, name
        if key not in self._functions:
            self._functions[key] = self._module.get_function(name)
        return self._functions[key]
