"""LIF of DECOLLE: the input through two filters, and a refractory trace. Must not know of the method that trains it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from reference_impls.api import SequentialNeuron
from reference_impls.names import check_name
from reference_impls.surrogate import FIRE_RULES, make_surrogate

CARD = {
    "name": "decolle-lif",
    "kind": "neuron",
    "version": 1,
    "title": "LIF of DECOLLE",
    "summary": (
        "The input passes two low-pass filters; a spike pulls the membrane down through a third. Nothing is reset, and "
        "the threshold is 0."
    ),
    "equations": (
        "q[t] = beta q[t-1] + (1 - beta) x[t]; p[t] = alpha p[t-1] + (1 - alpha) q[t-1]; "
        "r[t] = a r[t-1] - (1 - a) w s[t-1]; u[t] = p[t] + bias + r[t]; s[t] = 1 if u[t] > 0; "
        "alpha = decay, beta = current_decay, a = refractory_decay, w = refractory_weight"
    ),
    "citations": [
        {
            "authors": "J. Kaiser, H. Mostafa, E. Neftci",
            "title": "Synaptic Plasticity Dynamics for Deep Continuous Local Learning (DECOLLE)",
            "venue": "Frontiers in Neuroscience 14:424",
            "year": 2020,
            "arxiv": "1811.10766",
            "code": "https://github.com/nmi-lab/decolle-public (commit 28f33a8, LIFLayer)",
        }
    ],
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "second-order",
        "reset": "refractory",
    },
    "defaults": {
        "decay": 0.9,
        "current_decay": 0.85,
        "refractory_decay": 0.65,
        "refractory_weight": 1.0,
        "detach_reset": True,
        "surrogate": {"name": "fast_sigmoid", "params": {"scale": 10.0}},
    },
    "space": {
        "decay": {"low": 0.1, "high": 0.99},
        "current_decay": {"low": 0.0, "high": 0.95},
        "refractory_weight": {"low": 0.1, "high": 4.0, "scale": "log"},
        "surrogate.scale": {"low": 2.0, "high": 50.0, "scale": "log"},
    },
    "changes": "two filters; a refractory trace in place of a reset",
    "divergences": [
        "No matched row: it is not reset, and its threshold is 0.",
        "The authors filter the input spikes and then weight them; a neuron here is given the weighted input and "
        "filters that. The two are one, but for the bias of the map (filtered here, added to u there; `bias` adds one "
        "to u) and for weights that move within a sequence: decolle then weights q and p anew.",
        "The input reaches p one step after q, so a spike follows its cause by a step.",
        "The authors' base variant without normalisation (kept there for compatibility) is not here.",
    ],
}


class DecolleState(NamedTuple):
    """Each ``[B, ...]``."""

    q: Tensor
    """Synaptic current."""
    p: Tensor
    """Filtered current."""
    r: Tensor
    """Refractory trace, not above 0."""
    s: Tensor
    """Spikes of the last step."""


class DecolleLIF(SequentialNeuron):
    """LIF with filtered input and refractory trace.

    Parameters
    ----------
    decay, current_decay : factors on the previous p and q, in [0, 1].
    refractory_decay, refractory_weight : factor on the previous r, in [0, 1], and what a spike adds to it.
    bias : learned, added to the membrane; one value per neuron that broadcasts to a step. None: none.
    fire_rule : ``gt`` fires above 0 only.
    detach_reset : whether spikes carry no gradient into the refractory trace.
    surrogate : of the spike's derivative.

    Golden vectors from the authors' ``LIFLayer``, with DECOLLE's.
    """

    input_filters = ("q", "p")
    """Parts of the state that are linear filters of the input and of nothing else."""

    def __init__(
        self,
        decay: float = 0.9,
        current_decay: float = 0.85,
        refractory_decay: float = 0.65,
        refractory_weight: float = 1.0,
        bias: Sequence[float] | None = None,
        fire_rule: str = "gt",
        detach_reset: bool = True,
        surrogate: str | Mapping[str, Any] = "fast_sigmoid",
    ) -> None:
        super().__init__()
        given = {"decay": decay, "current_decay": current_decay, "refractory_decay": refractory_decay}
        for name, value in given.items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {value}")
        self.decay, self.current_decay, self.refractory_decay = (float(value) for value in given.values())
        self.refractory_weight = float(refractory_weight)
        dtype = torch.get_default_dtype()
        self.bias = None if bias is None else nn.Parameter(torch.as_tensor(bias, dtype=dtype).clone())
        self.fire_rule = check_name("fire_rule", fire_rule, FIRE_RULES)
        self.detach_reset = detach_reset
        self.surrogate = make_surrogate(surrogate)

    def init_state(self, like: Tensor) -> DecolleState:
        """At rest."""
        zero = torch.zeros_like(like)
        return DecolleState(zero, zero, zero, zero)

    def step_params(self) -> dict[str, Tensor]:
        """Return ``{"bias"}`` if there is one."""
        return {} if self.bias is None else {"bias": self.bias}

    def step(self, x: Tensor, state: DecolleState, params: Mapping[str, Tensor]) -> tuple[Tensor, DecolleState]:
        """Filter, add what the last spike costs, fire."""
        before = state.s.detach() if self.detach_reset else state.s
        q = self.current_decay * state.q + (1 - self.current_decay) * x
        p = self.decay * state.p + (1 - self.decay) * state.q
        r = self.refractory_decay * state.r - (1 - self.refractory_decay) * self.refractory_weight * before
        u = p + r
        s = self.surrogate(u + params["bias"] if "bias" in params else u, self.fire_rule)
        return s, DecolleState(q, p, r, s)
