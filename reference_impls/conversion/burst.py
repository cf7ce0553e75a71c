"""Integrate-and-fire with bursts: several spikes in one step, up to a limit.

The hidden neuron of hybrid neural coding (Chen et al., arXiv 2305.16594); with a limit of 1 it is the IF neuron.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from reference_impls.neurons._membrane import MembraneState
from reference_impls.neurons.integrate_and_fire import IF
from reference_impls.surrogate import straight_through

__all__ = ["BurstIF"]


class BurstIF(IF):
    """``h = v + x``; ``n = clip(floor(h / v_threshold), 0, most)``; ``v = h - n v_threshold``.

    Parameters
    ----------
    most : spikes that a step may hold; the output is their number, and each is an event.
    **membrane : of `IF`. The floor is straight-through, the clip's gradient its own.
    """

    def __init__(self, most: int = 5, **membrane: Any) -> None:
        if most < 1:
            raise ValueError(f"most must be at least 1, got {most}: the neuron could not fire")
        super().__init__(**membrane)
        self.most = most

    def step(self, x: Tensor, state: MembraneState, params: Mapping[str, Tensor]) -> tuple[Tensor, MembraneState]:
        """Charge, emit as many spikes as fit, subtract them."""
        h = state.v + x
        scaled = h / self.v_threshold
        n = straight_through(scaled.floor(), scaled).clamp(0, self.most)
        return n, self.reset(h, n)
