"""Compiles a step in CUDA C with CuPy and runs it on torch's CUDA tensors, without a copy, on torch's current stream.

CuPy keeps what it has compiled on disk, by content. Must not know how a step was traced.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cupy
import torch

from reference_impls.backends.fused.cuda_source import cuda_source
from reference_impls.backends.fused.kernels_cuda import CudaKernels
from reference_impls.backends.fused.program import Traced

__all__ = ["OPTIONS", "CupyKernels"]

OPTIONS = ("--std=c++17", "--fmad=false")
"""No fused multiply-add: torch's separate operations round twice, and a spike may hang on it."""
THREADS_PER_BLOCK = 128


class CupyKernels(CudaKernels):
    """The two kernels of a step, compiled by NVRTC."""

    def __init__(self, traced: Traced, dtype: str) -> None:
        super().__init__(traced)
        self._module = cupy.RawModule(code=cuda_source(traced, dtype), options=OPTIONS)
        self._functions: dict[tuple[int, str], Any] = {}

    def _launch(self, name: str, device: torch.device, addresses: Sequence[int], steps: int, neurons: int) -> None:
        stream = torch.cuda.current_stream(device).cuda_stream
        with cupy.cuda.Device(device.index), cupy.cuda.ExternalStream(stream, device.index):
            blocks = (neurons + THREADS_PER_BLOCK - 1) // THREADS_PER_BLOCK
            self._function(device.index, name)((blocks,), (THREADS_PER_BLOCK,), (*addresses, steps, neurons))

    def _function(self, device: int, name: str) -> Any:
        """Return the kernel `name` as loaded on `device`, which must be the current one."""
        key = device, name
        if key not in self._functions:
            self._functions[key] = self._module.get_function(name)
        return self._functions[key]
