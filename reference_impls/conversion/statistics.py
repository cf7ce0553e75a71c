"""What of an ANN's activations a threshold must be able to stand for: the largest, a percentile, or the best rounding.

Sources: Diehl et al. (IJCNN 2015), Rueckauer et al. (arXiv 1612.04052), and the grid search of the released code of
hybrid coding (Chen et al., arXiv 2305.16594). Zeros count. Must not know networks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reference_impls.names import check_name

__all__ = ["STATISTICS", "best_rounding", "largest", "percentile", "threshold_of"]

STATISTICS = ("max", "percentile", "mmse")
GRID = 95
"""Candidates of `best_rounding`: ``max (1 - 0.01 i)``."""
LEAST = 1e-6
"""A layer that stays silent has no scale of its own."""


def threshold_of(a: Tensor, statistic: str, q: float = 99.9, steps: int = 16) -> float:
    """Return one layer's threshold from its activations `a` (any shape, not negative).

    Parameters
    ----------
    statistic : one of `STATISTICS`.
    q : of the percentile, in percent.
    steps : T for which the rounding is to be best.
    """
    check_name("statistic", statistic, STATISTICS)
    if statistic == "max":
        found = largest(a)
    else:
        found = percentile(a, q) if statistic == "percentile" else best_rounding(a, steps)
    return max(float(found), LEAST)


def largest(a: Tensor, channel: int | None = None) -> Tensor:
    """Return the maximum, a scalar; of each index along `channel` where one is given."""
    return a.max() if channel is None else a.movedim(channel, 0).flatten(1).amax(1)


def percentile(a: Tensor, q: float) -> Tensor:
    """Return the `q`-th percentile of all entries, linear between neighbours, for tensors of any size."""
    flat = a.flatten()
    place = q / 100 * (flat.numel() - 1)
    below = int(place)
    low = flat.kthvalue(below + 1).values
    if place == below:
        return low
    high = flat.kthvalue(below + 2).values
    return low + (place - below) * (high - low)


def best_rounding(a: Tensor, steps: int) -> Tensor:
    """Return the first V of the grid that minimises ``sum (a - floor(clip(a T / V, 0, T)) V / T)^2``."""
    candidates = a.max() * (1 - 0.01 * torch.arange(GRID, dtype=a.dtype, device=a.device))
    if not candidates[0] > 0:
        return candidates[0]
    errors = torch.stack([(a - (a * steps / v).clamp(0, steps).floor() * v / steps).square().sum() for v in candidates])
    return candidates[int(errors.argmin())]
