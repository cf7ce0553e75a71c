"""The fused backend of the device: a sequential neuron's step, traced once and printed as one kernel over time.

CuPy's for input on a GPU, Numba's for input on a CPU, whichever of the two this machine can run. ``program`` traces a
step and its gradient, ``cut`` decides what the one keeps for the other; ``printing`` and the ``*_source`` modules print
them, ``kernels_*`` compile and call what was printed, ``multistep`` and ``cuda_multistep`` make it differentiable. A
neuron's author writes ``step`` and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from reference_impls.backends import UnsupportedError, get

if TYPE_CHECKING:
    from reference_impls.neuron import Neuron

__all__ = ["attach"]

_BACKENDS = {"cpu": "fused-numba", "cuda": "fused-cupy"}


def attach(neuron: Neuron) -> None:
    """Run `neuron` in the fused kernels of the device that its input is on.

    Raises
    ------
    UnsupportedError
        If the neuron cannot be fused, or this machine has the means for no device; where it lacks them for one, input
        on that device is refused when it comes.
    """
    # Named, so that a record's code hash covers them.
    from reference_impls.backends import fused_cupy, fused_numba  # noqa: F401

    executed: dict[str, Callable[..., Any]] = {}
    refused: dict[str, UnsupportedError] = {}
    for device, backend in _BACKENDS.items():
        try:
            get(backend).attach(neuron)
        except UnsupportedError as error:
            refused[device] = error
        else:
            executed[device] = vars(neuron).pop(neuron.entry_point).__func__
    if not executed:
        raise refused["cuda" if torch.cuda.is_available() else "cpu"]

    def sequence(neuron: Neuron, x: Tensor, *more: Any, **named: Any) -> Any:
        run = executed.get(x.device.type)
        if run is None:
            reason = refused.get(x.device.type, f"it has no kernels for {x.device.type}")
            raise UnsupportedError(f"the backend {neuron.backend!r} cannot take input on {x.device.type}: {reason}")
        return run(neuron, x, *more, **named)

    setattr(neuron, neuron.entry_point, MethodType(sequence, neuron))
