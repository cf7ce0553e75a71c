"""CUBA-LIF in the conventions of snnTorch's ``Synaptic``: the reset comes one step late.

A row of its own because the same decays give other spikes than ``cuba-lif``. Must not know of the network around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reference_impls.neurons._snntorch import SnntorchNeuron

CARD = {
    "name": "cuba-lif-snntorch",
    "kind": "neuron",
    "version": 1,
    "title": "CUBA-LIF, snnTorch's Synaptic",
    "summary": (
        "Current-based LIF as snnTorch defines it: a spike subtracts the whole threshold in the next step, a tie does "
        "not fire, the reset carries no gradient. snnTorch names no decays; those of cuba-lif stand here."
    ),
    "equations": (
        "i = current_decay i + x; r[t] = 1 if v[t-1] > v_threshold (no gradient); subtract v[t] = decay v[t-1] + i - "
        "r[t] v_threshold, zero v[t] = (decay v[t-1] + i) (1 - r[t]); s[t] = 1 if v[t] > v_threshold"
    ),
    "citations": [
        {
            "authors": "J. K. Eshraghian, M. Ward, E. Neftci, X. Wang, G. Lenz, and others",
            "title": "Training spiking neural networks using lessons from deep learning",
            "venue": "Proceedings of the IEEE 111(9):1016-1054",
            "year": 2023,
            "arxiv": "2109.12894",
            "code": "https://github.com/jeshraghian/snntorch (Synaptic, release 1.0.0)",
        }
    ],
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "second-order",
        "reset": "soft-next-step",
    },
    "defaults": {
        "current_decay": 0.5,
        "decay": 0.75,
        "v_threshold": 1.0,
        "reset_mode": "soft",
        "reset_timing": "next_step",
        "detach_reset": True,
        "surrogate": "atan",
    },
    "space": {
        "decay": {"low": 0.1, "high": 0.99},
        "current_decay": {"low": 0.0, "high": 0.95},
        "v_threshold": {"low": 0.25, "high": 4.0, "scale": "log"},
        "surrogate.alpha": {"low": 0.5, "high": 8.0, "scale": "log"},
    },
    "changes": "two states: a synaptic current; snnTorch's convention",
    "variants": {
        "cuba-lif-snntorch-zero": {
            "title": "CUBA-LIF, snnTorch's Synaptic, reset to zero",
            "summary": "As cuba-lif-snntorch, but the step after a spike leaves the membrane at 0, its input included.",
            "params": {"reset_mode": "hard"},
            "capabilities": {"reset": "hard-next-step"},
        },
        "cuba-lif-snntorch-learned": {
            "title": "CUBA-LIF, snnTorch's Synaptic, decays and threshold learned",
            "summary": "As cuba-lif-snntorch with learn_alpha, learn_beta and learn_threshold, one of each a layer.",
            "params": {"learn_decay": True, "learn_threshold": True},
            "capabilities": {"learnable": ["raw_current_decay", "raw_decay", "v_threshold"]},
        },
    },
    "divergences": [
        "No matched row: with LIF's conventions it is cuba-lif-matched.",
        "The reset to zero of Synaptic wipes the membrane after the new input has been added, so that input is lost to "
        "the membrane (the current keeps it); Leaky's wipes it before.",
        "Learned decays are stored unclamped and clamped at use, so their gradient vanishes outside [0, 1].",
    ],
}


class CubaSnntorchState(NamedTuple):
    """Membrane and synaptic current, ``[B, ...]`` each."""

    v: Tensor
    """Membrane potential before the reset (after it for ``same_step``)."""
    i: Tensor
    """Synaptic current."""


class CubaLIFSnntorch(SnntorchNeuron):
    """LIF with a late reset behind a decaying synaptic current.

    Parameters
    ----------
    current_decay : factor on the previous current, in [0, 1] (snnTorch's alpha).
    decay : factor on the previous membrane, in [0, 1] (snnTorch's beta).
    current_init : current before the first step.
    learn_decay : whether both decays are learned, one of each a layer.
    **others : see :class:`SnntorchNeuron`.

    Golden vectors from snnTorch 1.0.0 ``Synaptic``.
    """

    raw_decay: Tensor
    raw_current_decay: Tensor

    def __init__(
        self,
        current_decay: float = 0.5,
        decay: float = 0.75,
        current_init: float = 0.0,
        v_threshold: float = 1.0,
        fire_rule: str = "gt",
        reset_mode: str = "soft",
        v_reset: float | None = None,
        v_init: float = 0.0,
        reset_timing: str = "next_step",
        detach_reset: bool = True,
        surrogate: str | Mapping[str, Any] = "atan",
        learn_decay: bool = False,
        learn_threshold: bool = False,
    ) -> None:
        super().__init__(
            v_threshold, fire_rule, reset_mode, v_reset, v_init, reset_timing, detach_reset, surrogate, learn_threshold
        )
        self.current_init = float(current_init)
        self._hold_decay("decay", decay, learn_decay)
        self._hold_decay("current_decay", current_decay, learn_decay)

    def init_state(self, like: Tensor) -> CubaSnntorchState:
        """Return ``v = v_init`` and ``i = current_init`` everywhere."""
        return CubaSnntorchState(torch.full_like(like, self.v_init), torch.full_like(like, self.current_init))

    def step_params(self) -> dict[str, Tensor]:
        """Return both decays and the threshold, scalars."""
        decays = {"decay": self.raw_decay, "current_decay": self.raw_current_decay}
        return {name: raw.clamp(0, 1) for name, raw in decays.items()} | {"v_threshold": self.v_threshold}

    def step(
        self, x: Tensor, state: CubaSnntorchState, params: Mapping[str, Tensor]
    ) -> tuple[Tensor, CubaSnntorchState]:
        """Sum the current, charge, reset what fired before, fire."""
        v_threshold = params["v_threshold"]
        r = self.late_reset(state.v, v_threshold)
        i = params["current_decay"] * state.i + x
        h = params["decay"] * state.v + i
        if self.reset_mode == "soft":
            h = h - r * v_threshold
        elif self.reset_mode == "hard":
            h = h * (1 - r)
        s, v = self.fire(h, r, v_threshold)
        return s, CubaSnntorchState(v, i)
