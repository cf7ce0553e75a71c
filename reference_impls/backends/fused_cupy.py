"""One CUDA kernel over time for each direction, through CuPy: state in registers, a thread for a pack of neurons."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch

from reference_impls.backends import UnsupportedError
from reference_impls.backends.fused.cuda_multistep import attach_cuda

if TYPE_CHECKING:
    from reference_impls.neuron import Neuron

__all__ = ["attach"]


def attach(neuron: Neuron) -> None:
    """Run `neuron` in fused kernels; refuse one that has no step, or a machine without CUDA or CuPy."""
    if not torch.cuda.is_available():
        raise UnsupportedError("the backend 'fused-cupy' needs a CUDA device, and torch sees none")
    if find_spec("cupy") is None:
        raise UnsupportedError("the backend 'fused-cupy' needs CuPy: pip install 'spikeboard[cuda12]' or [cuda13]")
    from reference_impls.backends.fused.kernels_cupy import CupyKernels  # CuPy looks for CUDA when it is imported

    attach_cuda(neuron, CupyKernels)
