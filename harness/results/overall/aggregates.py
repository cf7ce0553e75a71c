"""Figures over several settings by the definitions of rliable (Agarwal et al. 2021, arXiv 2108.13264).

The interquartile mean of all runs of all settings, the probability that a run of one row beats a run of another, and
stratified bootstrap intervals of both: runs are drawn within each setting, settings are taken as they are. A row and
the baseline draw the same seeds, because they are compared on the same seeds. How two settings agree is Kendall's tau.
rliable itself averages unpaired runs of equal numbers only, and brings seaborn along. Must not know what is compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.results.stats import Estimate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["LEAST_ROWS", "Agreement", "Runs", "agreement", "improvement", "interquartile_mean", "relative"]

RESAMPLES = 2000
CONFIDENCE = 0.95
NORMAL_95 = 1.959963984540054
TAU_VARIANCE = 0.437
"""Of the Fisher transform of tau, times n - 4 (Fieller, Hartley and Pearson 1957)."""
LEAST_ROWS = 6
"""Rows that two settings need in common before anything is said of how they agree."""
COVERS = "seeds"


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """What a row and the baseline gave in one setting, by the same seeds: ``[seeds]`` each."""

    row: Floats
    baseline: Floats


def interquartile_mean(values: Floats, weights: Floats) -> Floats:
    """Return the mean of the middle half of `values` along the last axis, each counting as much as its weight.

    For equal weights and a number of values that four divides it is `scipy.stats.trim_mean` with a quarter cut off at
    each end; otherwise the values at the cuts count in part, so that no run is lost to rounding.
    """
    import numpy as np

    order = np.argsort(values, axis=-1)
    sorted_values = np.take_along_axis(values, order, -1)
    ends = np.cumsum(weights[order], axis=-1)
    total = ends[..., -1:]
    inside = np.clip(ends, total / 4, 3 * total / 4)
    begin = np.concatenate([np.broadcast_to(total / 4, total.shape), inside[..., :-1]], axis=-1)
    found: Floats = (sorted_values * (inside - begin)).sum(-1) / (total[..., 0] / 2)
    return found


def relative(settings: Sequence[Runs]) -> Estimate:
    """Return the interquartile mean of a row's figures as shares of the baseline's mean in the same setting.

    The interval is that of the stratified bootstrap; it is missing where some setting has a single seed.
    """
    import numpy as np

    weights = np.concatenate([np.full(len(one.row), 1 / len(one.row)) for one in settings])
    value = float(interquartile_mean(np.concatenate([one.row / one.baseline.mean() for one in settings]), weights))
    drawn = _drawn(settings)
    if drawn is None:
        return Estimate(value)
    shares = [row / baseline.mean(-1, keepdims=True) for row, baseline in drawn]
    weights = np.concatenate([np.full(share.shape[-1], 1 / share.shape[-1]) for share in shares])
    return _with_bounds(value, interquartile_mean(np.concatenate(shares, -1), weights), settings)


def improvement(settings: Sequence[Runs]) -> Estimate:
    """Return the probability that a run of the row has a lower figure than one of the baseline, mean over settings.

    Runs that are equal count as half.
    """
    import numpy as np

    value = float(np.mean([_lower(one.row, one.baseline) for one in settings]))
    drawn = _drawn(settings)
    if drawn is None:
        return Estimate(value)
    return _with_bounds(value, np.mean([_lower(row, baseline) for row, baseline in drawn], axis=0), settings)


def _lower(row: Floats, baseline: Floats) -> Floats:
    """Return the share of pairs of runs in which that of `row` is lower, along the last axes."""
    import numpy as np

    mine, theirs = row[..., :, None], baseline[..., None, :]
    found: Floats = ((mine < theirs) + 0.5 * np.isclose(mine, theirs, rtol=1e-12, atol=0)).mean((-1, -2))
    return found


def _drawn(settings: Sequence[Runs]) -> list[tuple[Floats, Floats]] | None:
    """Return ``[resamples, n - 1]`` of row and baseline in each setting; None if one has a single seed.

    One run less than there are is drawn: then the variance of a drawn mean is the unbiased one (Rao and Wu 1988), where
    drawing as many finds 2/3 of it for three seeds.
    """
    import numpy as np

    if any(len(one.row) < 2 for one in settings):
        return None
    luck = np.random.default_rng(0)
    found = []
    for one in settings:
        chosen = luck.integers(len(one.row), size=(RESAMPLES, len(one.row) - 1))
        found.append((one.row[chosen], one.baseline[chosen]))
    return found


def _with_bounds(value: float, resampled: Floats, settings: Sequence[Runs]) -> Estimate:
    import numpy as np

    low, high = np.quantile(resampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(
        value, min(float(low), value), max(float(high), value), min(len(one.row) for one in settings), COVERS
    )


@dataclass(frozen=True, slots=True)
class Agreement:
    """How alike two settings order the rows that both have."""

    first: str
    second: str
    tau: Estimate
    """Kendall's tau-b; its interval is over rows."""


def agreement(first: Sequence[float], second: Sequence[float]) -> Estimate | None:
    """Return Kendall's tau-b of two figures of the same rows; None where one of them is the same for all."""
    from scipy.stats import kendalltau

    tau = float(kendalltau(first, second).statistic) if len(first) > 1 else math.nan
    if not math.isfinite(tau):
        return None
    if len(first) < LEAST_ROWS or abs(tau) == 1:
        return Estimate(tau, n=len(first))
    half = NORMAL_95 * math.sqrt(TAU_VARIANCE / (len(first) - 4))
    low, high = (math.tanh(math.atanh(tau) + side * half) for side in (-1, 1))
    return Estimate(tau, low, high, len(first), "rows")
