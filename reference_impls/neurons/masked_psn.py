"""Masked PSN: PSN whose matrix over time is pressed into a band, so that no step looks ahead or far back.

The band's strength is a schedule of training, not of the neuron: whoever trains sets it. Must not know epochs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from reference_impls.api import ParallelNeuron
from reference_impls.neurons._parallel import band_blocks, check_steps, initial, mix_band, mix_over_time
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
    "space": {
        "order": {"low": 1, "high": 64, "scale": "log"},
        "surrogate.alpha": {"low": 0.5, "high": 8.0, "scale": "log"},
    },
    "changes": "learned weights of the last steps; no reset",
    "divergences": [
        "No matched row: without a reset by design, and its weights over time start at random.",
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
        block = self._block()
        if block is None:
            above = torch.addmm(self.bias, self.effective_weight(), x.flatten(1)).view(x.shape)
        else:
            above = mix_band(self._bands(block), x) + self.bias.view(-1, *[1] * (x.dim() - 1))
        return self.surrogate(above)

    def membrane(self, x: Tensor) -> Tensor:
        """Return the masked ``W X`` ``[T, B, ...]``, which fires where it reaches the threshold ``-bias``."""
        check_steps("masked-psn", self.T, x)
        block = self._block()
        return mix_over_time(self.effective_weight(), x) if block is None else mix_band(self._bands(block), x)

    def _block(self) -> int | None:
        """Return the steps of a block, or None where the whole matrix is better, or a weak mask needs it.

        Compiled code, which cannot look at the strength, multiplies the matrix.
        """
        block = band_blocks(self.order, self.T)
        is_band = block is not None and not torch.compiler.is_compiling() and bool(self.mask_strength >= 1)
        return block if is_band else None

    def _bands(self, block: int) -> Tensor:
        """Return the masked matrix cut along its diagonal, ``[M, L, 2 L]``: present block and the one before."""
        count = -(-self.T // block)
        missing = count * block - self.T
        cut = functional.pad(self.weight, (block, missing, 0, missing)).view(count, block, count + 1, block)
        pairs = torch.cat([cut.diagonal(0, 0, 2), cut.diagonal(1, 0, 2)], 1)  # [L, 2 L, M]
        lag = torch.arange(block, device=cut.device)[:, None] + block - torch.arange(2 * block, device=cut.device)
        inside = (lag >= 0) & (lag < self.order)
        return pairs.permute(2, 0, 1) * inside
