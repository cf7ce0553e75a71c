"""LIF with soft reset, evaluated for all steps at once by an iteration that ends at the exact spike train.

The spikes of the sequential loop are a fixed point of "fire, given the resets of the spikes so far", and step t is
final as soon as the steps before it are: T iterations at most, usually a handful. The row exists to be compared with
``lif``, whose spikes and gradients it has. Must not know of the network around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from reference_impls.api import ParallelNeuron
from reference_impls.names import check_name
from reference_impls.neurons._cascade import toeplitz
from reference_impls.neurons._membrane import resolve_decay
from reference_impls.neurons._parallel import mix_over_time
from reference_impls.neurons.lif import LIF
from reference_impls.surrogate import FIRE_RULES, make_surrogate

CARD = {
    "name": "lif-fixed-point",
    "kind": "neuron",
    "version": 1,
    "title": "LIF, soft reset, by fixed-point iteration",
    "summary": (
        "The spikes of lif with soft reset, found for all steps at once: guess the spikes, compute every membrane with "
        "their resets, fire again, until nothing changes."
    ),
    "equations": (
        "H = A X - v_threshold (A - I) S, A[t,i] = decay^(t-i) for i <= t; S <- Theta(H(S) - v_threshold) until it "
        "stays, at most T times; gradient with the reset detached: dH = A dX"
    ),
    "citations": [],
    "capabilities": {
        "parallel": "fixed_point",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "linear",
        "reset": "soft",
    },
    "defaults": {"tau": 2.0, "v_threshold": 1.0, "detach_reset": True, "surrogate": "atan"},
    "space": {
        "tau": {"low": 1.1, "high": 32.0, "scale": "log"},
        "v_threshold": {"low": 0.25, "high": 4.0, "scale": "log"},
        "surrogate.alpha": {"low": 0.5, "high": 8.0, "scale": "log"},
    },
    "changes": "the same spikes, all steps at once",
    "divergences": [
        "Matched to lif as it stands: spikes and gradient are lif's.",
        "Not a published neuron: it follows from unrolling the decay of a LIF with soft reset. FPT stops such an "
        "iteration early and relaxes it.",
        "Membranes are sums in another order than the loop's, so a tie within rounding may fall on the other side.",
    ],
}


class LIFFixedPoint(ParallelNeuron):
    """LIF with soft reset and undecayed input, all steps at once.

    Parameters
    ----------
    tau : membrane time constant in time steps, >= 1.
    decay : factor on the previous membrane, in [0, 1]; overrides `tau`.
    v_threshold : threshold and what a spike subtracts.
    fire_rule : ``ge`` fires on a tie, ``gt`` does not.
    detach_reset : whether the spike inside the reset carries no gradient; if it does, T iterations are kept.
    surrogate : as everywhere.

    ``iterations`` is how many the last call needed.
    """

    iterations: int = 0

    def __init__(
        self,
        tau: float = 2.0,
        decay: float | None = None,
        v_threshold: float = 1.0,
        fire_rule: str = "ge",
        detach_reset: bool = True,
        surrogate: str | Mapping[str, Any] = "atan",
    ) -> None:
        super().__init__()
        if not v_threshold > 0:
            raise ValueError(f"v_threshold must be positive, got {v_threshold}")
        self.decay = resolve_decay(tau, decay, "euler")
        self.v_threshold = float(v_threshold)
        self.fire_rule = check_name("fire_rule", fire_rule, FIRE_RULES)
        self.detach_reset = detach_reset
        self.surrogate = make_surrogate(surrogate)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x[T, B, ...]`` to spikes of the same shape."""
        past = toeplitz(self.decay ** torch.arange(x.shape[0], device=x.device, dtype=x.dtype))
        charged = mix_over_time(past, x)
        if not self.detach_reset:
            spikes = self._fired(past, charged, torch.zeros_like(x))
            for _ in range(1, x.shape[0]):
                spikes = self._fired(past, charged, spikes)
            self.iterations = x.shape[0]
            return spikes
        with torch.no_grad():
            spikes = self._settled(past, charged.detach())
        return self._fired(past, charged, spikes)

    def recurrent_form(self) -> LIF:
        """Return the neuron that fires the same spikes step by step: what a machine runs that need not be parallel."""
        return LIF(
            decay=self.decay,
            v_threshold=self.v_threshold,
            fire_rule=self.fire_rule,
            reset_mode="soft",
            detach_reset=self.detach_reset,
            surrogate=self.surrogate,
        )

    def _settled(self, past: Tensor, charged: Tensor) -> Tensor:
        """Return the spikes that reproduce themselves; after n iterations the first n steps are final."""
        spikes = torch.zeros_like(charged)
        for count in range(1, charged.shape[0] + 1):
            again = self._fired(past, charged, spikes)
            self.iterations = count
            # A compiled graph has no branch on its values: it makes all T iterations, which always suffice.
            if not torch.compiler.is_compiling() and torch.equal(again, spikes):
                break
            spikes = again
        return spikes

    def _fired(self, past: Tensor, charged: Tensor, spikes: Tensor) -> Tensor:
        """Return the spikes of the membranes that the resets of `spikes` leave."""
        h = charged - self.v_threshold * (mix_over_time(past, spikes) - spikes)
        return self.surrogate(h - self.v_threshold, self.fire_rule)
