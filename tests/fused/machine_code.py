"""Machine code of GPUs that need not be there: by NVRTC, and taken apart by NVIDIA's disassembler."""

from __future__ import annotations

import ctypes
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest

from reference_impls.backends.fused.cuda_source import cuda_source
from reference_impls.backends.fused.program import Traced

INSTRUCTION = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)([^;]*);")
USED = re.compile(
    r"Compiling entry function '(\w+)'.*?(\d+) bytes spill stores, (\d+) bytes.*?Used (\d+) registers", re.S
)


@dataclass(frozen=True, slots=True)
class Kernel:
    """One kernel as a GPU would run it."""

    registers: int
    """Of a thread."""
    spilled_bytes: int
    """Of registers that did not fit, and went to memory."""
    instructions: tuple[tuple[str, str], ...]
    """Name and operands; none without a disassembler."""

    def flushing(self) -> set[str]:
        """Return the arithmetic that takes subnormal numbers for zero; the change of sign before a division may."""
        return {name for name, rest in self.instructions if ".FTZ" in name and not re.search(r"-R\d+, -RZ", rest)}

    def most_loads_in_flight(self) -> int:
        """Return how many numbers or packs are asked for before the first of them is computed with.

        A store, or floating-point arithmetic, ends the run: both need something that was loaded.
        """
        most = run = 0
        for name, _ in self.instructions:
            if name.startswith("LDG"):
                run += 1
                most = max(most, run)
            elif name.startswith(("STG", "FADD", "FMUL", "FFMA", "FSETP", "DADD", "DMUL", "DFMA", "DSETP")):
                run = 0
        return most

    def bytes_of_loads(self) -> set[int]:
        """Return how wide its loads are."""
        loads = [name for name, _ in self.instructions if name.startswith("LDG")]
        return {_bytes(name) for name in loads}


def _bytes(load: str) -> int:
    for bits in (128, 64):
        if f".{bits}" in load:
            return bits // 8
    return 2 if ".U16" in load else 4


def find_nvrtc() -> None:
    """Let CuPy find the NVRTC of PyPI, wherever pip has put it; skip the test where there is none."""
    for library, package in (("cupy_backends", "cupy-cuda13x"), (None, "nvidia-cuda-nvrtc")):
        try:
            found = metadata.distribution(package)
        except metadata.PackageNotFoundError:
            pytest.skip(f"{package} is not installed: run nox -s cuda_compile")
        if library is not None and find_spec(library) is None:
            pytest.skip(f"{library} cannot be imported")
    ctypes.CDLL(str(next(found.locate_file(file) for file in found.files or () if file.name.startswith("libnvrtc.so"))))


@cache
def disassembler() -> Path | None:
    """Return NVIDIA's disassembler, if it is installed."""
    try:
        files = metadata.distribution("nvidia-cuda-nvdisasm")
    except metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files.files or () if file.name == "nvdisasm"), None)


def kernels_of(traced: Traced, dtype: str, shared: tuple[bool, ...], architecture: int) -> dict[str, Kernel]:
    """Compile a step for GPUs of an architecture such as 90, and return its kernels by name."""
    from reference_impls.backends.fused.nvrtc import OPTIONS, compiled

    options = (*OPTIONS, "--ptxas-options=-v", f"--gpu-architecture=sm_{architecture}")
    cubin, log = compiled(cuda_source(traced, dtype, shared), options)
    instructions = dict(_taken_apart(cubin))
    return {
        name: Kernel(int(registers), int(stored) + int(loaded), instructions.get(name, ()))
        for name, stored, loaded, registers in USED.findall(log)
    }


def _taken_apart(cubin: bytes) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    program = disassembler()
    if program is None:
        return
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        text = subprocess.run([program, "-c", file.name], check=True, capture_output=True, text=True).stdout
    for section in text.split(".text.")[1:]:
        section = section.partition("\n$__internal")[0]  # NVIDIA's own division, which knows what it flushes
        name = section.partition(":")[0].strip()
        if name.isidentifier():
            yield name, tuple(INSTRUCTION.findall(section))
