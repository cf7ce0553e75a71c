"""Compiles CUDA C into the machine code of a GPU, which need not be there; kept on disk, by content.

Through NVRTC itself, in CuPy's binding: ``cupy.RawModule`` would append ``-ftz=true`` to every compilation, and then
subnormal numbers are other than torch's. Must not know neurons.
"""

from __future__ import annotations

from cupy_backends.cuda.libs import nvrtc

from reference_impls.backends import UnsupportedError
from reference_impls.backends.fused.cache import kept_result

__all__ = ["OPTIONS", "compiled", "machine_code"]

OPTIONS = ("--std=c++17", "--fmad=false", "--ftz=false", "--prec-div=true", "--prec-sqrt=true")
"""No fused multiply-add: torch's separate operations round twice, and a spike may hang on it."""


def machine_code(source: str, capability: tuple[int, int]) -> bytes:
    """Return what GPUs of compute `capability`, such as ``(9, 0)``, run: a cubin of all kernels in `source`.

    Raises
    ------
    UnsupportedError
        If NVRTC is missing, too old for the GPU, or does not take the text.
    """
    try:
        version, known = nvrtc.getVersion(), nvrtc.getSupportedArchs()
    except (RuntimeError, OSError) as error:  # pathfinder's own error is a RuntimeError
        raise UnsupportedError(
            f"the backend 'fused-cupy' compiles with NVRTC, and CuPy finds none ({_first_line(error)}): "
            "pip install 'spikeboard[cuda12]' or [cuda13] in this environment"
        ) from error
    major, minor = capability
    if 10 * major + minor not in known:
        raise UnsupportedError(
            f"NVRTC {'.'.join(map(str, version))} knows no GPU of compute capability {major}.{minor}: install the CuPy "
            "of a CUDA version that does"
        )
    options = (*OPTIONS, f"--gpu-architecture=sm_{major}{minor}")
    return kept_result(f"{version} {options}\n{source}", ".cubin", lambda: compiled(source, options)[0])


def compiled(source: str, options: tuple[str, ...]) -> tuple[bytes, str]:
    """Return the cubin of `source` and what the compiler had to say."""
    program = nvrtc.createProgram(source, "step.cu", (), ())
    try:
        nvrtc.compileProgram(program, options)
        # CuPy cuts the last byte off, as if it were the end of a text; it is one of the ELF file's.
        return nvrtc.getCUBIN(program) + b"\0", nvrtc.getProgramLog(program)
    except nvrtc.NVRTCError as error:
        raise UnsupportedError(
            f"NVRTC does not take the printed step ({error}): {nvrtc.getProgramLog(program)}"
        ) from error
    finally:
        nvrtc.destroyProgram(program)


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
