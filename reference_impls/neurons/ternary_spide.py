"""SPIDE's ternary neuron: the couple of a +1 and a -1 neuron that carries errors back, as a neuron of its own.

SPIDE runs it in its backward stage only and never differentiates it; as a row it can be compared with the other
ternary neurons. Must not know of the training method.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from reference_impls.neurons._membrane import MembraneNeuron, MembraneState
from reference_impls.surrogate import heaviside

CARD = {
    "name": "ternary-spide",
    "kind": "neuron",
    "version": 1,
    "title": "SPIDE's ternary couple, IF",
    "summary": (
        "Fires +A at the threshold and -A at its negative, A twice the threshold unless u_rest says otherwise, and "
        "subtracts what it emits. A pair of one-sided neurons that reset each other, written as one signed neuron."
    ),
    "equations": (
        "u <- u + x; q = 1 if u >= v_threshold, -1 if u <= -v_threshold, else 0; s = A q, A = v_threshold - u_rest; "
        "u <- decay (u - A q)"
    ),
    "citations": [
        {
            "authors": "M. Xiao, Q. Meng, Z. Zhang, Y. Wang, Z. Lin",
            "title": "SPIDE: A purely spike-based method for training feedback spiking neural networks",
            "venue": "Neural Networks 161:9-24",
            "year": 2023,
            "arxiv": "2302.00232",
            "code": "https://github.com/pkuxmq/SPIDE-FSNN (commit 54e4338)",
        }
    ],
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "ternary",
        "membrane": "linear",
        "reset": "soft-signed",
    },
    "defaults": {"decay": 1.0, "v_threshold": 0.5, "detach_reset": True, "surrogate": "atan"},
    "space": {
        "decay": {"low": 0.5, "high": 1.0},
        "v_threshold": {"low": 0.1, "high": 2.0, "scale": "log"},
        "surrogate.alpha": {"low": 0.5, "high": 8.0, "scale": "log"},
    },
    "changes": "spikes of both signs, of twice the threshold; no leak",
    "variants": {
        "ternary-spide-leaky": {
            "title": "SPIDE's ternary couple, LIF",
            "summary": "As ternary-spide, but the membrane leaks by 0.9 after the reset.",
            "params": {"decay": 0.9},
        },
    },
    "divergences": [
        "No matched row: ternary-lif-matched is the ternary neuron with lif's conventions.",
        "SPIDE finds gradients by running this neuron to an equilibrium and needs no surrogate. To train it forward by "
        "BPTT these rows take that of the other soft-reset rows at both thresholds; surrogate=None gives none.",
        "The leak of the paper's LIF rows is not stated; 0.9 stands here.",
        "SpikingJelly's ternary neurons subtract one threshold and leak before the input is added: see ternary-lif.",
    ],
}


class TernarySPIDE(MembraneNeuron):
    """Signed integrate and fire with a soft reset, leak after the reset; emits ``A q``, q in -1, 0 and 1.

    Parameters
    ----------
    v_threshold : fires +1 at it and -1 at its negative.
    u_rest : sets the amplitude, ``v_threshold - u_rest``; None: ``-v_threshold``.
    amplitude : height A of a spike; None: from `u_rest`.
    reset_amount : what a spike subtracts; None: the amplitude.
    decay : factor on the membrane after the reset, in [0, 1] (SPIDE's leak); 1 is the IF neuron.
    fire_rule : ``ge`` fires on a tie at either threshold, ``gt`` at neither.
    v_init : membrane before the first step.
    detach_reset : whether the spike inside the reset carries no gradient.
    surrogate : as everywhere, used at both thresholds; None: spikes carry no gradient, as in SPIDE.

    Golden vectors from the authors' backward stage with a network that feeds nothing back.
    """

    settled = ("reset_mode", "v_reset")

    def __init__(
        self,
        v_threshold: float = 0.5,
        u_rest: float | None = None,
        amplitude: float | None = None,
        reset_amount: float | None = None,
        decay: float = 1.0,
        fire_rule: str = "ge",
        v_init: float | None = None,
        detach_reset: bool = True,
        surrogate: str | Mapping[str, Any] | None = "atan",
    ) -> None:
        rest = -v_threshold if u_rest is None else u_rest
        height = v_threshold - rest if amplitude is None else float(amplitude)
        if not height > 0:
            raise ValueError(f"the amplitude must be positive, got {height}: u_rest must lie below v_threshold")
        removed = height if reset_amount is None else reset_amount
        super().__init__(
            v_threshold=v_threshold,
            fire_rule=fire_rule,
            v_init=v_init,
            reset_amount=removed,
            detach_reset=detach_reset,
            surrogate=surrogate or "atan",
        )
        if not 0 <= decay <= 1:
            raise ValueError(f"decay must lie in [0, 1], got {decay}; it multiplies the membrane after the reset")
        self._decay = float(decay)
        self.amplitude = height
        self.differentiable = surrogate is not None

    @property
    def decay(self) -> float:
        """Factor on the membrane between steps."""
        return self._decay

    def step(self, x: Tensor, state: MembraneState, params: Mapping[str, Tensor]) -> tuple[Tensor, MembraneState]:
        """Charge, fire up or down, reset, leak."""
        u = state.v + x
        q = self._one_sided(u) - self._one_sided(-u)
        left = self.reset(u, q).v
        return (q if self.amplitude == 1 else self.amplitude * q), MembraneState(self.decay * left)

    def average(self, s: Tensor) -> Tensor:
        """Return what SPIDE reads out of the spikes ``s[T, B, ...]``: their leak-weighted average, ``[B, ...]``."""
        weights = self.decay ** torch.arange(s.shape[0] - 1, -1, -1, dtype=s.dtype, device=s.device)
        return torch.tensordot(weights / weights.sum(), s, dims=1)

    def _one_sided(self, u: Tensor) -> Tensor:
        return self.fire(u) if self.differentiable else heaviside(u - self.v_threshold, self.fire_rule)
