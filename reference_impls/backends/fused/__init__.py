"""The fused backend of the device: a sequential neuron's step, traced once and printed as one kernel over time.

CuPy's where torch sees a GPU, Numba's elsewhere. ``program`` traces a step and its gradient, ``printing`` and the
``*_source`` modules print them, ``kernels_*`` compile and call what was printed, ``multistep`` makes it differentiable.
A neuron's author writes ``step`` and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from reference_impls import backends

if TYPE_CHECKING:
    from reference_impls.neuron import Neuron

__all__ = ["attach"]


def attach(neuron: Neuron) -> None:
    """Run `neuron` in the fused kernels of this machine's device."""
    backends.get("fused-cupy" if torch.cuda.is_available() else "fused-numba").attach(neuron)
