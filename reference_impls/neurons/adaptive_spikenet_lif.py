"""Adaptive-SpikeNet's LIF: one learned leak and one learned threshold a layer, and a late soft reset.

A file of its own because the threshold is learned on three paths at once (comparison, reset and scale of the
surrogate's argument), which no other neuron here has. Must not know of the network around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reference_impls.api import LayerShape, SequentialNeuron, parameter_shape
from reference_impls.names import check_name
from reference_impls.neurons._adaptive import learned, within
from reference_impls.surrogate import FIRE_RULES, make_surrogate

CARD = {
    "name": "adaptive-spikenet-lif",
    "kind": "neuron",
    "version": 1,
    "title": "Adaptive-SpikeNet LIF",
    "summary": (
        "LIF whose leak and threshold are learned with the weights, one of each a layer, so that every layer finds "
        "its own firing rate. A spike subtracts the threshold in the next step."
    ),
    "equations": (
        "h[t] = decay h[t-1] + x[t] - v_threshold s[t-1]; z[t] = h[t] / v_threshold - 1; s[t] = 1 if z[t] > 0; "
        "decay in [0, 1], v_threshold >= 0.05; nothing detached"
    ),
    "citations": [
        {
            "authors": "A. K. Kosta, K. Roy",
            "title": (
                "Adaptive-SpikeNet: Event-based Optical Flow Estimation using Spiking Neural Networks with Learnable "
                "Neuronal Dynamics"
            ),
            "venue": "ICRA",
            "year": 2023,
            "arxiv": "2209.11741",
        }
    ],
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "linear-learned-decay",
        "reset": "soft-next-step",
        "learnable": ["decay", "v_threshold"],
    },
    "defaults": {"decay": 0.9, "v_threshold": 0.75, "detach_reset": False, "surrogate": "atan"},
    "space": {
        "decay": {"low": 0.1, "high": 0.99},
        "v_threshold": {"low": 0.25, "high": 4.0, "scale": "log"},
        "surrogate.alpha": {"low": 0.5, "high": 8.0, "scale": "log"},
    },
    "changes": "learned decay and threshold; slow membrane, late reset, gradient through the reset",
    "variants": {
        "adaptive-spikenet-lif-matched": {
            "title": "Adaptive-SpikeNet's LIF, matched to LIF",
            "changes": "learned decay and threshold",
            "summary": (
                "LIF's own reset, threshold, surrogate and decay to begin with, and nothing changed but that decay and "
                "threshold are learned."
            ),
            "params": {
                "decay": 0.5,
                "v_threshold": 1.0,
                "fire_rule": "ge",
                "detach_reset": True,
                "decayed_reset": True,
            },
            "overrides": {
                "space": {
                    "decay": {"low": 0.1, "high": 0.99},
                    "v_threshold": {"low": 0.25, "high": 4.0, "scale": "log"},
                    "surrogate.alpha": {"low": 0.5, "high": 8.0, "scale": "log"},
                }
            },
            "capabilities": {"reset": "soft"},
        },
    },
    "divergences": [
        "No authors' code was found. The equations are the standard form of the group's publications; the golden "
        "vectors are derived from them, not computed by the authors' code.",
        "Initial leak 0.9, surrogate and domains are chosen here; threshold 0.75 is the fixed one of the group's "
        "earlier Spike-FlowNet, whose code is public. How the authors store the two is not known.",
        "Spike-FlowNet itself resets by removing the whole potential and passes its gradient only where a unit fired; "
        "this neuron does neither.",
        "The subtracted threshold is not decayed, unlike the same-step soft reset of lif.",
    ],
}

LEAST_THRESHOLD = 0.05


class SpikeNetState(NamedTuple):
    """Membrane before the reset and spikes of the last step, ``[B, ...]`` each."""

    v: Tensor
    """Membrane potential, the reset of its last spike still to come."""
    s: Tensor


class AdaptiveSpikeNetLIF(SequentialNeuron):
    """LIF with a learned leak and threshold.

    Parameters
    ----------
    decay : initial factor on the previous membrane; stored as it is and clamped to [0, 1] at use.
    v_threshold : initial threshold; stored as it is and clamped to at least 0.05 at use.
    granularity, shape : whose the two are (published: one of each a layer), and the layer's shape; see
        :func:`parameter_shape`.
    fire_rule : ``gt`` does not fire on a tie, ``ge`` does.
    detach_reset : whether the spike inside the reset carries no gradient.
    decayed_reset : whether what a spike subtracts leaks with the membrane, as where the reset is of the same step.
    surrogate : taken at ``h / v_threshold - 1``, so its gradient on the membrane is divided by the threshold.

    Keep weight decay off both parameters. Golden vectors derived from the equations.
    """

    reset_timing = "next_step"

    def __init__(
        self,
        decay: Any = 0.9,
        v_threshold: Any = 0.75,
        granularity: str = "layer",
        shape: LayerShape | None = None,
        fire_rule: str = "gt",
        detach_reset: bool = False,
        decayed_reset: bool = False,
        surrogate: str | Mapping[str, Any] = "atan",
    ) -> None:
        super().__init__()
        self.fire_rule = check_name("fire_rule", fire_rule, FIRE_RULES)
        self.detach_reset = detach_reset
        self.decayed_reset = decayed_reset
        self.surrogate = make_surrogate(surrogate)
        self.parameter_shape = parameter_shape("adaptive-spikenet-lif", granularity, shape)
        self.decay = learned(decay, self.parameter_shape, 0.9)
        self.v_threshold = learned(v_threshold, self.parameter_shape, 0.75)
        if not bool((self.v_threshold > 0).all()):
            raise ValueError(f"v_threshold must be positive, got {v_threshold}")
        if not bool(((self.decay >= 0) & (self.decay <= 1)).all()):
            raise ValueError(f"decay must lie in [0, 1], got {decay}; it multiplies the previous membrane")

    def init_state(self, like: Tensor) -> SpikeNetState:
        """At rest."""
        return SpikeNetState(torch.zeros_like(like), torch.zeros_like(like))

    def step_params(self) -> dict[str, Tensor]:
        """Return decay and threshold within their domains."""
        return {
            "decay": within(self.decay, 0.0, 1.0),
            "v_threshold": within(self.v_threshold, LEAST_THRESHOLD),
        }

    def step(self, x: Tensor, state: SpikeNetState, params: Mapping[str, Tensor]) -> tuple[Tensor, SpikeNetState]:
        """Leak, subtract the threshold where the last step fired, charge, fire."""
        threshold = params["v_threshold"]
        before = state.s.detach() if self.detach_reset else state.s
        spent = threshold * before
        h = params["decay"] * (state.v - spent) + x if self.decayed_reset else params["decay"] * state.v + x - spent
        s = self.surrogate(h / threshold - 1, self.fire_rule)
        return s, SpikeNetState(h, s)

    def extra_repr(self) -> str:
        """Show what decides the behaviour."""
        return f"fire_rule={self.fire_rule}, detach_reset={self.detach_reset}, surrogate={self.surrogate.describe()}"
