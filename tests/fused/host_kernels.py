"""The printed CUDA C, compiled by a C++ compiler and run on the CPU: the same text, thread after thread."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from reference_impls.backends.fused.cache import kept_source
from reference_impls.backends.fused.cuda_source import cuda_source
from reference_impls.backends.fused.kernels_cuda import CudaKernels
from reference_impls.backends.fused.multistep import Maker, attach_fused
from reference_impls.backends.fused.program import Traced
from reference_impls.neuron import Neuron

SHIM = Path(__file__).with_name("host_shim.h")
BLOCKS, THREADS = 3, 4
"""Few, so that a thread takes several neurons and some take none."""


class HostKernels(CudaKernels):
    """The two kernels of a step, compiled by g++."""

    def __init__(self, traced: Traced, dtype: str) -> None:
        super().__init__(traced)
        if shutil.which("g++") is None:
            pytest.skip("the host shim needs g++: install it")
        path = kept_source(cuda_source(traced, dtype), ".cu")
        library = path.with_suffix(".so")
        # No contraction of a * b + c: CUDA is told the same.
        command = ["g++", "-x", "c++", "-std=c++17", "-O1", "-ffp-contract=off", "-shared", "-fPIC", "-Wall", "-Werror"]
        subprocess.run([*command, "-include", str(SHIM), str(path), "-o", str(library)], check=True)
        self._library = ctypes.CDLL(str(library))

    def _launch(self, name: str, device: torch.device, addresses: Sequence[int], steps: int, neurons: int) -> None:
        assert device.type == "cpu"
        pointers = [ctypes.c_void_p(address or None) for address in addresses]
        sizes = [ctypes.c_longlong(size) for size in (steps, neurons)]
        for block in range(BLOCKS):
            for thread in range(THREADS):
                self._library.stand(block, thread, BLOCKS, THREADS)
                getattr(self._library, name)(*pointers, *sizes)


def attach(neuron: Neuron) -> None:
    """Run `neuron` in the printed CUDA C, on the CPU."""

    def kernels(traced: Traced, dtype: torch.dtype) -> HostKernels:
        return HostKernels(traced, str(dtype).removeprefix("torch."))

    attach_fused(neuron, {"cpu": Maker(kernels, (torch.float32, torch.float64))})
