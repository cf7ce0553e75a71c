"""BRF: the balanced resonate-and-fire neuron, a damped oscillator that its own spikes damp further.

With it the plain resonate-and-fire neuron of the same release, which lacks what balances. Must not know of the network
around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reference_impls.api import LayerShape, SequentialNeuron, parameter_shape
from reference_impls.names import check_name
from reference_impls.neurons._adaptive import learned, within
from reference_impls.surrogate import FIRE_RULES, make_surrogate, straight_through

CARD = {
    "name": "brf",
    "kind": "neuron",
    "version": 1,
    "title": "BRF: balanced resonate-and-fire",
    "summary": (
        "An oscillator that fires where its real part passes the threshold. Its damping is held where the Euler step "
        "cannot diverge; a spike raises threshold and damping for a while, in place of a reset. Every neuron draws and "
        "learns its own frequency and damping."
    ),
    "equations": (
        "b = p - abs(b_offset) - q, p = (-1 + sqrt(1 - (dt omega)^2)) / dt; u' = u + dt (b u - omega v + x); v' = v + "
        "dt (omega u + b v); s = 1 if u' > v_threshold + q; q' = refractory_decay q + s"
    ),
    "citations": [
        {
            "authors": "S. Higuchi, S. Kairat, S. M. Bohte, S. Otte",
            "title": "Balanced Resonate-and-Fire Neurons",
            "venue": "ICML",
            "year": 2024,
            "arxiv": "2402.14603",
            "code": "https://github.com/AdaptiveAILab/brf-neurons (commit 5d45b0e)",
        },
        {
            "authors": "E. M. Izhikevich",
            "title": "Resonate-and-fire neurons",
            "venue": "Neural Networks 14(6-7):883-894",
            "year": 2001,
        },
    ],
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "resonator",
        "reset": "refractory",
        "learnable": ["omega", "b_offset"],
        "granularity": "neuron",
    },
    "defaults": {
        "balanced": True,
        "dt": 0.01,
        "omega_range": [15.0, 85.0],
        "b_offset_range": [0.1, 1.0],
        "refractory_decay": 0.9,
        "v_threshold": 1.0,
        "granularity": "neuron",
        "surrogate": {"name": "gaussian", "params": {"sigma": 0.5, "gamma": 0.575}},
        "wide_surrogate": {"name": "gaussian", "params": {"sigma": 3.0, "gamma": -0.15}},
    },
    "space": {
        "dt": {"low": 0.002, "high": 0.011, "scale": "log"},
        "refractory_decay": {"low": 0.5, "high": 0.98},
        "v_threshold": {"low": 0.02, "high": 2.0, "scale": "log"},
        "surrogate.sigma": {"low": 0.1, "high": 2.0, "scale": "log"},
    },
    "changes": "a resonator; spikes raise threshold and damping in place of a reset",
    "variants": {
        "rf": {
            "title": "RF: resonate-and-fire",
            "summary": "As brf, but with a damping that is free to diverge, and spikes that leave no trace.",
            "changes": "a resonator; no reset",
            "params": {"balanced": False},
            "capabilities": {"reset": "none"},
            "overrides": {
                "space": {
                    "dt": {"low": 0.002, "high": 0.011, "scale": "log"},
                    "v_threshold": {"low": 0.02, "high": 2.0, "scale": "log"},
                    "surrogate.sigma": {"low": 0.1, "high": 2.0, "scale": "log"},
                }
            },
        },
        "brf-layer": {
            "title": "BRF, one oscillator a layer",
            "summary": "As brf, but a layer's neurons share one learned damping and frequency, the latter begun at 10.",
            "params": {"granularity": "layer", "omega": 10.0},
            "capabilities": {"granularity": "layer"},
        },
    },
    "divergences": [
        "No matched row: an oscillator whose spikes are never subtracted from it; no setting of it is LIF.",
        "The authors' networks are recurrent, and their read-outs leaky; the feed-forward topologies here are neither.",
        "The input is weighted with dt = 0.01, so a threshold of 1 needs strong currents; the space lets it fall.",
        "Frequencies are kept below 1/dt: beyond it no damping keeps the Euler step from diverging, and the release's "
        "square root is not a number. It also computes that boundary with 0.01 whatever the step; here with dt.",
        "The surrogate is the release's double Gaussian, a narrow bump minus a wide one, both at the threshold: two "
        "of the shared shapes, whose derivatives add.",
        "The row starts from the frequencies and dampings that the authors draw for permuted sequential MNIST; for "
        "SHD they draw 5 to 10 and 2 to 3.",
    ],
}

BELOW_ONE = 1 - 1e-6
"""Largest dt omega: at 1 the divergence boundary has no derivative."""


class BRFState(NamedTuple):
    """The oscillator and what its spikes left, ``[B, ...]`` each."""

    v: Tensor
    """Real part ("u")."""
    i: Tensor
    """Imaginary part ("v")."""
    q: Tensor
    """Refractory variable: recent spikes."""


class BRF(SequentialNeuron):
    """Resonate-and-fire in Euler steps, balanced or not.

    Parameters
    ----------
    balanced : whether damping is measured from the divergence boundary and spikes are refractory; False: plain RF.
    dt : length of a step, which also weights the input.
    omega : initial angular frequency; None: drawn from `omega_range`, or its middle where there is one a layer.
    b_offset : initial damping (beyond the boundary, if balanced); None: likewise from `b_offset_range`.
    omega_range, b_offset_range : least and greatest of what is drawn. Of both the magnitude counts.
    refractory_decay : factor on the refractory variable.
    v_threshold : threshold of the real part at rest.
    fire_rule : ``gt`` does not fire on a tie.
    granularity, shape : whose omega and b_offset are, and the layer's shape; see :func:`parameter_shape`.
    surrogate, wide_surrogate : two derivatives of the spike that are added; the second is negative.

    The paper's divergence boundary, smooth reset and refractory period, as in the README and the ``BRFCell`` and
    ``RFCell`` of the release; golden vectors from both.
    """

    def __init__(
        self,
        balanced: bool = True,
        dt: float = 0.01,
        omega: Any = None,
        b_offset: Any = None,
        omega_range: tuple[float, float] = (15.0, 85.0),
        b_offset_range: tuple[float, float] = (0.1, 1.0),
        refractory_decay: float = 0.9,
        v_threshold: float = 1.0,
        fire_rule: str = "gt",
        granularity: str = "neuron",
        shape: LayerShape | None = None,
        surrogate: str | Mapping[str, Any] = "gaussian",
        wide_surrogate: str | Mapping[str, Any] = "gaussian",
    ) -> None:
        super().__init__()
        if not (dt > 0 and v_threshold > 0 and 0 <= refractory_decay < 1):
            raise ValueError(
                "dt and v_threshold must be positive and refractory_decay in [0, 1), got "
                f"{dt}, {v_threshold} and {refractory_decay}"
            )
        for what, (low, high) in {"omega_range": omega_range, "b_offset_range": b_offset_range}.items():
            if not 0 <= low <= high:
                raise ValueError(f"{what} must be (least, greatest), neither negative, got {(low, high)}")
        self.balanced, self.dt, self.v_threshold = balanced, float(dt), float(v_threshold)
        self.refractory_decay = float(refractory_decay)
        self.fire_rule = check_name("fire_rule", fire_rule, FIRE_RULES)
        own = self.parameter_shape = parameter_shape("brf", granularity, shape)
        self.omega = learned(omega, own, sum(omega_range) / 2, lambda empty: empty.uniform_(*omega_range))
        self.b_offset = learned(b_offset, own, sum(b_offset_range) / 2, lambda empty: empty.uniform_(*b_offset_range))
        self.surrogate = make_surrogate(surrogate)
        self.wide_surrogate = make_surrogate(wide_surrogate)

    def init_state(self, like: Tensor) -> BRFState:
        """At rest."""
        return BRFState(torch.zeros_like(like), torch.zeros_like(like), torch.zeros_like(like))

    def step_params(self) -> dict[str, Tensor]:
        """Return ``{"omega", "b"}``: frequency, and damping (at most 0) without recent spikes."""
        omega = within(self.omega.abs(), 0.0, BELOW_ONE / self.dt)
        b = -self.b_offset.abs()
        if self.balanced:
            b = b + (torch.sqrt(1 - (self.dt * omega) ** 2) - 1) / self.dt
        return {"omega": omega, "b": b}

    def step(self, x: Tensor, state: BRFState, params: Mapping[str, Tensor]) -> tuple[Tensor, BRFState]:
        """Turn and damp, fire, remember the spike."""
        dt, omega, b = self.dt, params["omega"], params["b"]
        if self.balanced:
            b = b - state.q
        u = state.v + b * state.v * dt - omega * state.i * dt + x * dt
        v = state.i + omega * state.v * dt + b * state.i * dt
        s = self.fire(u - self.v_threshold - state.q if self.balanced else u - self.v_threshold)
        return s, BRFState(u, v, self.refractory_decay * state.q + s if self.balanced else state.q)

    def fire(self, above: Tensor) -> Tensor:
        """Return spikes where the membrane is `above` its threshold; their gradient is the sum of both surrogates'."""
        narrow = self.surrogate(above, self.fire_rule)
        return straight_through(narrow, narrow + self.wide_surrogate(above, self.fire_rule))

    def extra_repr(self) -> str:
        """Show what decides the behaviour."""
        return f"balanced={self.balanced}, dt={self.dt:g}, v_threshold={self.v_threshold:g}"
