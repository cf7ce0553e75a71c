"""The activation of an ANN that will be converted: clipped, and rounded to what a number of spikes can say.

One formula (QCFS, Bu et al., ICLR 2022, equation 15) with the two gradients that its two released codes give it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reference_impls.names import check_name
from reference_impls.surrogate import straight_through

__all__ = ["ORDERS", "noisy", "qcfs"]

ORDERS = ("clamp_then_floor", "floor_then_clamp")


def qcfs(x: Tensor, up: Tensor, levels: int, order: str = "floor_then_clamp") -> Tensor:
    """Return ``up clamp(floor(levels x / up + 1/2) / levels, 0, 1)``, of the shape of `x`.

    The floor is straight-through; forward the two orders agree, their gradients differ at the ends:

    ``clamp_then_floor``: ``dy/dx = 1`` on [0, up].
    ``floor_then_clamp``: ``dy/dx = 1`` on [-up / (2 levels), up (1 + 1 / (2 levels))].
    Inside, ``dy/dup = (y - x) / up``; above 1, below 0.
    """
    check_name("order", order, ORDERS)
    if order == "clamp_then_floor":
        shifted = levels * (x / up).clamp(0, 1) + 0.5
        return up * (straight_through(shifted.floor(), shifted) / levels)
    shifted = levels * x / up + 0.5
    ratio: Tensor = straight_through(shifted.floor(), shifted) / levels
    return up * ratio.clamp(0, 1)


def noisy(y: Tensor, sigma: float, noise: Tensor | None = None) -> Tensor:
    """Return ``y - sigma noise``; `noise` is drawn from N(0, 1) where None is given (none is, for a `sigma` of 0)."""
    if noise is None:
        if sigma == 0:
            return y
        noise = torch.randn_like(y)
    return y - sigma * noise
