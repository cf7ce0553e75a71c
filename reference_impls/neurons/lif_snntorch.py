"""LIF in the conventions of snnTorch's ``Leaky``: the reset comes one step late, the input is never decayed.

A row of its own because the same decay and threshold give other spikes than ``lif``. Must not know of the network
around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from reference_impls.neurons._membrane import MembraneState
from reference_impls.neurons._snntorch import SnntorchNeuron

CARD = {
    "name": "lif-beta-snntorch",
    "kind": "neuron",
    "version": 1,
    "title": "LIF, snnTorch's Leaky",
    "summary": (
        "LIF as snnTorch defines it: a spike subtracts the whole threshold in the next step, a tie does not fire, the "
        "reset carries no gradient. snnTorch names no decay; 0.5 stands here so that the row compares with lif."
    ),
    "equations": (
        "r[t] = 1 if v[t-1] > v_threshold (no gradient); subtract v[t] = decay v[t-1] + x[t] - r[t] v_threshold, zero "
        "v[t] = decay (1 - r[t]) v[t-1] + x[t]; s[t] = 1 if v[t] > v_threshold; decay clamped to [0, 1]"
    ),
    "citations": [
        {
            "authors": "J. K. Eshraghian, M. Ward, E. Neftci, X. Wang, G. Lenz, and others",
            "title": "Training spiking neural networks using lessons from deep learning",
            "venue": "Proceedings of the IEEE 111(9):1016-1054",
            "year": 2023,
            "arxiv": "2109.12894",
            "code": "https://github.com/jeshraghian/snntorch (Leaky, release 1.0.0)",
        }
    ],
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "linear",
        "reset": "soft-next-step",
    },
    "defaults": {
        "decay": 0.5,
        "v_threshold": 1.0,
        "reset_mode": "soft",
        "reset_timing": "next_step",
        "detach_reset": True,
        "surrogate": "atan",
    },
    "space": {
        "decay": {"low": 0.1, "high": 0.99},
        "v_threshold": {"low": 0.25, "high": 4.0, "scale": "log"},
        "surrogate.alpha": {"low": 0.5, "high": 8.0, "scale": "log"},
    },
    "changes": "late reset: snnTorch's LIF",
    "variants": {
        "lif-beta-snntorch-zero": {
            "title": "LIF, snnTorch's Leaky, reset to zero",
            "summary": "As lif-beta-snntorch, but a neuron that fired starts the next step from 0.",
            "params": {"reset_mode": "hard"},
            "capabilities": {"reset": "hard-next-step"},
        },
        "lif-beta-snntorch-immediate": {
            "title": "LIF, snnTorch's Leaky, reset at once",
            "summary": "As lif-beta-snntorch with reset_delay=False: the reset is completed in the step of the spike.",
            "params": {"reset_timing": "same_step"},
            "capabilities": {"reset": "soft-corrected"},
        },
        "lif-beta-snntorch-learned": {
            "title": "LIF, snnTorch's Leaky, decay and threshold learned",
            "summary": "As lif-beta-snntorch with learn_beta and learn_threshold, one of each a layer.",
            "params": {"learn_decay": True, "learn_threshold": True},
            "capabilities": {"membrane": "linear-learned-decay", "learnable": ["raw_decay", "v_threshold"]},
        },
    },
    "aliases": {"lif-snntorch": {}},
    "divergences": [
        "No matched row: it is LIF, in another library's convention.",
        "The full threshold is subtracted one step later and is not decayed itself, so after that step more has been "
        "removed than by lif's soft reset: inputs 2.5, 0, 0 with decay 0.5 leave 0.125 here and 0.375 there.",
        "A learned decay is stored unclamped and clamped at use, so its gradient vanishes outside [0, 1].",
        "snnTorch never lets gradient through the late reset; the correction that reset_delay=False adds in the "
        "spike's own step does carry it, and so does the row lif-beta-snntorch-immediate.",
    ],
}


class LIFSnntorch(SnntorchNeuron):
    """Leaky integrate and fire with a late reset.

    Parameters
    ----------
    decay : factor on the previous membrane, in [0, 1] (snnTorch's beta).
    learn_decay : whether the decay is learned, one a layer.
    **others : see :class:`SnntorchNeuron`.

    The state's ``v`` is the membrane that snnTorch returns: before the reset for ``next_step``, after it for
    ``same_step``. Golden vectors from snnTorch 1.0.0 ``Leaky``.
    """

    raw_decay: Tensor

    def __init__(
        self,
        decay: float = 0.5,
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
        self._hold_decay("decay", decay, learn_decay)

    @property
    def decay(self) -> float:
        """Factor on the previous membrane."""
        return float(self.raw_decay.detach().clamp(0, 1))

    def init_state(self, like: Tensor) -> MembraneState:
        """Return ``v = v_init`` everywhere."""
        return MembraneState(torch.full_like(like, self.v_init))

    def step_params(self) -> dict[str, Tensor]:
        """Return decay and threshold, scalars."""
        return {"decay": self.raw_decay.clamp(0, 1), "v_threshold": self.v_threshold}

    def step(self, x: Tensor, state: MembraneState, params: Mapping[str, Tensor]) -> tuple[Tensor, MembraneState]:
        """Charge while resetting what fired before, fire."""
        decay, v_threshold = params["decay"], params["v_threshold"]
        r = self.late_reset(state.v, v_threshold)
        v = (1 - r) * state.v if self.reset_mode == "hard" else state.v
        h = decay * v + x
        if self.reset_mode == "soft":
            h = h - r * v_threshold
        s, v = self.fire(h, r, v_threshold)
        return s, MembraneState(v)
