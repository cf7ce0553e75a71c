"""Masked PSN: PSN whose matrix over time is pressed into a band, so that no step looks ahead or far back.

The band's strength is a schedule of training, not of the neuron: whoever trains sets it. Must not know epochs.
"""

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
    "name": "masked-psn",
    "kind": "neuron",
    "version": 1,
    "title": "Masked PSN",
    "summary": (
        "PSN with order k: a mask keeps the weights of the last k steps, so that the trained neuron is causal and "
        "can run online. During training lambda fades the mask in, from the full matrix (0) to the band (1)."
    ),
    "equations": (
        "H = (W * (lambda M + (1 - lambda) J)) X + B, elementwise *, M[i][j] = 1 if 0 <= i - j <= k - 1 else 0, "
        "J all ones; S = 1 if H >= 0 (the threshold is -B)"
    ),
    "citations": [
        {
            "authors": "W. Fang, Z. Yu, Z. Zhou, D. Chen, Y. Chen, Z. Ma, T. Masquelier, Y. Tian",
            "title": "Parallel spiking neurons with high efficiency and ability to learn long-term dependencies",
            "venue": "NeurIPS",
            "year": 2023,
            "arxiv": "2304.12760",
            "code": "https://github.com/fangwei123456/spikingjelly (MaskedPSN, release 2.0.0)",
        }
    ],
    "capabilities": {
        "parallel": "matmul",
        "causal": True,
        "stochastic": False,
        "needs_T": True,
        "output": "binary",
        "membrane": "learned-matrix",
        "reset": "none",
        "learnable": ["weight", "bias"],
    },
    "defaults": {"order": 32, "mask_strength": 1.0, "surrogate": "atan"},
    "reported": [
        {
            "task": "sequential CIFAR-10",
            "network": "CNN, 128 channels, 256 epochs",
            "T": 32,
            "metric": "accuracy_percent",
            "value": 85.8,
            "where": "official log",
            "note": "order 32; best epoch on the test set; the paper gives 85.81",
        },
        {
            "task": "sequential CIFAR-100",
            "network": "CNN, 128 channels, 256 epochs",
            "T": 32,
            "metric": "accuracy_percent",
            "value": 60.7,
            "where": "official log",
            "note": "order 32; best epoch on the test set",
        },
    ],
    "divergences": [
        "The authors raise lambda while they train, as min(8 epoch / (epochs - 1), 1); this row trains with the mask "
        "at full strength from the start, so that it is causal throughout.",
        "The accuracies of the official logs are maxima over epochs on the test set; here the epoch is chosen on a "
        "validation split.",
    ],
}


class MaskedPSN(ParallelNeuron):
    """Parallel spiking neuron of order k.

    Parameters
    ----------
    T : number of time steps the matrix is made for.
    order : k, the number of steps (the present one included) that a step sees; any number of at least 1.
    mask_strength : lambda. 0: the full matrix, future included. 1 or more: the band alone. It is a buffer, so it
        travels with a state dict; assign ``neuron.mask_strength.fill_(value)`` to follow a schedule.
    weight : initial ``[T, T]`` (row: output step); None: uniform in +-1/sqrt(T).
    bias : initial ``[T, 1]``; None: -1, a threshold of 1.
    surrogate : as everywhere.

    Golden vectors from SpikingJelly 2.0.0 ``MaskedPSN`` at lambda 0, 0.25 and 1.
    """

    mask: Tensor
    mask_strength: Tensor

    def __init__(
        self,
        T: int,
        order: int = 32,
        mask_strength: float = 1.0,
        weight: Any = None,
        bias: Any = None,
        surrogate: str | Mapping[str, Any] = "atan",
    ) -> None:
        super().__init__()
        if T < 1:
            raise ValueError(f"T must be at least 1 time step, got {T}")
        if order < 1:
            raise ValueError(f"order must be at least 1 (a step sees itself), got {order}")
        if mask_strength < 0:
            raise ValueError(f"mask_strength must not be negative, got {mask_strength}; 0 is no mask, 1 the full one")
        self.T = T
        self.order = order
        self.surrogate = make_surrogate(surrogate)
        start = initial(weight, (T, T), "weight of masked-psn")
        if start is None:
            start = nn.init.kaiming_uniform_(torch.empty(T, T), a=math.sqrt(5))
        self.weight = nn.Parameter(start)
        offset = initial(bias, (T, 1), "bias of masked-psn")
        self.bias = nn.Parameter(torch.full((T, 1), -1.0) if offset is None else offset)
        ones = torch.ones(T, T)
        self.register_buffer("mask", ones.tril() - ones.tril(-order), persistent=False)
        self.register_buffer("mask_strength", torch.tensor(float(mask_strength)))

    def effective_weight(self) -> Tensor:
        """Return the masked matrix, ``[T, T]``."""
        leak = (1 - self.mask_strength).clamp(min=0)
        return self.weight * (self.mask + leak * (1 - self.mask))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x[T, B, ...]`` to spikes of the same shape; T must be the one it was built for."""
        check_steps("masked-psn", self.T, x)
        above = torch.addmm(self.bias, self.effective_weight(), x.flatten(1))
        return self.surrogate(above).view(x.shape)

    def membrane(self, x: Tensor) -> Tensor:
        """Return the masked ``W X`` ``[T, B, ...]``, which fires where it reaches the threshold ``-bias``."""
        check_steps("masked-psn", self.T, x)
        return mix_over_time(self.effective_weight(), x)
