"""LIF in the conventions of norse's ``lif_box``: leak towards a resting value, strict threshold, attached reset.

A row of its own because tie rule, surrogate and gradient of the reset all differ from ``lif``. Must not know of the
network around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from reference_impls.neurons._membrane import Membrane, MembraneNeuron, MembraneState
from reference_impls.neurons._norse import resolve_leak

CARD = {
    "name": "lif-box-norse",
    "kind": "neuron",
    "version": 1,
    "title": "LIF, norse's lif_box",
    "summary": (
        "LIF without synaptic current as norse defines it: the input is weighted with the leak, a tie does not fire, "
        "and gradients run through the reset. The leak is 0.5 here; norse's default is 0.1."
    ),
    "equations": (
        "h = v + leak (v_rest - v + x), leak = 1/tau = dt tau_mem_inv; s = 1 if h > v_threshold; hard reset "
        "v = (1 - s) h + s v_reset, soft reset v = h - v_threshold s"
    ),
    "citations": [
        {
            "authors": "C. Pehle, J. E. Pedersen",
            "title": "Norse: a deep learning library for spiking neural networks",
            "venue": "Zenodo",
            "year": 2021,
            "doi": "10.5281/zenodo.4422025",
            "code": "https://github.com/norse/norse (lif_box_feed_forward_step, release 1.1.0)",
        }
    ],
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "linear-decayed-input",
        "reset": "hard",
    },
    "defaults": {
        "tau": 2.0,
        "v_threshold": 1.0,
        "reset_mode": "hard",
        "v_reset": 0.0,
        "v_rest": 0.0,
        "detach_reset": False,
        "surrogate": "super_spike_norse",
    },
    "space": {
        "tau": {"low": 1.1, "high": 32.0, "scale": "log"},
        "v_threshold": {"low": 0.25, "high": 4.0, "scale": "log"},
    },
    "changes": "input decayed, hard reset: norse's LIF",
    "variants": {
        "lif-box-norse-soft": {
            "changes": "input decayed: norse's LIF",
            "title": "LIF, norse's lif_box, soft reset",
            "summary": "As lif-box-norse, but a spike subtracts the threshold.",
            "params": {"reset_mode": "soft"},
            "capabilities": {"reset": "soft"},
        },
    },
    "aliases": {"lif-norse": {}, "lif-box-norse-slow": {"tau": 10.0}},
    "divergences": [
        "No matched row: it is LIF, in another library's convention.",
        "norse's default leak of 0.1 also weights the input by 0.1, ten times less than lif's; the row uses tau 2 so "
        "that both see inputs of one size. The alias lif-box-norse-slow builds norse's own.",
        "norse 1.1.0 ignores the sharpness that is passed to its default surrogate; so does super_spike_norse.",
        "The reset of norse's recurrent lif_step carries no gradient, that of the feed-forward steps does; this is the "
        "feed-forward one.",
    ],
}


class LIFNorse(MembraneNeuron):
    """Leaky integrate and fire with the input weighted by the leak.

    Parameters
    ----------
    tau : membrane time constant in time steps, >= 1.
    decay : factor on the previous membrane, in [0, 1); overrides `tau`.
    tau_mem_inv : norse's inverse time constant in 1/s, with `dt`; overrides both.
    dt : length of a time step in s.
    v_rest : value the leak pulls towards (norse's v_leak).
    v_init : membrane before the first step; None: `v_rest`, as in norse.
    **membrane : see :class:`Membrane`.

    Golden vectors from norse 1.1.0 ``lif_box_feed_forward_step``.
    """

    defaults = Membrane(fire_rule="gt", reset_mode="hard", detach_reset=False, surrogate="super_spike_norse")

    def __init__(
        self,
        tau: float = 2.0,
        decay: float | None = None,
        tau_mem_inv: float | None = None,
        dt: float = 0.001,
        v_rest: float = 0.0,
        **membrane: Any,
    ) -> None:
        if membrane.get("v_init") is None:
            membrane["v_init"] = v_rest
        super().__init__(**membrane)
        self.leak = resolve_leak("membrane", tau, decay, tau_mem_inv, dt)
        self.v_rest = float(v_rest)

    @property
    def decay(self) -> float:
        """Factor on the previous membrane."""
        return 1 - self.leak

    def step(self, x: Tensor, state: MembraneState, params: Mapping[str, Tensor]) -> tuple[Tensor, MembraneState]:
        """Charge, fire, reset."""
        h = state.v + self.leak * (self.v_rest - state.v + x)
        s = self.fire(h)
        return s, self.reset(h, s)
