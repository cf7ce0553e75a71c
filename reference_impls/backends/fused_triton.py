"""One Triton kernel over time for each direction: no library beside a torch for CUDA, which brings Triton along."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch

from reference_impls.backends import UnsupportedError

if TYPE_CHECKING:
    from reference_impls.neuron import Neuron

__all__ = ["attach"]

INTERPRETED = "TRITON_INTERPRET"
"""Environment variable by which Triton runs kernels on a CPU, block by block in numpy: to prove them."""


def attach(neuron: Neuron) -> None:
    """Run `neuron` in fused kernels; refuse one that has no step, or a machine without CUDA or Triton."""
    interpreted = os.environ.get(INTERPRETED, "0") not in ("", "0")
    if not (torch.cuda.is_available() or interpreted):
        raise UnsupportedError("the backend 'fused-triton' needs a CUDA device, and torch sees none")
    if find_spec("triton") is None:
        raise UnsupportedError("the backend 'fused-triton' needs Triton: pip install 'spikeboard[triton]'")
    from reference_impls.backends.fused.kernels_triton import attach_triton

    attach_triton(neuron, "cpu" if interpreted else "cuda")
