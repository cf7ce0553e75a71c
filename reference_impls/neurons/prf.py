"""PRF: the parallel resonate-and-fire neuron, a damped complex oscillator without reset.

Must not know of the network around it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from reference_impls.api import LayerShape, ParallelNeuron, parameter_shape
from reference_impls.names import check_name
from reference_impls.neurons._adaptive import learned
from reference_impls.neurons._scan import filtered
from reference_impls.surrogate import FIRE_RULES, make_surrogate

CARD = {
    "name": "prf",
    "kind": "neuron",
    "version": 2,
    "title": "PRF: parallel resonate-and-fire",
    "summary": (
        "A damped oscillator driven by the input fires wherever its real part reaches the threshold. There is no "
        "reset, so a sequence is one convolution with a decaying cosine. Every channel draws and learns its "
        "own step and frequency."
    ),
    "equations": (
        "u[t] = exp(dt (-1/tau + i theta)) u[t-1] + dt x[t], u complex; s[t] = 1 if Re(u[t]) >= v_threshold; as a "
        "convolution: Re(u) = k * x, k[n] = dt exp(-n dt/tau) cos(n dt theta)"
    ),
    "citations": [
        {
            "authors": ("Y. Huang, Z. Liu, C. Feng, X. Lin, H. Ren, H. Fu, Y. Zhou, H. Xing, B. Cheng"),
            "title": "PRF: Parallel Resonate and Fire Neuron for Long Sequence Learning in Spiking Neural Networks",
            "venue": "arXiv",
            "year": 2024,
            "arxiv": "2410.03530",
        }
    ],
    "capabilities": {
        "parallel": "fft",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "resonator",
        "reset": "none",
        "learnable": ["log_dt", "log_theta"],
        "granularity": "channel",
    },
    "defaults": {
        "tau": 2.0,
        "dt_range": [0.001, 0.1],
        "v_threshold": 1.0,
        "learn": True,
        "granularity": "channel",
        "surrogate": "atan",
    },
    "space": {
        "tau": {"low": 1.1, "high": 32.0, "scale": "log"},
        "v_threshold": {"low": 0.25, "high": 4.0, "scale": "log"},
        "surrogate.alpha": {"low": 0.5, "high": 8.0, "scale": "log"},
    },
    "changes": "a resonator; no reset",
    "variants": {
        "prf-fixed": {
            "title": "PRF, fixed oscillation",
            "summary": "As prf, with steps and frequencies fixed as they are drawn.",
            "params": {"learn": False},
            "capabilities": {"learnable": []},
        },
        "prf-layer": {
            "title": "PRF, one oscillator a layer",
            "summary": "As prf, but a layer's neurons share one learned step (of length 1 at first) and frequency.",
            "params": {"granularity": "layer", "dt": 1.0, "theta": 0.5},
            "capabilities": {"granularity": "layer"},
        },
    },
    "divergences": [
        "No matched row: without a reset by design; a real pole would be a filter, not a resonator.",
        "No golden vectors: equations, what is learned, how it is drawn and the surrogate are those of a released "
        "class (ParallelResonateFire, whose tau is 2 and fixed), and the tests restate the equations step by step.",
        "In a public implementation the serial form thresholds the imaginary part, and updates it with a real part "
        "that has moved already; the parallel form thresholds the real part. This follows the parallel form.",
        "The release gives both logarithms a learning rate of their own, 0.001; here they have the task's.",
        "The decoupled LIF reset of the same paper is known from its abstract only and is not here.",
    ],
}


class PRF(ParallelNeuron):
    """Resonate-and-fire without reset.

    Parameters
    ----------
    tau : time constant of the damping, in the time that `dt` measures; not learned.
    dt_range : least and greatest length of a step, between which each is drawn, uniformly in its logarithm.
    dt : initial length of a step; None: drawn, or the middle of the range where there is one a layer.
    theta : initial angular frequency; None: drawn uniformly up to 2 pi, or pi where there is one a layer.
    learn : whether dt and theta are learned, as their logarithms.
    granularity, shape : whose they are, and the layer's shape; see :func:`parameter_shape`.
    v_threshold : threshold of the real part.
    fire_rule : ``ge`` fires on a tie, ``gt`` does not.
    surrogate : as everywhere.
    """

    def __init__(
        self,
        tau: float = 2.0,
        dt_range: tuple[float, float] = (0.001, 0.1),
        dt: float | None = None,
        theta: float | None = None,
        learn: bool = True,
        granularity: str = "channel",
        shape: LayerShape | None = None,
        v_threshold: float = 1.0,
        fire_rule: str = "ge",
        surrogate: str | Mapping[str, Any] = "atan",
    ) -> None:
        super().__init__()
        if not (tau > 0 and 0 < dt_range[0] <= dt_range[1] and (dt is None or dt > 0)):
            raise ValueError(f"tau and lengths of a step must be positive, got tau {tau}, dt {dt}, range {dt_range}")
        if theta is not None and not theta > 0:
            raise ValueError(f"theta must be positive, got {theta}: its logarithm is stored")
        own = self.parameter_shape = parameter_shape("prf", granularity, shape)
        low, high = (math.log(length) for length in dt_range)
        self.log_dt = learned(dt and math.log(dt), own, (low + high) / 2, lambda empty: empty.uniform_(low, high))
        self.log_theta = learned(theta and math.log(theta), own, math.log(math.pi), _log_of_a_full_turn)
        self.log_dt.requires_grad_(learn)
        self.log_theta.requires_grad_(learn)
        self.tau, self.v_threshold = float(tau), float(v_threshold)
        self.fire_rule = check_name("fire_rule", fire_rule, FIRE_RULES)
        self.surrogate = make_surrogate(surrogate)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x[T, B, ...]`` to spikes of the same shape."""
        self.check_features(x.shape[2:])
        return self.surrogate(self.membrane(x) - self.v_threshold, self.fire_rule)

    def membrane(self, x: Tensor) -> Tensor:
        """Return the real part of the oscillator ``[T, B, ...]``."""
        return filtered(self.kernel(x.shape[0], x), x)

    def kernel(self, steps: int, like: Tensor) -> Tensor:
        """Return the real part's response to a unit input at step 0, ``[T, *parameter_shape]``."""
        dt, theta = self.log_dt.exp(), self.log_theta.exp()
        n = torch.arange(steps, device=like.device, dtype=dt.dtype).view(-1, *[1] * dt.dim())
        response: Tensor = dt * torch.exp(-n * dt / self.tau) * torch.cos(n * dt * theta)
        return response.to(like.dtype)


def _log_of_a_full_turn(empty: Tensor) -> Tensor:
    """Fill `empty` with logarithms of angles drawn uniformly from (0, 2 pi]."""
    return empty.uniform_(0, 1).neg_().add_(1).mul_(2 * math.pi).log_()
