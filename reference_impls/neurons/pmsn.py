"""PMSN: the parallel multi-compartment spiking neuron: linear dendrites, and a soma that counts thresholds.

Must not know of the network around it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from reference_impls.api import ParallelNeuron
from reference_impls.neurons._parallel import mix_over_time
from reference_impls.neurons._scan import LONGEST_MATRIX, convolved, toeplitz
from reference_impls.surrogate import make_surrogate

CARD = {
    "name": "pmsn",
    "kind": "neuron",
    "version": 1,
    "title": "PMSN: parallel multi-compartment spiking neuron",
    "summary": (
        "Dendritic compartments that are damped complex oscillators drive a soma; the soma sums what is positive and "
        "fires when the sum has passed another whole threshold, which is a reset without recursion."
    ),
    "equations": (
        "z[t] = exp(dt Lambda) z[t-1] + B x[t], B = (exp(dt Lambda) - 1) / Lambda; y = Re(C z) + D x; "
        "c = cumsum(relu(y)); s[t] = min(1, floor((c[t] - theta floor(c[t-1] / theta)) / theta)); the surrogate is "
        "taken at c[t] - theta floor(c[t-1] / theta) - theta"
    ),
    "citations": [
        {
            "authors": "X. Chen, J. Wu, C. Ma, Y. Yan, Y. Wu, K. C. Tan",
            "title": "PMSN: A Parallel Multi-compartment Spiking Neuron for Multi-scale Temporal Processing",
            "venue": "IEEE TNNLS",
            "year": 2024,
            "arxiv": "2408.14917",
        }
    ],
    "capabilities": {
        "parallel": "fft",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "linear-filter",
        "reset": "cumulative",
        "learnable": ["log_dt", "log_damping", "frequency", "c_real", "c_imaginary", "d"],
    },
    "defaults": {
        "compartments": 4,
        "v_threshold": 1.0,
        "surrogate": {"name": "triangle", "params": {"alpha": 1.0}},
    },
    "reported": [
        {
            "task": "training",
            "metric": "training_speedup_over_lif_ratio",
            "value": 10,
            "where": "abstract (more than)",
        },
        {
            "task": "sequential CIFAR-10",
            "metric": "accuracy_gain_points",
            "value": 30,
            "where": "abstract (about)",
        },
    ],
    "divergences": [
        "The year is that of the preprint. No golden vectors: the equations were taken from a description of the code, "
        "and the tests restate them step by step.",
        "The description gives the diagonal system and the soma, but not how B is made discrete, the number of "
        "compartments or the initial values: zero-order hold, 4, and those of S4D (damping 1/2, frequencies pi n) are "
        "chosen here, one set a layer.",
        "A step that passes several thresholds at once fires once, and the others are lost: the soma is exact modulo "
        "the threshold only.",
        "The sum of the soma only grows, so float32 loses its fraction on long sequences; it is kept in at least "
        "float32, whatever the input.",
    ],
}


class PMSN(ParallelNeuron):
    """Multi-compartment neuron with a cumulative reset.

    Parameters
    ----------
    compartments : complex compartments of a neuron.
    v_threshold : threshold of the soma, > 0.
    surrogate : as everywhere.
    """

    def __init__(
        self, compartments: int = 4, v_threshold: float = 1.0, surrogate: str | Mapping[str, Any] = "triangle"
    ) -> None:
        super().__init__()
        if compartments < 1:
            raise ValueError(f"a neuron needs at least one compartment, got {compartments}")
        if not v_threshold > 0:
            raise ValueError(f"v_threshold must be positive, got {v_threshold}")
        self.v_threshold = float(v_threshold)
        self.surrogate = make_surrogate(surrogate)
        self.log_dt = nn.Parameter(torch.tensor(math.log(0.5)))
        self.log_damping = nn.Parameter(torch.full((compartments,), math.log(0.5)))
        self.frequency = nn.Parameter(math.pi * torch.arange(compartments, dtype=torch.get_default_dtype()))
        self.c_real = nn.Parameter(torch.full((compartments,), 1 / compartments))
        self.c_imaginary = nn.Parameter(torch.zeros(compartments))
        self.d = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x[T, B, ...]`` to spikes of the same shape."""
        wide = torch.promote_types(x.dtype, torch.float32)
        summed = torch.relu(self.membrane(x)).to(wide).cumsum(0)
        passed = torch.floor(summed.detach() / self.v_threshold)
        before = torch.cat([torch.zeros_like(passed[:1]), passed[:-1]])
        return self.surrogate(summed - self.v_threshold * before - self.v_threshold).to(x.dtype)

    def membrane(self, x: Tensor) -> Tensor:
        """Return what the dendrites give to the soma, ``[T, B, ...]``."""
        kernel = self.kernel(x.shape[0], x)
        return mix_over_time(toeplitz(kernel), x) if x.shape[0] <= LONGEST_MATRIX else convolved(kernel, x)

    def kernel(self, steps: int, like: Tensor) -> Tensor:
        """Return the dendrites' response to a unit input at step 0, ``[T]``."""
        rate = torch.complex(-self.log_damping.exp(), self.frequency)
        dt = self.log_dt.exp()
        weight = torch.complex(self.c_real, self.c_imaginary) * torch.expm1(dt * rate) / rate
        n = torch.arange(steps, device=like.device, dtype=self.log_dt.dtype)
        response = (weight * torch.exp(dt * rate * n[:, None])).sum(1).real
        direct = torch.cat([self.d.reshape(1), self.d.new_zeros(steps - 1)])
        return (response + direct).to(like.dtype)
