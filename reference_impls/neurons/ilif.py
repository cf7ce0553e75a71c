"""I-LIF: integer-valued while it trains, spikes while it infers.

A layer emits whole numbers up to D; at inference each stands for so many spikes in D virtual steps, which a synapse
adds up to the same current. Must not know of the network around it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from reference_impls.api import SequentialNeuron
from reference_impls.names import check_name
from reference_impls.neurons._membrane import MembraneState, resolve_decay
from reference_impls.surrogate import straight_through

CARD = {
    "name": "ilif",
    "kind": "neuron",
    "version": 1,
    "title": "I-LIF: integer LIF, expanded to spikes",
    "summary": (
        "A LIF neuron that emits its membrane, rounded to a whole number of thresholds and at most D of them. What is "
        "emitted is subtracted. Training sees integers; inference sends each as that many spikes in D virtual steps."
    ),
    "equations": (
        "h[t] = decay (h[t-1] - s[t-1]) + x[t], s detached; s[t] = round(clip(h[t], 0, D)); ds/dh = 1 within [0, D], "
        "else 0; inference: W s[t] = sum over D virtual steps of W s'[t, d], s' in {0, 1}, sum_d s' = s"
    ),
    "citations": [
        {
            "authors": "X. Luo, M. Yao, Y. Chou, B. Xu, G. Li",
            "title": (
                "Integer-Valued Training and Spike-Driven Inference Spiking Neural Network for High-performance and "
                "Energy-efficient Object Detection"
            ),
            "venue": "ECCV",
            "year": 2024,
            "arxiv": "2407.20708",
            "code": "https://github.com/BICLab/SpikeYOLO (commit 309ef5e)",
        }
    ],
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "graded",
        "membrane": "linear-rounded",
        "reset": "soft",
    },
    "defaults": {"decay": 0.25, "max_level": 4, "rounding": "nearest", "detach_reset": True},
    "space": {
        "decay": {"low": 0.0, "high": 0.95},
        "max_level": {"low": 1, "high": 8},
        "rounding": {"choices": ["nearest", "down"]},
    },
    "changes": "emits up to D spikes, from half a threshold on; straight-through gradient, faster leak",
    "variants": {
        "ilif-matched": {
            "title": "I-LIF, matched to LIF",
            "summary": "LIF's decay and threshold, and nothing changed but that up to D spikes leave in one step.",
            "changes": "emits up to D spikes a step; straight-through gradient",
            "params": {"decay": 0.5, "rounding": "down"},
            "overrides": {
                "space": {"decay": {"low": 0.0, "high": 0.95}, "max_level": {"low": 1, "high": 8}},
            },
        },
    },
    "divergences": [
        "A membrane halfway between two levels is rounded up here, to the even level by the release.",
        "What is emitted counts as so many spikes, as the virtual steps would send: counters and energy are those of "
        "the expanded network, and a task's T those of the unexpanded one. `expanded` gives the spikes themselves.",
        "A straight-through estimator within [0, D] belongs to the integers: ilif-matched with D = 1 fires as lif "
        "does, but its gradient is not lif's.",
        "The paper detects objects; no figure of its tasks can be set beside one here.",
    ],
}

ROUNDINGS = ("nearest", "down")


class ILIF(SequentialNeuron):
    """LIF with whole numbers as output.

    Parameters
    ----------
    decay : factor on what the last spikes left of the membrane, in [0, 1].
    max_level : D, most spikes in a step.
    rounding : ``nearest``, as the authors have it; ``down``: to whole thresholds that are reached, as LIF counts.
    fire_rule : ``ge`` alone: a membrane on the edge of a level reaches it.
    detach_reset : whether what is subtracted carries no gradient.

    Raises
    ------
    ValueError
        If a value is out of its domain or a word not known.

    Golden vectors from the authors' ``mem_update``.
    """

    def __init__(
        self,
        decay: float = 0.25,
        max_level: int = 4,
        rounding: str = "nearest",
        fire_rule: str = "ge",
        detach_reset: bool = True,
    ) -> None:
        super().__init__()
        if max_level < 1:
            raise ValueError(f"max_level must be at least 1, or nothing is ever emitted; got {max_level}")
        self.decay = resolve_decay(2.0, float(decay), "euler")
        self.max_level = max_level
        self.rounding = check_name("rounding of ilif", rounding, ROUNDINGS)
        self.fire_rule = check_name("fire_rule of ilif", fire_rule, ("ge",))
        self.detach_reset = detach_reset

    def init_state(self, like: Tensor) -> MembraneState:
        """At rest."""
        return MembraneState(torch.zeros_like(like))

    def step(self, x: Tensor, state: MembraneState, params: Mapping[str, Tensor]) -> tuple[Tensor, MembraneState]:
        """Charge, emit what is there in whole thresholds, subtract it."""
        h = self.decay * state.v + x
        within = h.clamp(0.0, float(self.max_level))
        s = straight_through(torch.floor(within + 0.5 if self.rounding == "nearest" else within), within)
        return s, MembraneState(h - (s.detach() if self.detach_reset else s))

    def expanded(self, spikes: Tensor) -> Tensor:
        """Return the spikes that inference sends for integers ``[T, B, ...]``: ``[T * D, B, ...]`` of 0 and 1.

        An integer n is n ones followed by zeros, in the D virtual steps that its step becomes.
        """
        virtual = torch.arange(self.max_level, device=spikes.device, dtype=spikes.dtype)
        ones = spikes.unsqueeze(1) > virtual.view(1, -1, *[1] * (spikes.dim() - 1))
        return torch.flatten(ones.to(spikes.dtype), 0, 1)

    def extra_repr(self) -> str:
        """Show what decides the behaviour."""
        return f"decay={self.decay:g}, max_level={self.max_level}, rounding={self.rounding}"
