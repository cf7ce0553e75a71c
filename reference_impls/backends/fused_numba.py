"""One Numba kernel over time for each direction, on CPUs: parallel over blocks of neurons, vectorised inside."""

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
    """Run `neuron` in fused kernels; refuse one that has no step, or a machine without Numba."""
    attach_fused(neuron, {"cpu": maker()})


def maker() -> Maker:
    """Return how a CPU gets its kernels; refuse a machine without Numba."""
    if find_spec("numba") is None:
        raise UnsupportedError("the backend 'fused-numba' needs Numba: pip install 'spikeboard[fused]'")
    return Maker(_kernels, (torch.float32, torch.float64))


def _kernels(traced: Traced, dtype: torch.dtype) -> Kernels:
    from reference_impls.backends.fused.kernels_numba import NumbaKernels

    return NumbaKernels(traced, str(dtype).removeprefix("torch."))
