"""The printed CUDA C, compiled by a C++ compiler and run on the CPU: the same text, block after block of threads."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest
import torch

from reference_impls.backends.fused.cache import kept_source
from reference_impls.backends.fused.cuda_multistep import attach_cuda
from reference_impls.backends.fused.cuda_source import cuda_source
from reference_impls.backends.fused.kernels_cuda import CudaKernels, Variant
from reference_impls.neuron import Neuron

SHIM = Path(__file__).with_name("host_shim.h")
BLOCKS, THREADS = 3, 4
"""Few, so that a thread takes several neurons and some take none."""
PRECISION = {"float16": 11, "bfloat16": 8}
_threads = ThreadPoolExecutor(THREADS)


@cache
def library(source: str, dtype: str) -> ctypes.CDLL:
    """Compile a printed text with g++."""
    if shutil.which("g++") is None:
        pytest.skip("the host shim needs g++: install it")
    path = kept_source(f"// {dtype}\n{source}", ".cu")
    made = path.with_suffix(".so")
    # No contraction of a * b + c: CUDA is told the same. Packs are read through pointers of their own type.
    command = ["g++", "-x", "c++", "-std=c++17", "-O1", "-ffp-contract=off", "-fno-strict-aliasing", "-shared", "-fPIC"]
    command += ["-Wall", "-Werror", "-Wno-unknown-pragmas", f"-DSTORED_BITS_OF={PRECISION.get(dtype, 0)}"]
    subprocess.run([*command, "-include", str(SHIM), str(path), "-o", str(made)], check=True)
    return ctypes.CDLL(str(made))


def launch(made: ctypes.CDLL, name: str, blocks: int, threads: int, arguments: Sequence[object]) -> None:
    """Run a kernel in so many blocks of threads, the threads of a block at the same time."""
    given = [ctypes.c_void_p(one or None) if isinstance(one, int) else one for one in arguments]

    def run(block: int, thread: int) -> None:
        made.stand(block, thread, blocks, threads)
        getattr(made, name)(*given)

    for block in range(blocks):
        made.gather(threads)
        for done in [_threads.submit(run, block, thread) for thread in range(threads)]:
            done.result()
        made.part()


class HostKernels(CudaKernels):
    """The kernels of a step, compiled by g++."""

    def _prepare(self, variant: Variant) -> None:
        self._library(variant)

    def _library(self, variant: Variant) -> ctypes.CDLL:
        return library(cuda_source(self._traced, self._dtype, variant.shared, variant.narrow), self._dtype)

    def _blocks(self, neurons: int, lanes: int) -> int:
        return BLOCKS

    def _launch(
        self, variant: Variant, name: str, device: torch.device, blocks: int, arguments: Sequence[object]
    ) -> None:
        assert device.type == "cpu"
        launch(self._library(variant), name, blocks, THREADS, arguments)

    def _integer(self, number: int) -> object:
        return ctypes.c_int32(number)

    def _offset(self, number: int, variant: Variant) -> object:
        return ctypes.c_uint32(number) if variant.narrow else ctypes.c_uint64(number)


def attach(neuron: Neuron) -> None:
    """Run `neuron` in the printed CUDA C, on the CPU."""
    attach_cuda(neuron, HostKernels, "cpu")
