"""Ternary LIF and IF: neurons that emit +1 above the threshold and -1 below its negative.

A signed spike carries more than a bit, and a neuron can take back what it sent. Must not know of the network around
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from reference_impls.neurons._membrane import Membrane, MembraneNeuron, MembraneState, resolve_decay, resolve_input_gain

CARD = {
    "name": "ternary-lif",
    "kind": "neuron",
    "version": 1,
    "title": "Ternary LIF",
    "summary": (
        "LIF that fires +1 at the threshold and -1 at its negative; either resets it. This row: the dynamics of the "
        "Ternary Spike paper with spikes of height 1 (decay 0.25, input not decayed, hard reset)."
    ),
    "equations": (
        "h = decay v + (1 - decay) v_rest + gain x; p = 1 if h >= v_threshold, n = 1 if -h >= v_threshold; s = p - n; "
        "hard reset v = (1 - p - n) h + (p + n) v_reset, soft reset v = h - v_threshold s"
    ),
    "citations": [
        {
            "authors": "Y. Guo, Y. Chen, X. Liu, W. Peng, Y. Zhang, X. Huang, Z. Ma",
            "title": "Ternary spike: learning ternary spikes for spiking neural networks",
            "venue": "AAAI",
            "year": 2024,
            "arxiv": "2312.06372",
            "code": "https://github.com/yfguo91/Ternary-Spike (commit 2aca587, ImageNet only)",
        },
        {
            "authors": "W. Fang, Y. Chen, J. Ding, Z. Yu, T. Masquelier, D. Chen, L. Huang, H. Zhou, G. Li, Y. Tian",
            "title": (
                "SpikingJelly: An open-source machine learning infrastructure platform for spike-based intelligence"
            ),
            "venue": "Science Advances 9:eadi1480",
            "year": 2023,
            "code": "https://github.com/fangwei123456/spikingjelly (TernaryLIFNode, release 2.0.0)",
        },
    ],
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "ternary",
        "membrane": "linear",
        "reset": "hard-signed",
    },
    "defaults": {
        "tau": 1.3333333333333333,
        "input_gain": "one",
        "v_threshold": 1.0,
        "reset_mode": "hard",
        "v_reset": 0.0,
        "detach_reset": False,
        "surrogate": {"name": "sigmoid", "params": {"alpha": 4.0}},
    },
    "space": {
        "tau": {"low": 1.1, "high": 32.0, "scale": "log"},
        "v_threshold": {"low": 0.25, "high": 4.0, "scale": "log"},
        "input_gain": {"choices": ["one", "one_minus_decay"]},
        "surrogate.alpha": {"low": 1.0, "high": 16.0, "scale": "log"},
    },
    "changes": "spikes of both signs; faster leak, hard reset",
    "variants": {
        "ternary-lif-soft": {
            "title": "Ternary LIF, soft reset",
            "summary": "As ternary-lif, but a spike moves the membrane by one threshold towards 0.",
            "params": {"reset_mode": "soft"},
            "capabilities": {"reset": "soft-signed"},
        },
        "ternary-if": {
            "title": "Ternary IF",
            "summary": "No leak; a spike moves the membrane by one threshold towards 0.",
            "params": {"decay": 1.0, "reset_mode": "soft"},
            "capabilities": {"reset": "soft-signed"},
        },
        "ternary-lif-matched": {
            "title": "Ternary LIF, matched to LIF",
            "summary": (
                "LIF's decay, soft reset and surrogate, and nothing changed but that it fires at the negative "
                "threshold, too."
            ),
            "changes": "spikes of both signs",
            "params": {
                "tau": 2.0,
                "reset_mode": "soft",
                "v_reset": None,
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
            "capabilities": {
                "reset": "soft-signed",
            },
        },
    },
    "divergences": [
        "The paper learns the height of a spike, one a layer, folds it into the weights afterwards, and trains with a "
        "straight-through estimator of its own; SpikingJelly's nodes, which these rows equal, have neither.",
        "SPIDE's ternary neuron subtracts twice the threshold and leaks after the reset: see ternary-spide.",
        "A count of spikes must count -1 as one; max pooling loses every -1.",
    ],
}


class TernaryLIF(MembraneNeuron):
    """LIF with spikes of both signs; ``x[T, B, ...]`` to -1, 0 and 1 of the same shape.

    Parameters
    ----------
    tau : membrane time constant in time steps, >= 1 with ``euler``.
    decay : factor on the previous membrane, in [0, 1]; overrides `tau`. 1 is the IF neuron.
    decay_rule, input_gain, decay_input, v_rest : as in ``lif``.
    v_threshold : fires +1 at it and -1 at its negative, with the same surrogate at both.
    fire_rule : ``ge`` fires on a tie at either, ``gt`` at neither.
    **membrane : see :class:`Membrane`.

    Golden vectors from SpikingJelly 2.0.0 ``TernaryIFNode`` and ``TernaryLIFNode``.
    """

    defaults = Membrane(reset_mode="hard", detach_reset=False, surrogate="sigmoid")

    def __init__(
        self,
        tau: float = 4 / 3,
        decay: float | None = None,
        decay_rule: str = "euler",
        input_gain: str = "one",
        decay_input: bool | None = None,
        v_rest: float | None = None,
        **membrane: Any,
    ) -> None:
        super().__init__(**membrane)
        if self.v_reset <= -self.v_threshold:
            raise ValueError(
                f"v_reset {self.v_reset} must lie above -v_threshold {-self.v_threshold}, or firing never ends"
            )
        self._decay = resolve_decay(tau, decay, decay_rule)
        self.gain = 1.0 if resolve_input_gain(input_gain, decay_input) == "one" else 1 - self._decay
        self.v_rest = self.v_reset if v_rest is None else float(v_rest)

    @property
    def decay(self) -> float:
        """Factor on the previous membrane."""
        return self._decay

    def step(self, x: Tensor, state: MembraneState, params: Mapping[str, Tensor]) -> tuple[Tensor, MembraneState]:
        """Charge, fire up or down, reset."""
        h = self.decay * state.v + (x if self.gain == 1 else self.gain * x)
        if self.v_rest:
            h = h + (1 - self.decay) * self.v_rest
        up, down = self.fire(h), self.fire(-h)
        s = up - down
        # A hard reset asks whether the neuron fired, a soft one also in which direction.
        return s, self.reset(h, up + down if self.reset_mode == "hard" else s)
