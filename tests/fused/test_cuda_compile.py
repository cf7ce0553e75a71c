"""The printed CUDA C becomes the machine code that it should: no GPU is needed to see how a kernel waits for memory."""

from __future__ import annotations

import itertools

import pytest
import torch
from machine_code import disassembler, find_nvrtc, kernels_of
from own_neurons import Extreme
from test_fused_equals_eager import SEQUENTIAL, build

from reference_impls.api import SequentialNeuron
from reference_impls.backends import UnsupportedError
from reference_impls.backends.fused.cuda_source import BYTES_AHEAD, KERNELS, MOST_AHEAD, PACK_BYTES, lanes_of
from reference_impls.backends.fused.program import trace_step

ARCHITECTURES = (80, 90)
DTYPES = ("float32", "float64", "float16", "bfloat16")
MOST_REGISTERS = 168
"""With 128 threads a block, three blocks still fit on a multiprocessor: enough to hide the waiting, given the loads."""
EVERYTHING = [
    pytest.param(name, dtype, architecture, marks=pytest.mark.cuda_compile)
    for name, dtype, architecture in itertools.product(SEQUENTIAL, DTYPES, ARCHITECTURES)
]


@pytest.fixture(autouse=True, scope="module")
def _nvrtc() -> None:
    find_nvrtc()


def check(neuron: SequentialNeuron, dtype: str, architecture: int) -> None:
    traced = trace_step(neuron, torch.float64 if dtype == "float64" else torch.float32)
    shared = tuple(param.numel() == 1 for param in neuron.step_params().values())
    kernels = kernels_of(traced, dtype, shared, architecture)
    assert set(kernels) == {f"{kernel}_{lanes}" for kernel in KERNELS for lanes in (1, lanes_of(dtype))}
    for name, kernel in kernels.items():
        assert kernel.spilled_bytes == 0, name
        assert kernel.registers <= MOST_REGISTERS, name
        if disassembler() is not None:
            assert not kernel.flushing(), name
            loads = kernel.most_loads_in_flight()
            if name.endswith("_1"):
                assert loads >= MOST_AHEAD, name
            else:
                assert PACK_BYTES in kernel.bytes_of_loads(), name
                assert loads * PACK_BYTES >= BYTES_AHEAD // 2, name


@pytest.mark.parametrize(("name", "dtype", "architecture"), [("lif", "float32", 90), *EVERYTHING])
def test_a_kernel_waits_for_memory_alone(name: str, dtype: str, architecture: int) -> None:
    check(build(name), dtype, architecture)


def test_infinity_and_its_like_need_no_header() -> None:
    traced = trace_step(Extreme(), torch.float32)
    assert kernels_of(traced, "float32", (), 90)


def test_what_nvrtc_does_not_take_is_refused() -> None:
    from reference_impls.backends.fused.nvrtc import OPTIONS, compiled, machine_code

    with pytest.raises(UnsupportedError, match=r"NVRTC does not take the printed step[\s\S]*INFINITY"):
        compiled("__device__ float f() { return INFINITY; }", (*OPTIONS, "--gpu-architecture=sm_90"))
    with pytest.raises(UnsupportedError, match=r"compute capability 1\.0"):
        machine_code("", (1, 0))


def test_machine_code_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    from reference_impls.backends.fused import nvrtc
    from reference_impls.backends.fused.cache import CACHE_VARIABLE

    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    source = 'extern "C" __global__ void nothing() {}'
    made = nvrtc.machine_code(source, (9, 0))
    assert made.startswith(b"\x7fELF")

    def never(*_: object) -> tuple[bytes, str]:
        raise AssertionError("it was compiled again")

    monkeypatch.setattr(nvrtc, "compiled", never)
    assert nvrtc.machine_code(source, (9, 0)) == made
    with pytest.raises(AssertionError, match="again"):
        nvrtc.machine_code(source, (8, 0))
