"""Stands in for CuPy and torch's GPU: notes what is loaded and launched where, and runs the kernels on the CPU.

A stand-in and no mock: what is launched is the text that a GPU would be given, so a wrong order of arguments is a
wrong answer.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import host_kernels
import numpy as np
import pytest
import torch

THREADS = 128
C_TYPES = {np.int32: ctypes.c_int32, np.uint32: ctypes.c_uint32, np.uint64: ctypes.c_uint64}


class Launch(NamedTuple):
    """One call of a kernel."""

    kernel: str
    device: int
    stream: int
    grid: tuple[int, ...]
    block: tuple[int, ...]
    arguments: tuple[object, ...]


class FakeGpus:
    """Some GPUs, one of them current, and what was done on them."""

    def __init__(self) -> None:
        self.current, self.capturing, self.stream = 0, False, 77
        self.sources: dict[bytes, str] = {}
        self.loaded: list[tuple[int, tuple[int, int]]] = []
        self.ready: list[str] = []
        """Kernels that the driver was made to load before their first launch."""
        self.launches: list[Launch] = []

    def machine_code(self, source: str, capability: tuple[int, int]) -> bytes:
        code = f"{capability} {len(self.sources)}".encode()
        self.sources[code] = source
        self.loaded.append((self.current, capability))
        return code

    @contextmanager
    def device(self, index: int) -> Iterator[None]:
        before, self.current = self.current, index
        yield
        self.current = before

    def module(self) -> Any:
        gpus = self

        class Module:
            def load(self, code: bytes) -> None:
                source = gpus.sources[code]
                self.made = host_kernels.library(source, _dtype_of(source))

            def get_function(self, name: str) -> Any:
                def launched(grid: Any, block: Any, arguments: Sequence[Any], *, stream: Any) -> None:
                    gpus.launches.append(Launch(name, gpus.current, stream.ptr, grid, block, tuple(arguments)))
                    given = [C_TYPES[type(one)](int(one)) if type(one) in C_TYPES else one for one in arguments]
                    # As many blocks as a GPU would be given, because sums are written for each; fewer threads.
                    host_kernels.launch(self.made, name, grid[0], host_kernels.THREADS, given)

                launched.ptr = name  # type: ignore[attr-defined]
                return launched

        return Module


def _dtype_of(source: str) -> str:
    if "cvt.f32.f16" in source:
        return "float16"
    return "bfloat16" if "typedef unsigned short stored" in source else "float32"


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> FakeGpus:
    """Two GPUs for a backend that knows nothing of the CPU behind them."""
    fake = FakeGpus()

    def module(name: str, **members: Any) -> ModuleType:
        made = ModuleType(name)
        made.__spec__ = ModuleSpec(name, None)
        vars(made).update(members)
        monkeypatch.setitem(sys.modules, name, made)
        return made

    stream = lambda ptr, device: SimpleNamespace(ptr=ptr, device=device)  # noqa: E731
    driver = SimpleNamespace(CU_FUNC_ATTRIBUTE_NUM_REGS=4, funcGetAttribute=lambda _, ptr: fake.ready.append(ptr) or 32)
    module("cupy")
    module("cupy.cuda", ExternalStream=stream)
    module("cupy.cuda.function", Module=fake.module())
    module("cupy_backends")
    module("cupy_backends.cuda")
    module("cupy_backends.cuda.api", driver=driver)
    module("cupy_backends.cuda.libs", nvrtc=SimpleNamespace())
    ours = "reference_impls.backends.fused"
    for name in ("nvrtc", "kernels_cupy"):
        monkeypatch.delitem(sys.modules, f"{ours}.{name}", raising=False)
    kernels_cupy = import_module(f"{ours}.kernels_cupy")
    monkeypatch.setattr(kernels_cupy, "machine_code", fake.machine_code)
    for name, replacement in {
        "current_device": lambda: fake.current,
        "device": fake.device,
        "get_device_capability": lambda device: (9, device),
        "is_current_stream_capturing": lambda: fake.capturing,
        "current_stream": lambda device: SimpleNamespace(cuda_stream=fake.stream + device),
        "is_available": lambda: True,
    }.items():
        monkeypatch.setattr(torch.cuda, name, replacement)
    yield fake
    for name in ("nvrtc", "kernels_cupy"):  # others want the real one
        sys.modules.pop(f"{ours}.{name}", None)
