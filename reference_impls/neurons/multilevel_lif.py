"""Multi-level LIF: spikes of a few bits, and a membrane that only remembers what has not been emitted yet.

The neuron of SNNs with improved inherent recurrence. Their gates need the layer's input twice and its own spikes
through a matrix, which no element-wise step can do; they are the topology ``gated``, and this file is the part of a
layer that belongs to single neurons. Must not know of the network around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reference_impls.api import LayerShape, SequentialNeuron, parameter_shape
from reference_impls.neurons._adaptive import learned
from reference_impls.surrogate import straight_through

CARD = {
    "name": "multilevel-lif",
    "kind": "neuron",
    "version": 2,
    "title": "Multi-level LIF: the traditional model of improved recurrence",
    "summary": (
        "A synaptic current with a learned decay, and a membrane without leak that emits signed multiples of a small "
        "step, or nothing below a threshold, and keeps the rest. The gates that improve it are the topology gated."
    ),
    "equations": (
        "i[t] = current_decay i[t-1] + x[t]; v[t] = r[t-1] + i[t]; s[t] = Q(v[t]); r[t] = v[t] - s[t]; Q(v) = k / "
        "scale, k = trunc(scale clamp(v, -R, R)), 0 where |k| <= q; scale = 2^(b-1) (1 - 1e-4) / R; dQ/dv = 1 within R"
    ),
    "citations": [
        {
            "authors": "W. Ponghiran, K. Roy",
            "title": "Spiking Neural Networks with Improved Inherent Recurrence Dynamics for Sequential Learning",
            "venue": "AAAI 36(7):8001-8008",
            "year": 2022,
            "arxiv": "2109.01905",
            "code": "https://github.com/wponghiran/imp-snns-for-sl (commit 9125ccd)",
        }
    ],
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "graded",
        "membrane": "second-order",
        "reset": "remainder",
        "learnable": ["current_decay"],
        "granularity": "neuron",
    },
    "defaults": {
        "n_bits": 6,
        "level_threshold": 3,
        "max_abs": 4.0,
        "current": True,
        "current_decay": 1.0,
        "granularity": "neuron",
    },
    "space": {
        "current_decay": {"low": 0.3, "high": 1.0},
        "level_threshold": {"low": 1, "high": 16, "scale": "log"},
        "max_abs": {"low": 1.0, "high": 16.0, "scale": "log"},
    },
    "changes": "emits numbers; synaptic current, no leak",
    "variants": {
        "multilevel-if": {
            "title": "Multi-level IF: the accumulator alone",
            "summary": "As multilevel-lif without the current: what the gated layers of the topology gated drive.",
            "params": {"current": False},
            "capabilities": {"membrane": "error-accumulator", "learnable": [], "granularity": "layer"},
        },
        "multilevel-lif-layer": {
            "title": "Multi-level LIF, one decay a layer",
            "summary": "As multilevel-lif, but a layer's neurons share one learned decay of the current.",
            "params": {"granularity": "layer"},
            "capabilities": {"granularity": "layer"},
        },
    },
    "aliases": {"improved-recurrence-snn": {"current": False}},
    "divergences": [
        "No matched row: what it emits are levels, and what is left of the membrane is the reset.",
        "The range R is tracked by the topology gated while it trains, as the released code does; in other networks it "
        "stays at max_abs, which is chosen here.",
        "The decay of the current begins at 1 and is not clamped, as in the released code: an undamped integrator.",
        "One bit emits nothing: trunc of less than 1 is 0. The authors' one-bit runs cannot have used the released "
        "quantiser; it is refused here.",
        "Outputs are multiples of 1/scale, not integers, and signed: a synapse multiplies them, and the counters here "
        "count them as analog values.",
    ],
}

MOMENTUM = 0.1
MARGIN = 1e-4
"""Keeps the largest level below 2^(b-1)."""


class MultilevelState(NamedTuple):
    """Remainder of the membrane and synaptic current, ``[B, ...]`` each."""

    v: Tensor
    """What the last spike left."""
    i: Tensor
    """Synaptic current (the input itself, where there is no current)."""


class MultilevelLIF(SequentialNeuron):
    """Error accumulator with spikes of several bits.

    Parameters
    ----------
    n_bits : b, at least 2; levels go from ``-(2^(b-1) - 1)`` to its negative.
    level_threshold : q: a level of at most this magnitude is not emitted.
    max_abs : R, the range of the quantiser; kept in the state dict, for a topology may have tracked it.
    current : whether there is a synaptic current with a learned decay before the membrane.
    current_decay : initial decay of the current; not clamped.
    granularity, shape : whose the decay is, and the layer's shape; see :func:`parameter_shape`.

    Golden vectors from the authors' ``traditional_spiking_model.py`` and its quantiser.
    """

    max_abs: Tensor
    extremes: Tensor
    observations: Tensor

    def __init__(
        self,
        n_bits: int = 6,
        level_threshold: int = 3,
        max_abs: float = 4.0,
        current: bool = True,
        current_decay: Any = 1.0,
        granularity: str = "neuron",
        shape: LayerShape | None = None,
    ) -> None:
        super().__init__()
        if n_bits < 2:
            raise ValueError(f"n_bits must be at least 2: with {n_bits} no level but 0 is left")
        if not 0 <= level_threshold < 2 ** (n_bits - 1) - 1:
            raise ValueError(f"level_threshold must leave a level of {n_bits} bits to emit, got {level_threshold}")
        if not max_abs > 0:
            raise ValueError(f"max_abs must be positive, got {max_abs}")
        self.levels, self.level_threshold = 2 ** (n_bits - 1), level_threshold
        self.register_buffer("max_abs", torch.tensor(float(max_abs)))
        self.register_buffer("extremes", torch.zeros(2))
        self.register_buffer("observations", torch.zeros(()))
        self.has_current = current
        if current:
            self.parameter_shape = parameter_shape("multilevel-lif", granularity, shape)
            self.current_decay = learned(current_decay, self.parameter_shape, 1.0)

    def init_state(self, like: Tensor) -> MultilevelState:
        """At rest."""
        return MultilevelState(torch.zeros_like(like), torch.zeros_like(like))

    def step_params(self) -> dict[str, Tensor]:
        """Return the range, and the decay of the current if there is one."""
        return {"max_abs": self.max_abs} | ({"current_decay": self.current_decay} if self.has_current else {})

    def step(self, x: Tensor, state: MultilevelState, params: Mapping[str, Tensor]) -> tuple[Tensor, MultilevelState]:
        """Sum the current, accumulate, emit what is large enough, keep the rest."""
        i = params["current_decay"] * state.i + x if self.has_current else x
        v = state.v + i
        s = self.emitted(v, params["max_abs"])
        return s, MultilevelState(v - s, i)

    @torch.no_grad()
    def track_range(self, x: Tensor, state: MultilevelState) -> None:
        """Set R from the membrane that the input `x` is about to give: moving averages of its two extremes.

        The averages forget a tenth at every call and are corrected for their start at 0.
        """
        v = state.v + (self.current_decay * state.i + x if self.has_current else x)
        now = torch.stack([v.min(), v.max()]).to(self.extremes.dtype)
        self.observations = self.observations + 1
        self.extremes = (1 - MOMENTUM) * self.extremes + MOMENTUM * now
        reach = self.extremes.abs().max() / (1 - (1 - MOMENTUM) ** self.observations)
        self.max_abs = torch.where(reach > 0, reach, self.max_abs)

    def emitted(self, v: Tensor, max_abs: Tensor) -> Tensor:
        """Quantise the membrane `v`; the gradient is 1 within the range and 0 outside."""
        scale = self.levels * (1 - MARGIN) / max_abs
        clamped = torch.where(v > max_abs, max_abs, torch.where(v < -max_abs, -max_abs, v))
        # Truncation towards zero, in operations that the fused backends know.
        size = torch.floor(scale * clamped.abs())
        level = torch.where(size <= self.level_threshold, torch.zeros_like(size), torch.sign(clamped) * size)
        return straight_through(level / scale, clamped)

    def extra_repr(self) -> str:
        """Show what decides the behaviour."""
        return f"levels={self.levels}, level_threshold={self.level_threshold}, max_abs={float(self.max_abs):g}"
