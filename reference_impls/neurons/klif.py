"""KLIF: a learned factor scales the membrane before it fires, and so the surrogate's slope."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from reference_impls.neurons._membrane import (
    Membrane,
    MembraneNeuron,
    MembraneState,
    resolve_decay,
    resolve_input_gain,
)

CARD = {
    "name": "klif",
    "kind": "neuron",
    "version": 1,
    "title": "KLIF: k-based leaky integrate and fire",
    "summary": (
        "LIF whose charged membrane is multiplied by a learned k and rectified before firing, one k a layer: "
        "k sets the slope of the surrogate and the size of what is carried on."
    ),
    "equations": (
        "u = LIF charge of v[t-1] and x[t]; F = relu(k u); s = 1 if F >= v_threshold; reset of F, or of F/k with "
        "scale_reset"
    ),
    "citations": [
        {
            "authors": "C. Jiang, Y. Zhang",
            "title": (
                "KLIF: An optimized spiking neuron unit for tuning surrogate gradient slope and membrane potential"
            ),
            "venue": "Neural Computation 36(12):2636-2650",
            "year": 2024,
            "arxiv": "2302.09238",
            "code": "https://github.com/fangwei123456/spikingjelly (KLIFNode, release 2.0.0)",
        }
    ],
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "nonlinear",
        "reset": "soft",
        "learnable": ["k"],
    },
    "defaults": {
        "tau": 2.0,
        "input_gain": "one",
        "v_threshold": 1.0,
        "reset_mode": "soft",
        "detach_reset": False,
        "scale_reset": False,
        "surrogate": {"name": "sigmoid", "params": {"alpha": 4.0}},
    },
    "space": {
        "tau": {"low": 1.1, "high": 32.0, "scale": "log"},
        "v_threshold": {"low": 0.25, "high": 4.0, "scale": "log"},
        "input_gain": {"choices": ["one", "one_minus_decay"]},
        "surrogate.alpha": {"low": 1.0, "high": 16.0, "scale": "log"},
    },
    "changes": "learned gain, rectified membrane; gradient through the reset",
    "variants": {
        "klif-scaled": {
            "title": "KLIF, reset scaled by 1/k",
            "summary": "As klif, but the membrane is divided by k at the reset: k acts on firing only.",
            "params": {"scale_reset": True},
        },
        "klif-matched": {
            "title": "KLIF, matched to LIF",
            "summary": (
                "LIF's surrogate and detached reset, and nothing changed but the learned k and the rectified membrane."
            ),
            "changes": "learned gain, rectified membrane",
            "params": {
                "detach_reset": True,
                "surrogate": "atan",
            },
            "overrides": {
                "space": {
                    "tau": {"low": 1.1, "high": 32.0, "scale": "log"},
                    "v_threshold": {"low": 0.25, "high": 4.0, "scale": "log"},
                    "input_gain": {"choices": ["one", "one_minus_decay"]},
                    "surrogate.alpha": {"low": 0.5, "high": 8.0, "scale": "log"},
                }
            },
        },
    },
    "divergences": [
        "klif-matched detaches the reset, because lif does: with the PSN authors' report below, expect it to train "
        "worse.",
        "Only the paper's abstract could be read and no official code was found; equations follow SpikingJelly's "
        "KLIFNode. Which of the two resets the paper's tables use is not known; both are rows.",
        "The PSN authors report that KLIF does not converge with a detached reset, so it is not detached here.",
    ],
}


class KLIF(MembraneNeuron):
    """LIF with a learned membrane factor.

    Parameters
    ----------
    k : initial value of the learned factor, one a layer; unconstrained.
    scale_reset : whether the membrane is divided by k again when it is carried on.
    tau, decay, decay_rule, input_gain, decay_input, v_rest : as in ``lif``.
    **membrane : see :class:`Membrane`.

    Golden vectors from SpikingJelly 2.0.0 ``KLIFNode``, both settings of ``scale_reset``.
    """

    defaults = Membrane(detach_reset=False, surrogate="sigmoid")
    settled = ("reset_amount",)

    def __init__(
        self,
        k: float = 1.0,
        scale_reset: bool = False,
        tau: float = 2.0,
        decay: float | None = None,
        decay_rule: str = "euler",
        input_gain: str = "one",
        decay_input: bool | None = None,
        v_rest: float | None = None,
        **membrane: Any,
    ) -> None:
        super().__init__(**membrane)
        if k == 0:
            raise ValueError("k must not start at 0: no spike and no gradient would ever come of it")
        self._decay = resolve_decay(tau, decay, decay_rule)
        self.gain = 1.0 if resolve_input_gain(input_gain, decay_input) == "one" else 1 - self._decay
        self.v_rest = self.v_reset if v_rest is None else float(v_rest)
        self.scale_reset = scale_reset
        self.k = nn.Parameter(torch.tensor(float(k)))

    @property
    def decay(self) -> float:
        """Factor on the previous membrane in the charge (the recurrence also carries k)."""
        return self._decay

    def step_params(self) -> dict[str, Tensor]:
        """Return ``{"k": scalar}``."""
        return {"k": self.k}

    def step(self, x: Tensor, state: MembraneState, params: Mapping[str, Tensor]) -> tuple[Tensor, MembraneState]:
        """Charge, scale, fire, reset."""
        k = params["k"]
        u = self.decay * state.v + (x if self.gain == 1 else self.gain * x)
        if self.v_rest:
            u = u + (1 - self.decay) * self.v_rest
        scaled = torch.relu(k * u)
        s = self.fire(scaled)
        if not self.scale_reset:
            return s, self.reset(scaled, s)
        r = s.detach() if self.detach_reset else s
        if self.reset_mode == "soft":
            return s, MembraneState((scaled - r * self.v_threshold) / k)
        if self.reset_mode == "none":
            return s, MembraneState(scaled / k)
        return s, MembraneState((1 - r) * scaled / k + r * self.v_reset)
