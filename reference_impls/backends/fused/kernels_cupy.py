"""Runs a step's kernels on torch's CUDA tensors through CuPy, without a copy, on torch's current stream.

Everything is compiled and loaded when a neuron is built, for the GPU that is torch's current one then; what only a call
can tell (another GPU, another layout of a parameter) is loaded at the first such call, and never while a CUDA graph is
recorded. Must not know how a step was traced.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from cupy.cuda import ExternalStream
from cupy.cuda.function import Module
from cupy_backends.cuda.api import driver

from reference_impls.backends import UnsupportedError
from reference_impls.backends.fused.cuda_kernel import THREADS_PER_BLOCK
from reference_impls.backends.fused.cuda_source import KERNELS, cuda_source
from reference_impls.backends.fused.kernels_cuda import CudaKernels, Variant
from reference_impls.backends.fused.nvrtc import machine_code
from reference_impls.backends.fused.program import Traced

__all__ = ["CupyKernels"]

_stream = functools.lru_cache(maxsize=64)(ExternalStream)


class CupyKernels(CudaKernels):
    """The kernels of a step, compiled by NVRTC."""

    def __init__(self, traced: Traced, dtype: str, shared: Sequence[bool]) -> None:
        self._functions: dict[tuple[int, Variant], dict[str, Any]] = {}
        super().__init__(traced, dtype, shared)

    def _prepare(self, variant: Variant) -> None:
        self._load(variant, torch.cuda.current_device())

    def _launch(
        self, variant: Variant, name: str, device: torch.device, blocks: int, arguments: Sequence[object]
    ) -> None:
        current = torch.cuda.current_device()
        index = current if device.index is None else device.index
        if index != current:
            with torch.cuda.device(index):
                self._launch(variant, name, device, blocks, arguments)
            return
        functions = self._functions.get((index, variant)) or self._load(variant, index)
        stream = _stream(torch.cuda.current_stream(index).cuda_stream, index)
        functions[name]((blocks,), (THREADS_PER_BLOCK,), arguments, stream=stream)

    def _load(self, variant: Variant, device: int) -> dict[str, Any]:
        """Compile `variant` and load it on `device`, which must be the current one."""
        if torch.cuda.is_current_stream_capturing():
            raise UnsupportedError(
                "the backend 'fused-cupy' compiles and loads kernels before a CUDA graph is recorded: call the neuron "
                "once with such tensors first, forward and backward"
            )
        source = cuda_source(self._traced, self._dtype, variant.shared, variant.narrow)
        module = Module()
        module.load(machine_code(source, torch.cuda.get_device_capability(device)))
        names = [f"{kernel}_{lanes}" for kernel in KERNELS for lanes in (1, self._lanes)]
        functions = {name: module.get_function(name) for name in names}
        for function in functions.values():
            # Asked for an attribute, the driver loads a kernel that it would otherwise load at its first launch.
            driver.funcGetAttribute(driver.CU_FUNC_ATTRIBUTE_NUM_REGS, function.ptr)
        self._functions[device, variant] = functions
        return functions

    def _integer(self, number: int) -> object:
        return np.int32(number)

    def _offset(self, number: int, variant: Variant) -> object:
        return np.uint32(number) if variant.narrow else np.uint64(number)
