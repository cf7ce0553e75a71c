"""Intervals of single figures, and what became of a figure between two commits; ``ranking`` compares rows.

Every interval is 95 % and says what it covers. Must not know what is being measured. Quantiles come from
``scipy.special``, which is imported where it is needed: ``scipy.stats`` gives the same numbers and takes a second.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Change", "Estimate", "change", "estimate", "t_interval", "wilson_interval"]

Direction = Literal["lower", "higher", "none"]
Verdict = Literal["regression", "improvement", "noise", "changed", "same"]
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and how sure it is."""

    value: float
    low: float | None = None
    high: float | None = None
    """Bounds of the 95 % interval; None where nothing was repeated, or the figure is exact."""
    n: int = 1
    covers: str | None = None

    def overlaps(self, other: Estimate) -> bool:
        """Whether the two intervals share a point (a missing interval is the point itself)."""
        return self._bounds()[0] <= other._bounds()[1] and other._bounds()[0] <= self._bounds()[1]

    def _bounds(self) -> tuple[float, float]:
        low = self.value if self.low is None else self.low
        return low, self.value if self.high is None else self.high


def t_interval(samples: Sequence[float], extra_variance: float = 0.0) -> tuple[float, float, float]:
    """Return (mean, low, high) of independent samples by Student's t; needs at least two."""
    n = len(samples)
    mean = math.fsum(samples) / n
    variance = math.fsum((sample - mean) ** 2 for sample in samples) / (n - 1) + extra_variance
    half = _student(n - 1) * math.sqrt(variance / n)
    return mean, mean - half, mean + half


@functools.cache
def _student(freedom: int) -> float:
    """Return the quantile of Student's t; a large table asks ten thousand times for few degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + CONFIDENCE / 2))


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """Return the Wilson interval of a proportion: what a finite test set leaves open."""
    from scipy.special import ndtri

    z = float(ndtri(0.5 + CONFIDENCE / 2))
    p, scale = successes / n, 1 + z * z / n
    centre = (p + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def estimate(values: Sequence[float], covers: str, resolution: float = 0.0) -> Estimate:
    """Combine repeated values: their mean and t interval, or the value alone if there is one.

    `resolution` is the step in which a value can change (1/n for a fraction of n test samples). Values that agree to
    the last step are not certain: the rounding's variance, ``resolution**2 / 12``, is added to theirs.
    """
    if len(values) == 1:
        return Estimate(values[0])
    mean, low, high = t_interval(values, resolution**2 / 12)
    return Estimate(mean, low, high, len(values), covers)


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a figure between two commits or stores."""

    before: Estimate
    after: Estimate
    verdict: Verdict
    relative: float
    """(after - before) / before; infinite where before is 0 and after is not."""


def change(before: Estimate, after: Estimate, direction: Direction, exact: bool, threshold: float) -> Change:
    """Judge a change.

    A figure that is exact has changed if it differs at all. Any other is a regression or an improvement only if
    the intervals are disjoint *and* the relative change exceeds `threshold`: both noise and trifles stay silent.
    """
    difference = after.value - before.value
    relative = difference / abs(before.value) if before.value else math.copysign(math.inf, difference or 1.0)
    if difference == 0:
        return Change(before, after, "same", 0.0)
    if not exact and (before.overlaps(after) or abs(relative) <= threshold):
        return Change(before, after, "noise", relative)
    if direction == "none":
        return Change(before, after, "changed", relative)
    worse = difference > 0 if direction == "lower" else difference < 0
    return Change(before, after, "regression" if worse else "improvement", relative)
