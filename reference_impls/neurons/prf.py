"""PRF: the parallel resonate-and-fire neuron, a damped complex oscillator without reset.

Must not know of the network around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from reference_impls.api import ParallelNeuron
from reference_impls.names import check_name
from reference_impls.neurons._parallel import mix_over_time
from reference_impls.neurons._scan import LONGEST_MATRIX, convolved, toeplitz
from reference_impls.surrogate import FIRE_RULES, make_surrogate

CARD = {
    "name": "prf",
    "kind": "neuron",
    "version": 1,
    "title": "PRF: parallel resonate-and-fire",
    "summary": (
        "A damped oscillator driven by the input fires wherever its real part reaches the threshold. There is no "
        "reset, so a sequence is one convolution with a decaying cosine."
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
        "learnable": ["tau", "theta"],
    },
    "defaults": {"tau": 2.0, "theta": 0.5, "dt": 1.0, "v_threshold": 1.0, "learn": True, "surrogate": "atan"},
    "variants": {
        "prf-fixed": {
            "title": "PRF, fixed oscillation",
            "summary": "As prf, with time constant and frequency fixed.",
            "params": {"learn": False},
            "capabilities": {"learnable": []},
        }
    },
    "reported": [
        {
            "task": "training, T = 1k to 32k",
            "metric": "training_speedup_over_lif_ratio",
            "value": 16.5,
            "where": "abstract",
            "note": "the largest of 6.57 to 16.5; for the decoupled LIF reset, which is not here",
        }
    ],
    "divergences": [
        "No golden vectors: the equations were taken from a description of the code, and the tests restate them step "
        "by step.",
        "In a public implementation the serial form thresholds the imaginary part, and updates it with a real part "
        "that has moved already; the parallel form thresholds the real part. This follows the parallel form.",
        "Initial tau, theta and dt, what is learned (one a layer) and the surrogate are chosen here.",
        "The decoupled LIF reset of the same paper is known from its abstract only and is not here.",
    ],
}

LEAST_TAU = 1e-3


class PRF(ParallelNeuron):
    """Resonate-and-fire without reset.

    Parameters
    ----------
    tau : initial time constant of the damping, in units of `dt`'s time; at least 0.001 at use.
    theta : initial angular frequency.
    dt : length of a step.
    v_threshold : threshold of the real part.
    learn : whether tau and theta are learned, one of each a layer.
    fire_rule : ``ge`` fires on a tie, ``gt`` does not.
    surrogate : as everywhere.
    """

    def __init__(
        self,
        tau: float = 2.0,
        theta: float = 0.5,
        dt: float = 1.0,
        v_threshold: float = 1.0,
        learn: bool = True,
        fire_rule: str = "ge",
        surrogate: str | Mapping[str, Any] = "atan",
    ) -> None:
        super().__init__()
        if not (tau > 0 and dt > 0):
            raise ValueError(f"tau and dt must be positive, got {tau} and {dt}")
        self.tau = nn.Parameter(torch.tensor(float(tau)), requires_grad=learn)
        self.theta = nn.Parameter(torch.tensor(float(theta)), requires_grad=learn)
        self.dt, self.v_threshold = float(dt), float(v_threshold)
        self.fire_rule = check_name("fire_rule", fire_rule, FIRE_RULES)
        self.surrogate = make_surrogate(surrogate)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x[T, B, ...]`` to spikes of the same shape."""
        return self.surrogate(self.membrane(x) - self.v_threshold, self.fire_rule)

    def membrane(self, x: Tensor) -> Tensor:
        """Return the real part of the oscillator ``[T, B, ...]``."""
        kernel = self.kernel(x.shape[0], x)
        return mix_over_time(toeplitz(kernel), x) if x.shape[0] <= LONGEST_MATRIX else convolved(kernel, x)

    def kernel(self, steps: int, like: Tensor) -> Tensor:
        """Return the real part's response to a unit input at step 0, ``[T]``."""
        time = self.dt * torch.arange(steps, device=like.device, dtype=like.dtype)
        return self.dt * torch.exp(-time / self.tau.clamp(min=LEAST_TAU)) * torch.cos(time * self.theta)
