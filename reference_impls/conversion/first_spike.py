"""First spikes of ReL-PSP neurons in continuous time, with their derivatives written out.

The same closed form as `ReLPSP.spike_times`, for layers of hundreds of inputs of which most never fire: only those
that do are sorted, and nothing but the times is kept for the backward pass. Must not know networks.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["first_spikes"]

ENTRIES = 2**23
"""(sample, input, neuron) triples that are looked at together."""


def first_spikes(times: Tensor, weight: Tensor, threshold: float, latest: float = math.inf) -> Tensor:
    """Return when a layer fires; infinity is no spike, and carries no gradient.

    Parameters
    ----------
    times : ``[B, I]``, of the inputs, in any order; infinity where there is none.
    weight : ``[O, I]``.
    threshold : reaching it is enough.
    latest : what comes after it is no spike.

    Returns
    -------
    ``[B, O]``; ``dt_j/dt_i = w_ij / S`` and ``dt_j/dw_ij = (t_i - t_j) / S`` for the inputs before t_j, S the sum of
    their weights.
    """
    most = max(1, int(times.isfinite().sum(1).max()))
    rows = max(1, ENTRIES // (most * weight.shape[0]))
    found = [_FirstSpikes.apply(part, weight, threshold, latest) for part in times.split(rows)]
    return torch.cat(found)


class _FirstSpikes(torch.autograd.Function):
    """See `first_spikes`."""

    @staticmethod
    def forward(ctx: Any, times: Tensor, weight: Tensor, threshold: float, latest: float) -> Tensor:
        most = max(1, int(times.isfinite().sum(1).max()))
        ordered, order = (part[:, :most] for part in times.sort(dim=1))
        arrived = ordered.isfinite()
        begin = torch.where(arrived, ordered, 0.0)
        w = _weights(weight, order, arrived)  # [B, K, O]
        total, moment = w.cumsum(1), (w * begin.unsqueeze(2)).cumsum(1)
        positive = total > 0
        candidate = (threshold + moment) / torch.where(positive, total, 1.0)
        following = torch.cat([ordered[:, 1:], torch.full_like(ordered[:, :1], math.inf)], 1)
        holds = positive & (candidate >= begin.unsqueeze(2)) & (candidate <= following.unsqueeze(2))
        holds &= arrived.unsqueeze(2)
        first = holds.to(torch.uint8).argmax(1, keepdim=True)
        when = candidate.gather(1, first).squeeze(1)
        fired = holds.any(1) & (when <= latest)
        ctx.save_for_backward(weight, order, arrived, begin, first, when, total.gather(1, first).squeeze(1), fired)
        ctx.inputs = times.shape[1]
        return torch.where(fired, when, math.inf)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        weight, order, arrived, begin, first, when, total, fired = ctx.saved_tensors
        scaled = torch.where(fired, gradients[0] / total, 0.0).unsqueeze(1)
        place = torch.arange(order.shape[1], device=order.device).view(1, -1, 1)
        causal = scaled * (place <= first) * arrived.unsqueeze(2)  # [B, K, O]
        by_time = begin.new_zeros(len(begin), ctx.inputs)
        by_time.scatter_(1, order, (causal * _weights(weight, order, arrived)).sum(2))
        causal *= begin.unsqueeze(2) - when.unsqueeze(1)
        by_weight = torch.zeros_like(weight.T).index_add_(0, order.flatten(), causal.flatten(0, 1))
        return by_time, by_weight.T, None, None


def _weights(weight: Tensor, order: Tensor, arrived: Tensor) -> Tensor:
    """Return the weights of the inputs in their order, ``[B, K, O]``; 0 for those that never come."""
    return weight.T.contiguous()[order] * arrived.unsqueeze(2)
