"""CLIF: a LIF neuron with a second, complementary potential that makes the reset stronger after recent spikes.

The complementary potential also gives gradients a path through time that firing does not cut. Must not know of the
network around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reference_impls.names import check_name
from reference_impls.neurons._membrane import Membrane, MembraneNeuron, resolve_decay, resolve_input_gain

CARD = {
    "name": "clif",
    "kind": "neuron",
    "version": 1,
    "title": "CLIF: complementary leaky integrate and fire",
    "summary": (
        "LIF with a complementary potential m that sums recent spikes and decays with the membrane; a spike subtracts "
        "the threshold plus sigmoid(m). Nothing is learned and nothing detached."
    ),
    "equations": (
        "h = (1 - 1/tau) v + x; s = 1 if h >= v_threshold; m <- m sigmoid(h/tau) + s; "
        "v = h - s (v_threshold + sigmoid(m)) with the new m"
    ),
    "citations": [
        {
            "authors": "Y. Huang, X. Lin, H. Ren, H. Fu, Y. Zhou, Z. Liu, B. Pan, B. Cheng",
            "title": "CLIF: Complementary leaky integrate-and-fire neuron for spiking neural networks",
            "venue": "ICML (PMLR 235:19949-19972)",
            "year": 2024,
            "arxiv": "2402.04663",
            "code": "https://github.com/HuuYuLong/Complementary-LIF (commit d76af59)",
        }
    ],
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "linear",
        "reset": "soft-complementary",
    },
    "defaults": {
        "tau": 2.0,
        "v_threshold": 1.0,
        "detach_reset": False,
        "surrogate": {"name": "rectangle", "params": {"width": 1.0}},
    },
    "space": {
        "tau": {"low": 1.1, "high": 32.0, "scale": "log"},
        "v_threshold": {"low": 0.25, "high": 4.0, "scale": "log"},
        "input_gain": {"choices": ["one", "one_minus_decay"]},
        "surrogate.width": {"low": 0.3, "high": 4.0, "scale": "log"},
    },
    "changes": "two states: a stronger reset after spikes; gradient through the reset",
    "variants": {
        "clif-matched": {
            "title": "CLIF, matched to LIF",
            "summary": "LIF's surrogate and detached reset, and nothing changed but the complementary potential.",
            "changes": "two states: a stronger reset after spikes",
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
        "No setting turns the complementary potential off: clif-matched equals lif up to a neuron's first spike. "
        "Its spikes carry no gradient into m, as in lif's reset; the path through the decay of m stays.",
        "Of the three classes in the authors' repository, CLIFSpike overwrites m with sigmoid(m) at the reset and is "
        "another neuron (about 1.5 % of spikes differ on random input). This row follows the paper, the class of the "
        "training script and SpikingJelly, which agree.",
        "The authors also convert a trained CLIF network to LIF neurons with a hard reset slightly below 0, at a loss "
        "of 0.3 to 1.4 points; that is not this row.",
        "The paper names its rectangle by its width, SpikingJelly by its height; both are 1 here.",
    ],
}


class CLIFState(NamedTuple):
    """Membrane and complementary potential, ``[B, ...]`` each."""

    v: Tensor
    """Membrane potential after reset."""
    m: Tensor
    """Complementary potential, with this step's spike added."""


class CLIF(MembraneNeuron):
    """LIF with a complementary potential.

    Parameters
    ----------
    tau : membrane time constant in time steps, >= 1; it also divides the membrane inside the decay of m.
    decay, decay_rule, input_gain, decay_input : as in ``lif``; `decay` overrides `tau` in the charge only.
    reset_mode : ``soft`` alone: the complementary potential is part of what a spike subtracts.
    detach_reset : whether the spike carries no gradient in the reset and in m. The paper's never does this: the
        gradient through m is its point.
    **membrane : see :class:`Membrane`.

    Golden vectors from the authors' ``MultiStepCLIFNeuron``.
    """

    defaults = Membrane(detach_reset=False, surrogate="rectangle")
    settled = ("v_reset", "reset_amount")

    def __init__(
        self,
        tau: float = 2.0,
        decay: float | None = None,
        decay_rule: str = "euler",
        input_gain: str = "one",
        decay_input: bool | None = None,
        **membrane: Any,
    ) -> None:
        super().__init__(**membrane)
        check_name("reset_mode of clif", self.reset_mode, ("soft",))
        self._decay = resolve_decay(tau, decay, decay_rule)
        self.tau = float(tau)
        self.gain = 1.0 if resolve_input_gain(input_gain, decay_input) == "one" else 1 - self._decay

    @property
    def decay(self) -> float:
        """Factor on the previous membrane."""
        return self._decay

    def init_state(self, like: Tensor) -> CLIFState:  # type: ignore[override]
        """Return ``v = v_init`` and ``m = 0`` everywhere."""
        return CLIFState(torch.full_like(like, self.v_init), torch.zeros_like(like))

    def step(self, x: Tensor, state: CLIFState, params: Mapping[str, Tensor]) -> tuple[Tensor, CLIFState]:
        """Charge, decay m with the membrane before reset, fire, add the spike to m, reset with the new m."""
        h = self.decay * state.v + (x if self.gain == 1 else self.gain * x)
        s = self.fire(h)
        removed = s.detach() if self.detach_reset else s
        m = state.m * torch.sigmoid(h / self.tau) + removed
        return s, CLIFState(h - removed * (self.v_threshold + torch.sigmoid(m)), m)
