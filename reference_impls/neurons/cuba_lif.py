"""CUBA-LIF: a LIF neuron fed through a synaptic current that decays by itself, in SpikingJelly's convention.

snnTorch's and norse's neurons of the same description give other spikes for the same decays; they are files of their
own. Must not know of the network around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reference_impls.neurons._membrane import Membrane, MembraneNeuron, resolve_decay, resolve_input_gain

CARD = {
    "name": "cuba-lif",
    "kind": "neuron",
    "version": 1,
    "title": "CUBA-LIF: current-based LIF",
    "summary": (
        "LIF whose input is summed by a decaying synaptic current first, as on Loihi. This row: SpikingJelly's "
        "equations and decays, with the reset detached."
    ),
    "equations": (
        "i = current_decay i + current_gain x; h = decay v + gain i, gain 1 or 1 - decay; s = 1 if h >= v_threshold; "
        "hard reset v = (1 - s) h + s v_reset, soft reset v = h - v_threshold s"
    ),
    "citations": [
        {
            "authors": "M. Davies, N. Srinivasa, T.-H. Lin, G. Chinya, and others",
            "title": "Loihi: a neuromorphic manycore processor with on-chip learning",
            "venue": "IEEE Micro 38(1):82-99",
            "year": 2018,
            "code": "https://github.com/fangwei123456/spikingjelly (CUBALIFNode, release 2.0.0)",
        },
        {
            "authors": "F. Zenke, S. Ganguli",
            "title": "SuperSpike: supervised learning in multilayer spiking neural networks",
            "venue": "Neural Computation 30(6):1514-1541",
            "year": 2018,
            "arxiv": "1705.11146",
        },
        {
            "authors": "D. Chen, P. Peng, T. Huang, Y. Tian",
            "title": "Fully Spiking Actor Network with Intra-layer Connections for Reinforcement Learning",
            "venue": "IEEE TNNLS",
            "year": 2024,
            "arxiv": "2401.05444",
            "code": "https://github.com/lucifer2859/ILC-SAN (commit 5012a77)",
        },
        {
            "authors": "M. Xiao, Y. Zhu, D. He, Z. Lin",
            "title": "Temporal Spiking Neural Networks with Synaptic Delay for Graph Reasoning",
            "venue": "ICML",
            "year": 2024,
            "arxiv": "2405.16851",
            "code": "https://github.com/pkuxmq/GRSNN (commit 5c9d34e)",
        },
    ],
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "second-order",
        "reset": "hard",
    },
    "defaults": {
        "current_decay": 0.5,
        "tau": 4.0,
        "v_threshold": 0.5,
        "reset_mode": "hard",
        "v_reset": 0.0,
        "detach_reset": True,
        "surrogate": {"name": "rect", "params": {"alpha": 1.0}},
    },
    "space": {
        "tau": {"low": 1.1, "high": 32.0, "scale": "log"},
        "current_decay": {"low": 0.0, "high": 0.95},
        "v_threshold": {"low": 0.1, "high": 2.0, "scale": "log"},
        "surrogate.alpha": {"low": 0.25, "high": 4.0, "scale": "log"},
    },
    "changes": "two states: a synaptic current; slower membrane, hard reset",
    "variants": {
        "cuba-lif-soft": {
            "title": "CUBA-LIF, soft reset",
            "summary": "As cuba-lif, but a spike subtracts the threshold.",
            "params": {"reset_mode": "soft"},
            "capabilities": {"reset": "soft"},
        },
        "cuba-lif-paralif": {
            "title": "CUBA-LIF, ParaLIF's baseline",
            "summary": "The current is weighted with 1 - decay, a tie does not fire, threshold 1, no refractory time.",
            "params": {
                "input_gain": "one_minus_decay",
                "fire_rule": "gt",
                "v_threshold": 1.0,
                "surrogate": {"name": "fast_sigmoid", "params": {"scale": 100.0}},
            },
        },
        "ilc-cuba-lif": {
            "title": "CUBA-LIF of ILC-SAN",
            "summary": (
                "The current-based LIF of spiking actors: a tie does not fire and the gradient passes the reset. The "
                "connections inside a layer that give ILC-SAN its name belong to the topology lateral."
            ),
            "params": {"fire_rule": "gt", "detach_reset": False, "surrogate": "rectangle_glif"},
        },
        "alpha-lif": {
            "title": "Alpha-current LIF of GRSNN",
            "summary": (
                "Current and membrane decay alike, with exp(-1/4), and a current of e/tau a spike, so that the "
                "membrane's response is an alpha function. GRSNN's delays belong to the topology delayed-round."
            ),
            "params": {
                "tau": 4.0,
                "decay_rule": "exp",
                "current_decay": 0.7788007830714049,
                "current_gain": 0.6795704571147613,
                "v_threshold": 2.0,
                "detach_reset": False,
                "surrogate": {"name": "sigmoid", "params": {"alpha": 4.0}},
            },
        },
        "cuba-lif-matched": {
            "title": "CUBA-LIF, matched to LIF",
            "summary": (
                "LIF's decay, threshold, reset and surrogate, and nothing changed but the synaptic current before it."
            ),
            "changes": "two states: a synaptic current",
            "params": {
                "tau": 2.0,
                "v_threshold": 1.0,
                "reset_mode": "soft",
                "v_reset": None,
                "surrogate": "atan",
            },
            "overrides": {
                "space": {
                    "tau": {"low": 1.1, "high": 32.0, "scale": "log"},
                    "current_decay": {"low": 0.0, "high": 0.95},
                    "v_threshold": {"low": 0.25, "high": 4.0, "scale": "log"},
                    "surrogate.alpha": {"low": 0.5, "high": 8.0, "scale": "log"},
                }
            },
            "capabilities": {
                "reset": "soft",
            },
        },
    },
    "aliases": {"cuba-lif-spikingjelly": {"detach_reset": False}},
    "divergences": [
        "The same pair of decays gives other spikes in SpikingJelly, snnTorch and norse, which differ in the order of "
        "current and membrane, tie rule, reset and gain; cuba-lif-snntorch and cuba-lif-norse are rows of their own.",
        "SpikingJelly's node always lets gradient through the reset (the alias cuba-lif-spikingjelly does too); this "
        "row detaches it, as published recipes do.",
        "Loihi and lava-dl give the complements of these decays: a parameter of 0.25 there is a decay of 0.75 here.",
        "ILC-SAN writes its hard reset as a gate at the start of the next step, which is the same; GRSNN adds a "
        "constant current to the membrane of a source node, which `inject` does.",
        "A constant input is amplified by 1/((1 - current_decay)(1 - decay)), 8 with decays of 0.5 and 0.75: "
        "hence the threshold of 0.5.",
    ],
}


class CubaState(NamedTuple):
    """Membrane and synaptic current, ``[B, ...]`` each."""

    v: Tensor
    """Membrane potential after reset."""
    i: Tensor
    """Synaptic current."""


class CubaLIF(MembraneNeuron):
    """LIF behind a decaying synaptic current.

    Parameters
    ----------
    current_decay : factor on the previous current, in [0, 1].
    tau : membrane time constant in time steps, >= 1 with ``euler``.
    decay : factor on the previous membrane, in [0, 1] (SpikingJelly's voltage_decay); overrides `tau`.
    decay_rule : as in ``lif``.
    input_gain : ``one`` or ``one_minus_decay``, the weight of the current in the membrane.
    current_gain : weight of the input in the current.
    current_init : current before the first step.
    **membrane : see :class:`Membrane`.

    Golden vectors from SpikingJelly 2.0.0 ``CUBALIFNode``, ILC-SAN's ``SpikeMLP`` and GRSNN's
    ``SNNAlphaRelationalConv``.
    """

    defaults = Membrane(v_threshold=0.5, reset_mode="hard", surrogate="rect")

    def __init__(
        self,
        current_decay: float = 0.5,
        tau: float = 4.0,
        decay: float | None = None,
        decay_rule: str = "euler",
        input_gain: str = "one",
        current_gain: float = 1.0,
        current_init: float = 0.0,
        **membrane: Any,
    ) -> None:
        super().__init__(**membrane)
        if not 0 <= current_decay <= 1:
            raise ValueError(f"current_decay must lie in [0, 1], got {current_decay}")
        self.current_decay = float(current_decay)
        self.current_gain = float(current_gain)
        self.current_init = float(current_init)
        self._decay = resolve_decay(tau, decay, decay_rule)
        self.gain = 1.0 if resolve_input_gain(input_gain, None) == "one" else 1 - self._decay

    @property
    def decay(self) -> float:
        """Factor on the previous membrane."""
        return self._decay

    def init_state(self, like: Tensor) -> CubaState:  # type: ignore[override]
        """Return ``v = v_init`` and ``i = current_init`` everywhere."""
        return CubaState(torch.full_like(like, self.v_init), torch.full_like(like, self.current_init))

    def step(self, x: Tensor, state: CubaState, params: Mapping[str, Tensor]) -> tuple[Tensor, CubaState]:
        """Sum the current, charge with it, fire, reset."""
        return self._charged(x, state, 0.0)

    def inject(self, x: Tensor, current: Tensor, state: CubaState) -> tuple[Tensor, CubaState]:
        """Take a single step with a `current` ``[B, ...]`` straight into the membrane, past the synaptic current."""
        spikes, state = self._charged(x, state, current)
        self._notify(spikes.unsqueeze(0))
        return spikes, state

    def _charged(self, x: Tensor, state: CubaState, current: Tensor | float) -> tuple[Tensor, CubaState]:
        i = self.current_decay * state.i + (x if self.current_gain == 1 else self.current_gain * x)
        h = self.decay * state.v + (i if self.gain == 1 else self.gain * i)
        if isinstance(current, Tensor):
            h = h + current
        s = self.fire(h)
        return s, CubaState(self.reset(h, s).v, i)
