"""TC-LIF: a soma that integrates its dendrite, and a dendrite that the soma discharges.

Must not know of the network around it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from reference_impls.neurons._adaptive import AdaptiveNeuron, learned

CARD = {
    "name": "tc-lif",
    "kind": "neuron",
    "version": 1,
    "title": "TC-LIF: two-compartment LIF",
    "summary": (
        "The input charges a dendrite, the dendrite charges the soma, and the soma takes from the dendrite; neither "
        "leaks by itself. A spike is subtracted from both. The two couplings are learned, one pair a layer."
    ),
    "equations": (
        "d <- d + beta1 v + x; v <- v + beta2 d (the new d); s = 1 if v >= v_threshold; then d <- d - dendritic_reset "
        "s, v <- v - v_threshold s; beta1 = -sigmoid(raw_beta1), beta2 = sigmoid(raw_beta2)"
    ),
    "citations": [
        {
            "authors": "S. Zhang, Q. Yang, C. Ma, J. Wu, H. Li, K. C. Tan",
            "title": "TC-LIF: A Two-Compartment Spiking Neuron Model for Long-Term Sequential Modelling",
            "venue": "AAAI",
            "year": 2024,
            "arxiv": "2308.13250",
            "doi": "10.1609/AAAI.V38I15.29625",
            "code": "https://github.com/ZhangShimin1/TC-LIF (commit 1d24704)",
        }
    ],
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "two-compartment",
        "reset": "soft",
        "learnable": ["raw_beta1", "raw_beta2"],
    },
    "defaults": {
        "raw_beta1": 0.0,
        "raw_beta2": 0.0,
        "dendritic_reset": 0.5,
        "v_threshold": 1.0,
        "detach_reset": False,
        "surrogate": {"name": "triangular", "params": {"alpha": 1.0}},
    },
    "space": {
        "dendritic_reset": {"low": 0.1, "high": 2.0, "scale": "log"},
        "v_threshold": {"low": 0.25, "high": 4.0, "scale": "log"},
        "raw_beta1": {"low": -2.0, "high": 2.0},
        "raw_beta2": {"low": -2.0, "high": 2.0},
    },
    "changes": "two states: a dendrite before the soma, both without leak; gradient through the reset",
    "divergences": [
        "No matched row: neither compartment leaks, so no setting of the couplings gives a LIF neuron back.",
        "The paper's update (supplementary material, table 4) subtracts the last spike when the next step charges, so "
        "the soma acts on the dendrite with what it was before its reset; in the released class, which this follows, "
        "it acts with what the reset left.",
        "The released script hands one tensor of couplings to every layer, whose parameters share its memory: all "
        "layers move together. Here each layer learns its own pair.",
        "The authors start from other couplings, thresholds and dendritic resets on each data set (supplementary "
        "material, table 5); this row has those of S-MNIST, feed-forward.",
    ],
}


class TCLIFState(NamedTuple):
    """Both compartments after the reset, ``[B, ...]`` each."""

    v: Tensor
    """Potential of the soma ("U^S")."""
    d: Tensor
    """Potential of the dendrite ("U^D")."""


class TCLIF(AdaptiveNeuron):
    """Two compartments, coupled both ways.

    Parameters
    ----------
    raw_beta1, raw_beta2 : initial couplings before the sigmoid, learned: the soma's on the dendrite (which is
        negative) and the dendrite's on the soma. 0 is a half.
    dendritic_reset : what a spike subtracts from the dendrite ("gamma").
    v_threshold : threshold of the soma, and what a spike subtracts from it.
    fire_rule, v_init, detach_reset, surrogate : see :class:`AdaptiveNeuron`.

    The step is Eqs. 10-12 of the paper in the order of the released ``TCLIFNode``; the surrogate is Eq. 21 of its
    supplementary material. Golden vectors from that class.
    """

    def __init__(
        self,
        raw_beta1: float = 0.0,
        raw_beta2: float = 0.0,
        dendritic_reset: float = 0.5,
        v_threshold: float = 1.0,
        fire_rule: str = "ge",
        v_init: float = 0.0,
        detach_reset: bool = False,
        surrogate: str | Mapping[str, Any] = "triangular",
    ) -> None:
        super().__init__(v_threshold, fire_rule, v_init, detach_reset, surrogate)
        if not (dendritic_reset >= 0 and math.isfinite(dendritic_reset)):
            raise ValueError(f"dendritic_reset must be at least 0, got {dendritic_reset}")
        self.dendritic_reset = float(dendritic_reset)
        self.raw_beta1: nn.Parameter = learned(raw_beta1, (), 0.0)
        self.raw_beta2: nn.Parameter = learned(raw_beta2, (), 0.0)

    def init_state(self, like: Tensor) -> TCLIFState:
        """Return a soma at `v_init` and an uncharged dendrite."""
        return TCLIFState(torch.full_like(like, self.v_init), torch.zeros_like(like))

    def step_params(self) -> dict[str, Tensor]:
        """Return ``{"beta1", "beta2"}``, the couplings with their signs."""
        return {"beta1": -torch.sigmoid(self.raw_beta1), "beta2": torch.sigmoid(self.raw_beta2)}

    def step(self, x: Tensor, state: TCLIFState, params: Mapping[str, Tensor]) -> tuple[Tensor, TCLIFState]:
        """Charge the dendrite, charge the soma with it, fire, reset both."""
        d = state.d + params["beta1"] * state.v + x
        v = state.v + params["beta2"] * d
        s = self.surrogate(v - self.v_threshold, self.fire_rule)
        removed = self.resetting(s)
        return s, TCLIFState(v - removed * self.v_threshold, d - removed * self.dendritic_reset)
