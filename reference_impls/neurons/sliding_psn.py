"""Sliding PSN: the same k weights at every step, a causal convolution over time that fits any T."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from reference_impls.api import ParallelNeuron
from reference_impls.names import check_name
from reference_impls.neurons._parallel import band_blocks, initial, mix_band, mix_over_time
from reference_impls.surrogate import make_surrogate

CARD = {
    "name": "sliding-psn",
    "kind": "neuron",
    "version": 1,
    "title": "Sliding PSN",
    "summary": (
        "PSN of order k whose weights do not depend on the step: the membrane is a causal convolution of the last k "
        "inputs with one learned kernel a layer. It has k + 1 parameters, runs online and takes any T."
    ),
    "equations": "H[t] = sum_{i=0}^{k-1} w_i x[t-k+1+i] + b, x = 0 before the start; s[t] = 1 if H[t] >= 0",
    "citations": [
        {
            "authors": "W. Fang, Z. Yu, Z. Zhou, D. Chen, Y. Chen, Z. Ma, T. Masquelier, Y. Tian",
            "title": "Parallel spiking neurons with high efficiency and ability to learn long-term dependencies",
            "venue": "NeurIPS",
            "year": 2023,
            "arxiv": "2304.12760",
            "code": "https://github.com/fangwei123456/spikingjelly (SlidingPSN, release 2.0.0)",
        }
    ],
    "capabilities": {
        "parallel": "conv",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "learned-kernel",
        "reset": "none",
        "learnable": ["weight", "bias"],
    },
    "defaults": {"order": 32, "exp_init": True, "surrogate": "atan"},
    "space": {
        "order": {"low": 1, "high": 64, "scale": "log"},
        "surrogate.alpha": {"low": 0.5, "high": 8.0, "scale": "log"},
    },
    "changes": "learned kernel over the last steps; no reset",
    "divergences": [
        "Matched to lif as it stands, but for the reset, which it has none of: the kernel starts at lif's decays, "
        "the threshold at 1.",
        "What the released experiments call the threshold is added, from -1: it is a bias, and is one here. Their "
        "convolution backend subtracts a threshold that starts at +1 instead.",
        "Released as a T x T product; here long sequences are cut into blocks, each a product with a band of k "
        "diagonals, which gives the same sums in O(k T N).",
        "The accuracies of the official logs are maxima over epochs on the test set; here the epoch is chosen on a "
        "validation split.",
    ],
}

FORMS = ("conv", "matmul")


class SlidingPSN(ParallelNeuron):
    """Sliding parallel spiking neuron.

    Parameters
    ----------
    order : k, the number of steps (the present one included) that a step sees.
    weight : initial ``[k]``, oldest step first; None: see `exp_init`.
    bias : initial value, a scalar; None: -1, a threshold of 1.
    exp_init : start with weight 1 on the present step, halved for each step back; else uniform in +-1/sqrt(k).
    parallel : ``conv``: blocks of the sequence, O(k T N). ``matmul``: one T x T product, O(T^2 N), as released.
    surrogate : as everywhere.

    Golden vectors from SpikingJelly 2.0.0 ``SlidingPSN``.
    """

    def __init__(
        self,
        order: int = 32,
        weight: Any = None,
        bias: float | None = None,
        exp_init: bool = True,
        parallel: str = "conv",
        surrogate: str | Mapping[str, Any] = "atan",
    ) -> None:
        super().__init__()
        if order < 1:
            raise ValueError(f"order must be at least 1 (a step sees itself), got {order}")
        self.order = order
        self.parallel = check_name("form of sliding-psn", parallel, FORMS)
        self.surrogate = make_surrogate(surrogate)
        start = initial(weight, (order,), "weight of sliding-psn")
        if start is None and exp_init:
            start = 0.5 ** torch.arange(order - 1, -1, -1, dtype=torch.get_default_dtype())
        elif start is None:
            start = torch.empty(order).uniform_(-1 / math.sqrt(order), 1 / math.sqrt(order))
        self.weight = nn.Parameter(start)
        self.bias = nn.Parameter(torch.tensor(-1.0 if bias is None else float(bias)))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x[T, B, ...]`` to spikes of the same shape."""
        return self.surrogate(self.membrane(x) + self.bias)

    def membrane(self, x: Tensor) -> Tensor:
        """Return the convolution ``[T, B, ...]``, which fires where it reaches the threshold ``-bias``."""
        steps, past = x.shape[0], self.order - 1
        block = band_blocks(self.order, steps) if self.parallel == "conv" else None
        if block is None:
            return mix_over_time(self._band(steps, -past, steps), x)
        return mix_band(self._band(block, block - past, 2 * block), x)

    def _band(self, rows: int, first: int, columns: int) -> Tensor:
        """Return the matrix with ``w_i`` where ``column - row = first + i``, ``[rows, columns]``."""
        row, column = (torch.arange(count, device=self.weight.device) for count in (rows, columns))
        tap = column[None, :] - row[:, None] - first
        inside = (tap >= 0) & (tap < self.order)
        return torch.where(inside, self.weight[tap.clamp(0, self.order - 1)], self.weight.new_zeros(()))
