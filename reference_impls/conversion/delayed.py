"""Integrate-and-fire that decides on the membrane of the step before, with a surrogate that looks at its last spike.

The neuron of STDB's released code (Rathi et al., ICLR 2020): each layer delays by one step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from reference_impls.names import check_name
from reference_impls.neuron import SequentialNeuron
from reference_impls.surrogate import straight_through

__all__ = ["SURROGATES", "DelayedIF"]

SURROGATES = ("stdb", "linear")
NEVER = 999.0
"""Steps since the last spike at the first step: the released code puts that spike a thousand steps back."""


class DelayedState(NamedTuple):
    """What one step hands to the next, ``[B, ...]`` each."""

    v: Tensor
    """Membrane."""
    since: Tensor
    """``t - 1 - t_s``: steps since the membrane that fired last, as the next step counts them."""


class DelayedIF(SequentialNeuron):
    """``z = v / v_threshold - 1``; ``o = 1[z > 0]``; ``v <- leak v + x - v_threshold o``.

    Parameters
    ----------
    v_threshold : may be set anew at any time.
    leak : factor on the membrane; 1 forgets nothing.
    surrogate : ``stdb``: ``do/dz = alpha exp(-beta since)``; ``linear``: ``do/dz = alpha max(0, 1 - abs(z))``.
    alpha, beta : of the surrogate.

    The spike inside the reset carries no gradient.
    """

    def __init__(
        self,
        v_threshold: float = 1.0,
        leak: float = 1.0,
        surrogate: str = "stdb",
        alpha: float = 0.3,
        beta: float = 0.01,
    ) -> None:
        super().__init__()
        self.v_threshold = v_threshold
        self.leak = leak
        self.surrogate = check_name("surrogate", surrogate, SURROGATES)
        self.alpha = alpha
        self.beta = beta

    def init_state(self, like: Tensor) -> DelayedState:
        """At rest, the last spike long ago."""
        return DelayedState(torch.zeros_like(like), torch.full_like(like, NEVER))

    def step(self, x: Tensor, state: DelayedState, params: Mapping[str, Tensor]) -> tuple[Tensor, DelayedState]:
        """Fire by the membrane that is there, then charge."""
        z = state.v / self.v_threshold - 1
        fired = (z > 0).to(z.dtype)
        spikes = straight_through(fired, z * self.slope(z, state.since))
        v = self.leak * state.v + x - self.v_threshold * fired
        return spikes, DelayedState(v, torch.where(fired > 0, torch.ones_like(fired), state.since + 1))

    def slope(self, z: Tensor, since: Tensor) -> Tensor:
        """Return do/dz, without a graph."""
        if self.surrogate == "stdb":
            return self.alpha * torch.exp(-self.beta * since)
        return self.alpha * (1 - z.detach().abs()).clamp(min=0)
