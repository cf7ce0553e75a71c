"""The fused backend of the device: a sequential neuron's step, traced once and printed as one kernel over time.

CuPy's for input on a GPU, Numba's for input on a CPU. ``program`` traces a step and its gradient, ``cut`` decides what
the one keeps for the other; ``printing`` and the ``*_source`` modules print them, ``kernels_*`` compile and call what
was printed, ``multistep`` makes it differentiable. A neuron's author writes ``step`` and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from reference_impls.neuron import Neuron

__all__ = ["attach"]


def attach(neuron: Neuron) -> None:
    """Run `neuron` in the fused kernels of the device that its input is on."""
    # Here, because these modules come back to this package; named, so that a record's code hash covers them.
    from reference_impls.backends import fused_cupy, fused_numba
    from reference_impls.backends.fused.multistep import attach_fused

    makers = {"cpu": fused_numba.maker()}
    if torch.cuda.is_available():
        makers["cuda"] = fused_cupy.maker()
    attach_fused(neuron, makers)
