"""Makes the linear maps of a finished network event-driven, whatever trains it.

A network keeps its modules, their names and their parameters; a linear layer only becomes one of a subclass, whose call
is another. So a training method, a counter of operations, a copy and a file of weights see what they saw. Must not know
topologies or methods.
"""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from reference_impls.events.linear import LEAST_PRODUCTS, event_linear, require_numba
from reference_impls.synapses import ScaledWSLinear, effective_weight

__all__ = ["event_driven"]

AnyModule = TypeVar("AnyModule", bound=nn.Module)


class _EventDriven:
    """What a map becomes: the call of its class is another; its limits lie beside its parameters."""

    largest_density: float | None
    least_products: int

    def forward(self: Any, x: Tensor) -> Tensor:
        """Map ``[..., in]`` to ``[..., out]``."""
        return event_linear(x, effective_weight(self), self.bias, self.largest_density, self.least_products)


class _EventDrivenLinear(_EventDriven, nn.Linear):
    pass


class _EventDrivenScaledWSLinear(_EventDriven, ScaledWSLinear):
    pass


_BECOMES: dict[type[nn.Module], type[nn.Linear]] = {
    nn.Linear: _EventDrivenLinear,
    ScaledWSLinear: _EventDrivenScaledWSLinear,
    _EventDrivenLinear: _EventDrivenLinear,
    _EventDrivenScaledWSLinear: _EventDrivenScaledWSLinear,
}
"""Classes whose call is a product with `effective_weight`; what derives from them may do more, and stays as it is."""


def event_driven(
    network: AnyModule, largest_density: float | None = None, least_products: int = LEAST_PRODUCTS
) -> AnyModule:
    """Let every fully connected map of `network` touch only what spiked, where that is faster; returns `network`.

    To be called before a training method's ``prepare``: BPTT and the methods that walk with traces then train as they
    did, with sums that are added up in another order. Convolutions and maps of other classes stay as they are, and so
    does everything where the input is dense, on a GPU, or transformed by ``torch.func``.

    Parameters
    ----------
    network : changed in place. Weights keep shape and values but lie column by column in memory, as events read them.
    largest_density, least_products : of `reference_impls.events.event_linear`.

    Raises
    ------
    UnsupportedError
        If Numba is not installed.
    ValueError
        If `network` has no fully connected map.
    """
    require_numba()
    maps = [module for module in network.modules() if type(module) in _BECOMES]
    if not maps:
        raise ValueError(
            f"{type(network).__name__} has no fully connected map that could be event-driven (an nn.Linear); "
            "convolutions are not"
        )
    for module in maps:
        assert isinstance(module, nn.Linear)
        with torch.no_grad():
            module.weight.data = module.weight.t().contiguous().t()
        module.__class__ = _BECOMES[type(module)]
        module.largest_density = largest_density  # type: ignore[assignment]
        module.least_products = least_products  # type: ignore[assignment]
    return network
