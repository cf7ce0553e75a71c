"""PSN: the parallel spiking neuron, a learned T x T matrix over time instead of a recursion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from reference_impls.api import ParallelNeuron
from reference_impls.neurons._parallel import check_steps, initial, mix_over_time
from reference_impls.surrogate import make_surrogate

CARD = {
    "name": "psn",
    "kind": "neuron",
    "version": 1,
    "title": "PSN: parallel spiking neuron",
    "summary": (
        "No reset and no recursion: every step's membrane is a learned weighted sum of the inputs of all T steps, "
        "future ones included, so the whole sequence is one matrix product."
    ),
    "equations": "H = W X + B with W in R^{T x T}, B in R^{T x 1}; S = 1 if H >= 0 (the threshold is -B)",
    "citations": [
        {
            "authors": "W. Fang, Z. Yu, Z. Zhou, D. Chen, Y. Chen, Z. Ma, T. Masquelier, Y. Tian",
            "title": "Parallel spiking neurons with high efficiency and ability to learn long-term dependencies",
            "venue": "NeurIPS",
            "year": 2023,
            "arxiv": "2304.12760",
            "code": "https://github.com/fangwei123456/Parallel-Spiking-Neuron",
        }
    ],
    "capabilities": {
        "parallel": "matmul",
        "causal": False,
        "stochastic": False,
        "needs_T": True,
        "output": "binary",
        "membrane": "learned-matrix",
        "reset": "none",
        "learnable": ["weight", "bias"],
    },
    "defaults": {"surrogate": "atan"},
    "space": {
        "surrogate.alpha": {"low": 0.5, "high": 8.0, "scale": "log"},
    },
    "changes": "reads the whole sequence, not causal; no reset",
    "divergences": [
        "No matched row: without a reset by design, and its weights over time start at random.",
        "The accuracies of the official logs are maxima over epochs on the test set; here the epoch is chosen on a "
        "validation split.",
    ],
}


class PSN(ParallelNeuron):
    """Parallel spiking neuron.

    Parameters
    ----------
    T : number of time steps the matrix is made for.
    weight : initial ``[T, T]`` (row: output step); None: uniform in +-1/sqrt(T).
    bias : initial ``[T, 1]``; None: -1, a threshold of 1.
    surrogate : as everywhere.

    Golden vectors from SpikingJelly 2.0.0 ``PSN``.
    """

    def __init__(
        self, T: int, weight: Any = None, bias: Any = None, surrogate: str | Mapping[str, Any] = "atan"
    ) -> None:
        super().__init__()
        if T < 1:
            raise ValueError(f"T must be at least 1 time step, got {T}")
        self.T = T
        self.surrogate = make_surrogate(surrogate)
        start = initial(weight, (T, T), "weight of psn")
        if start is None:
            start = nn.init.kaiming_uniform_(torch.empty(T, T), a=math.sqrt(5))
        self.weight = nn.Parameter(start)
        offset = initial(bias, (T, 1), "bias of psn")
        self.bias = nn.Parameter(torch.full((T, 1), -1.0) if offset is None else offset)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x[T, B, ...]`` to spikes of the same shape; T must be the one it was built for."""
        check_steps("psn", self.T, x)
        above = torch.addmm(self.bias, self.weight, x.flatten(1))
        return self.surrogate(above).view(x.shape)

    def membrane(self, x: Tensor) -> Tensor:
        """Return ``W X`` ``[T, B, ...]``, which fires where it reaches the threshold ``-bias``."""
        check_steps("psn", self.T, x)
        return mix_over_time(self.weight, x)
