"""PLIF: a LIF neuron that learns its membrane time constant, one a layer.

The time constant is stored raw and passed through a sigmoid, so that every value an optimizer can reach is a valid
one. Must not know of the network around it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from reference_impls.neurons._membrane import Membrane, MembraneNeuron, MembraneState, resolve_input_gain

CARD = {
    "name": "plif",
    "kind": "neuron",
    "version": 1,
    "title": "PLIF: parametric leaky integrate and fire",
    "summary": (
        "LIF whose leak 1/tau is learned with the weights, one a layer. This row: as published, input decayed, "
        "hard detached reset, tau starting at 2."
    ),
    "equations": (
        "k = sigmoid(raw_leak) = 1/tau; input decayed: h = v + k (x - (v - v_rest)), else h = v - k (v - v_rest) + x; "
        "s = 1 if h >= v_threshold; hard reset v = (1 - s) h + s v_reset, soft reset v = h - v_threshold s"
    ),
    "citations": [
        {
            "authors": "W. Fang, Z. Yu, Y. Chen, T. Masquelier, T. Huang, Y. Tian",
            "title": ("Incorporating learnable membrane time constant to enhance learning of spiking neural networks"),
            "venue": "ICCV",
            "year": 2021,
            "arxiv": "2007.05785",
            "code": "https://github.com/fangwei123456/Parametric-Leaky-Integrate-and-Fire-Spiking-Neuron",
        }
    ],
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "linear-learned-decay",
        "reset": "hard",
        "learnable": ["raw_leak"],
    },
    "defaults": {
        "tau": 2.0,
        "input_gain": "one_minus_decay",
        "v_threshold": 1.0,
        "reset_mode": "hard",
        "v_reset": 0.0,
        "detach_reset": True,
        "surrogate": "atan",
    },
    "space": {
        "tau": {"low": 1.1, "high": 32.0, "scale": "log"},
        "v_threshold": {"low": 0.25, "high": 4.0, "scale": "log"},
        "input_gain": {"choices": ["one", "one_minus_decay"]},
        "surrogate.alpha": {"low": 0.5, "high": 8.0, "scale": "log"},
    },
    "changes": "learned decay; input decayed, hard reset",
    "variants": {
        "plif-no-decay-input": {
            "changes": "learned decay; hard reset",
            "title": "PLIF, input not decayed",
            "summary": "As plif, but the input enters with weight 1, so learning tau no longer learns a gain.",
            "params": {"input_gain": "one"},
        },
        "plif-soft": {
            "changes": "learned decay; input decayed",
            "title": "PLIF, soft reset",
            "summary": "As plif, but a spike subtracts the threshold, as in the PSN authors' sequential CIFAR runs.",
            "params": {"reset_mode": "soft"},
            "capabilities": {"reset": "soft"},
        },
        "plif-matched": {
            "title": "PLIF, matched to LIF",
            "summary": "LIF's input gain and reset, and nothing changed but that the decay is learned.",
            "changes": "learned decay",
            "params": {
                "input_gain": "one",
                "reset_mode": "soft",
                "v_reset": None,
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
                "reset": "soft",
            },
        },
    },
    "divergences": [
        "Accuracy-A of the authors is the best test accuracy over all epochs, accuracy-B that of the epoch which a "
        "validation split chose; only B compares with the figures here.",
        "The authors' README gives 97.72 for MNIST accuracy-A in one table and 99.72 in another; the second is taken.",
        "SpikingJelly's ParametricLIFNode has the same equations with other defaults: gradient through the reset and "
        "a sigmoid surrogate. This row follows the published commands.",
    ],
}


class PLIF(MembraneNeuron):
    """LIF with a learned leak, a scalar of the layer.

    Parameters
    ----------
    tau : initial membrane time constant in time steps, > 1.
    raw_leak : the stored value itself, sigmoid of it is 1/tau; overrides `tau`. Keep weight decay off it: decay pulls
        tau to 2.
    input_gain : ``one_minus_decay`` (the input is weighted by 1/tau) or ``one``.
    decay_input : SpikingJelly's name for the same choice; overrides `input_gain`.
    v_rest : value the leak pulls towards; None: the reset value for a hard reset, 0 for the others.
    **membrane : see :class:`Membrane`.

    Golden vectors from SpikingJelly 2.0.0 ``ParametricLIFNode``.
    """

    defaults = Membrane(reset_mode="hard")

    def __init__(
        self,
        tau: float = 2.0,
        raw_leak: float | None = None,
        input_gain: str = "one_minus_decay",
        decay_input: bool | None = None,
        v_rest: float | None = None,
        **membrane: Any,
    ) -> None:
        super().__init__(**membrane)
        if raw_leak is None:
            if not tau > 1:
                raise ValueError(f"tau must be above 1 time step, or its sigmoid cannot be inverted; got {tau}")
            raw_leak = -math.log(tau - 1)
        self.input_gain = resolve_input_gain(input_gain, decay_input)
        self.v_rest = self.v_reset if v_rest is None else float(v_rest)
        self.raw_leak = nn.Parameter(torch.tensor(float(raw_leak)))

    @property
    def decay(self) -> float:
        """Factor on the previous membrane, as learned so far."""
        return 1 - float(torch.sigmoid(self.raw_leak))

    def step_params(self) -> dict[str, Tensor]:
        """Return ``{"leak": scalar}``, 1/tau."""
        return {"leak": torch.sigmoid(self.raw_leak)}

    def step(self, x: Tensor, state: MembraneState, params: Mapping[str, Tensor]) -> tuple[Tensor, MembraneState]:
        """Charge, fire, reset."""
        leak = params["leak"]
        above_rest = state.v - self.v_rest if self.v_rest else state.v
        h = state.v - leak * above_rest + x if self.input_gain == "one" else state.v + leak * (x - above_rest)
        s = self.fire(h)
        return s, self.reset(h, s)
