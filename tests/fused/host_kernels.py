"""The printed CUDA C, compiled by a C++ compiler and run on the CPU: the same text, thread after thread."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from reference_impls.backends.fused.cache import kept_source
from reference_impls.backends.fused.cuda_source import cuda_source
from reference_impls.backends.fused.multistep import attach_fused
from reference_impls.backends.fused.program import Traced
from reference_impls.neuron import Neuron

SHIM = Path(__file__).with_name("host_shim.h")
BLOCKS, THREADS = 3, 4
"""Few, so that a thread takes several neurons and some take none."""


class HostKernels:
    """The kernels of a step; see ``reference_impls.backends.fused.kernels``."""

    def __init__(self, source: str) -> None:
        if shutil.which("g++") is None:
            pytest.skip("the host shim needs g++: install it")
        path = kept_source(source, ".cu")
        library = path.with_suffix(".so")
        # No contraction of a * b + c: CUDA is told the same.
        command = ["g++", "-x", "c++", "-std=c++17", "-O1", "-ffp-contract=off", "-shared", "-fPIC", "-Wall", "-Werror"]
        subprocess.run([*command, "-include", str(SHIM), str(path), "-o", str(library)], check=True)
        self._library = ctypes.CDLL(str(library))

    def forward(
        self, x: Tensor, first: Sequence[Tensor], params: Sequence[Tensor], keep: bool
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
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
        dx, dfirst = torch.empty_like(x), [torch.empty_like(state) for state in first]
        dparams = [torch.empty_like(param) for param in params]
        self._launch("backward", x, [x, *kept, *params, upstream, *upstream_last, dx, *dfirst, *dparams])
        return dx, dfirst, dparams

    def _launch(self, name: str, x: Tensor, tensors: Sequence[Tensor | None]) -> None:
        pointers = [ctypes.c_void_p(None if tensor is None else tensor.data_ptr()) for tensor in tensors]
        sizes = [ctypes.c_longlong(size) for size in x.shape]
        for block in range(BLOCKS):
            for thread in range(THREADS):
                self._library.stand(block, thread, BLOCKS, THREADS)
                getattr(self._library, name)(*pointers, *sizes)


def attach(neuron: Neuron) -> None:
    """Run `neuron` in the printed CUDA C, on the CPU."""

    def kernels(traced: Traced, dtype: torch.dtype) -> HostKernels:
        return HostKernels(cuda_source(traced, str(dtype).removeprefix("torch.")))

    attach_fused(neuron, kernels, "cpu", (torch.float32, torch.float64))
