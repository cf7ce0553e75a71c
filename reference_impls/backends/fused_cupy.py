"""One CUDA kernel over time for each direction, through CuPy: state in registers, one thread a neuron."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch

from reference_impls.backends import UnsupportedError
from reference_impls.backends.fused.multistep import Maker, attach_fused

if TYPE_CHECKING:
    from reference_impls.backends.fused.kernels import Kernels
    from reference_impls.backends.fused.program import Traced
    from reference_impls.neuron import Neuron

__all__ = ["attach", "maker"]


def attach(neuron: Neuron) -> None:
    """Run `neuron` in fused kernels; refuse one that has no step, or a machine without CUDA or CuPy."""
    attach_fused(neuron, {"cuda": maker()})


def maker() -> Maker:
    """Return how a GPU gets its kernels; refuse a machine without CUDA or CuPy."""
    if not torch.cuda.is_available():
        raise UnsupportedError("the backend 'fused-cupy' needs a CUDA device, and torch sees none")
    if find_spec("cupy") is None:
        raise UnsupportedError("the backend 'fused-cupy' needs CuPy: pip install 'spikeboard[cuda12]' or [cuda13]")
    return Maker(_kernels, (torch.float32, torch.float64, torch.float16, torch.bfloat16))


def _kernels(traced: Traced, dtype: torch.dtype) -> Kernels:
    from reference_impls.backends.fused.kernels_cupy import CupyKernels

    return CupyKernels(traced, str(dtype).removeprefix("torch."))
