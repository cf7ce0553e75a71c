"""ALIF and LIF of the e-prop paper: the neurons of ``EligALIF``. Must not know of the method that trains them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reference_impls.neurons._adaptive import AdaptiveNeuron
from reference_impls.neurons._membrane import resolve_decay

CARD = {
    "name": "alif-eprop",
    "kind": "neuron",
    "version": 1,
    "title": "ALIF of e-prop",
    "summary": (
        "LIF whose threshold rises by a fixed amount per spike and relaxes slowly; input and spikes enter membrane and "
        "adaptation undamped, and the reset takes back the base threshold only."
    ),
    "equations": (
        "b[t] = rho b[t-1] + s[t-1]; v[t] = a v[t-1] + x[t] - v_threshold s[t-1]; "
        "s[t] = 1 if v[t] > v_threshold + adapt_gain b[t] and no spike in the last n_refractory - 1 steps; "
        "a = exp(-1/tau), rho = exp(-1/tau_adapt); surrogate "
        "gamma / v_threshold max(0, 1 - |v - A| / v_threshold), 0 while refractory"
    ),
    "citations": [
        {
            "authors": "G. Bellec, F. Scherr, A. Subramoney, E. Hajek, D. Salaj, R. Legenstein, W. Maass",
            "title": "A solution to the learning dilemma for recurrent networks of spiking neurons",
            "venue": "Nature Communications 11:3625",
            "year": 2020,
            "arxiv": "1901.09049",
            "code": "https://github.com/IGITUGraz/eligibility_propagation (commit efd02e6, EligALIF)",
        }
    ],
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "adaptive-threshold",
        "reset": "soft",
    },
    "defaults": {
        "tau": 20.0,
        "tau_adapt": 200.0,
        "adapt_gain": 0.174,
        "v_threshold": 0.6,
        "n_refractory": 2,
        "detach_reset": True,
        "gamma": 0.3,
    },
    "space": {
        "tau": {"low": 2.0, "high": 100.0, "scale": "log"},
        "tau_adapt": {"low": 10.0, "high": 1000.0, "scale": "log"},
        "adapt_gain": {"low": 0.01, "high": 2.0, "scale": "log"},
        "v_threshold": {"low": 0.1, "high": 2.0, "scale": "log"},
    },
    "changes": "adaptive threshold; slow membrane, late reset, refractory time",
    "variants": {
        "lif-eprop": {
            "changes": "slow membrane, late reset, refractory time",
            "title": "LIF of e-prop",
            "summary": "As alif-eprop, without adaptation.",
            "params": {"adapt_gain": 0.0},
        },
    },
    "divergences": [
        "No matched row: with LIF's decay and reset it is alif-lsnn-matched.",
        "adapt_gain follows the authors' rule for evidence accumulation, 1.7 (1 - rho) / (1 - a), here with a "
        "tau_adapt of 200 steps (theirs: 2000); n_refractory is that of their TIMIT networks (there: 5).",
        "The authors' networks mix LIF and ALIF neurons: adapt_gain takes one value per neuron, and 0 for the LIF. "
        "The rows are all of one kind.",
        "The authors' LightLIF and LightALIF cells damp input and adaptation by (1 - a) and (1 - rho); alif-lsnn here "
        "has those equations.",
    ],
}


class EligState(NamedTuple):
    """Each ``[B, ...]``."""

    v: Tensor
    """Membrane, before the reset that the last spike costs."""
    b: Tensor
    """Adaptation: decaying sum of spikes before the last."""
    s: Tensor
    """Spikes of the last step."""
    rest: Tensor
    """Steps for which the neuron cannot fire."""


class ALIFEprop(AdaptiveNeuron):
    """LIF with an adaptive threshold as in e-prop's code.

    Parameters
    ----------
    tau, decay : time constant of the membrane in time steps, or the factor itself.
    tau_adapt, adapt_decay : the same of the adaptation.
    adapt_gain : what a spike adds to the threshold; a number, or one value per neuron that broadcasts to a step.
    v_threshold : base threshold, which the reset subtracts.
    n_refractory : steps from a spike to the next that is possible; 0 and 1: the next one.
    gamma : height of the surrogate times the threshold ("dampening factor").
    fire_rule, v_init, detach_reset : see :class:`AdaptiveNeuron`.

    Golden vectors from the authors' ``EligALIF``, with e-prop's.
    """

    def __init__(
        self,
        tau: float = 20.0,
        decay: float | None = None,
        tau_adapt: float = 200.0,
        adapt_decay: float | None = None,
        adapt_gain: Any = 0.174,
        v_threshold: float = 0.6,
        n_refractory: int = 2,
        gamma: float = 0.3,
        fire_rule: str = "gt",
        v_init: float = 0.0,
        detach_reset: bool = True,
    ) -> None:
        surrogate = {"name": "triangle_lsnn", "params": {"gamma": gamma, "threshold": v_threshold}}
        super().__init__(v_threshold, fire_rule, v_init, detach_reset, surrogate)
        if n_refractory < 0:
            raise ValueError(f"n_refractory must be 0 or more time steps, got {n_refractory}")
        self.decay = resolve_decay(tau, decay, "exp")
        self.adapt_decay = resolve_decay(tau_adapt, adapt_decay, "exp")
        self.n_refractory = n_refractory
        gain = torch.as_tensor(adapt_gain, dtype=torch.get_default_dtype())
        self.adapt_gain = gain.item() if gain.dim() == 0 else None
        self.register_buffer("adapt_gains", gain if gain.dim() else None)

    def init_state(self, like: Tensor) -> EligState:
        """At rest."""
        zero = torch.zeros_like(like)
        return EligState(torch.full_like(like, self.v_init), zero, zero, zero)

    def step_params(self) -> dict[str, Tensor]:
        """Return ``{"adapt_gain"}`` where it differs between neurons."""
        gains = self.adapt_gains
        return {"adapt_gain": gains} if isinstance(gains, Tensor) else {}

    def step(self, x: Tensor, state: EligState, params: Mapping[str, Tensor]) -> tuple[Tensor, EligState]:
        """Adapt, charge, take back what the last spike costs, fire."""
        b = self.adapt_decay * state.b + state.s
        v = self.decay * state.v + x - self.v_threshold * self.resetting(state.s)
        gain: Any = params.get("adapt_gain", self.adapt_gain)
        s = self.surrogate(v - self.v_threshold - gain * b, self.fire_rule)
        if self.n_refractory < 2:
            return s, EligState(v, b, s, state.rest)
        s = s * (state.rest <= 0).to(s.dtype)
        return s, EligState(v, b, s, torch.relu(state.rest - 1) + (self.n_refractory - 1) * s.detach())
