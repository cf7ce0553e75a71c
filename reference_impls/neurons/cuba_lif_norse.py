"""CUBA-LIF in the conventions of norse: the input reaches the membrane in its own step, the current decays afterwards.

A row of its own because the same decays give other spikes than ``cuba-lif``. Must not know of the network around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reference_impls.neurons._membrane import Membrane, MembraneNeuron
from reference_impls.neurons._norse import resolve_leak

CARD = {
    "name": "cuba-lif-norse",
    "kind": "neuron",
    "version": 1,
    "title": "CUBA-LIF, norse's lif",
    "summary": (
        "Current-based LIF as norse defines it: the current jumps first and is weighted with the membrane's leak, a "
        "tie does not fire, gradients run through the reset. Norse's default rates: current decay 0.8, leak 0.1."
    ),
    "equations": (
        "i' = i + x; h = v + leak (v_rest - v + i'), leak = dt tau_mem_inv; s = 1 if h > v_threshold; hard reset "
        "v = (1 - s) h + s v_reset; i = current_decay i', current_decay = 1 - dt tau_syn_inv"
    ),
    "citations": [
        {
            "authors": "C. Pehle, J. E. Pedersen",
            "title": "Norse: a deep learning library for spiking neural networks",
            "venue": "Zenodo",
            "year": 2021,
            "doi": "10.5281/zenodo.4422025",
            "code": "https://github.com/norse/norse (lif_feed_forward_step, release 1.1.0)",
        }
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
        "tau": 10.0,
        "current_decay": 0.8,
        "v_threshold": 1.0,
        "reset_mode": "hard",
        "v_reset": 0.0,
        "v_rest": 0.0,
        "detach_reset": False,
        "surrogate": "super_spike_norse",
    },
    "space": {
        "tau": {"low": 1.1, "high": 32.0, "scale": "log"},
        "current_decay": {"low": 0.0, "high": 0.95},
        "v_threshold": {"low": 0.25, "high": 4.0, "scale": "log"},
    },
    "changes": "two states: a synaptic current; norse's convention",
    "divergences": [
        "No matched row: with LIF's conventions it is cuba-lif-matched.",
        "norse's recurrent LSNN step lets the current act one step later than its feed-forward step; this is the "
        "feed-forward one.",
        "norse 1.1.0 ignores the sharpness that is passed to its default surrogate; so does super_spike_norse.",
    ],
}


class CubaNorseState(NamedTuple):
    """Membrane and synaptic current, ``[B, ...]`` each."""

    v: Tensor
    """Membrane potential after reset."""
    i: Tensor
    """Synaptic current, decayed for the next step."""


class CubaLIFNorse(MembraneNeuron):
    """LIF behind a synaptic current that jumps, acts and then decays.

    Parameters
    ----------
    tau : membrane time constant in time steps, >= 1.
    decay : factor on the previous membrane, in [0, 1); overrides `tau`.
    current_decay : factor on the current between steps, in [0, 1).
    tau_mem_inv, tau_syn_inv : norse's inverse time constants in 1/s, with `dt`; they override the three above.
    dt : length of a time step in s.
    v_rest : value the leak pulls towards (norse's v_leak).
    current_init : current before the first step.
    v_init : membrane before the first step; None: `v_rest`, as in norse.
    **membrane : see :class:`Membrane`.

    Golden vectors from norse 1.1.0 ``lif_feed_forward_step``.
    """

    defaults = Membrane(fire_rule="gt", reset_mode="hard", detach_reset=False, surrogate="super_spike_norse")

    def __init__(
        self,
        tau: float = 10.0,
        decay: float | None = None,
        current_decay: float = 0.8,
        tau_mem_inv: float | None = None,
        tau_syn_inv: float | None = None,
        dt: float = 0.001,
        v_rest: float = 0.0,
        current_init: float = 0.0,
        **membrane: Any,
    ) -> None:
        if membrane.get("v_init") is None:
            membrane["v_init"] = v_rest
        super().__init__(**membrane)
        self.leak = resolve_leak("membrane", tau, decay, tau_mem_inv, dt)
        self.current_leak = resolve_leak("current", 0.0, current_decay, tau_syn_inv, dt)
        self.v_rest = float(v_rest)
        self.current_init = float(current_init)

    @property
    def decay(self) -> float:
        """Factor on the previous membrane."""
        return 1 - self.leak

    @property
    def current_decay(self) -> float:
        """Factor on the current between steps."""
        return 1 - self.current_leak

    def init_state(self, like: Tensor) -> CubaNorseState:  # type: ignore[override]
        """Return ``v = v_init`` and ``i = current_init`` everywhere."""
        return CubaNorseState(torch.full_like(like, self.v_init), torch.full_like(like, self.current_init))

    def step(self, x: Tensor, state: CubaNorseState, params: Mapping[str, Tensor]) -> tuple[Tensor, CubaNorseState]:
        """Let the current jump, charge with it, fire, reset, let the current decay."""
        i = state.i + x
        h = state.v + self.leak * (self.v_rest - state.v + i)
        s = self.fire(h)
        return s, CubaNorseState(self.reset(h, s).v, i - self.current_leak * i)
