"""Axes of a plot: whether one is logarithmic, its range, and how far an interval reaches on it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from harness.report.units import Scale, is_drawable
from harness.results.table import Value

__all__ = ["LOG_FROM", "Axis", "axis_for", "reach"]

LOG_FROM = 8.0
"""An axis is logarithmic where its largest value is at least so many times its smallest."""


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis with its range fixed, so that what was laid out for it stays so."""

    title: str
    log: bool
    low: float
    high: float

    def position(self, value: float) -> float:
        """Return where `value` lies, 0 at the low end and 1 at the high end."""
        low, high, at = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return (at - low) / (high - low)


def _bounds(value: Value) -> tuple[float, float]:
    """Return the ends of a value's interval; a bound that is missing or not finite is the value itself."""
    estimate = value.estimate
    bounds = (estimate.low, estimate.high)
    low, high = (estimate.value if b is None or not is_drawable(b) else b for b in bounds)
    return min(low, estimate.value), max(high, estimate.value)


def reach(value: Value, scale: Scale) -> tuple[float, float]:
    """Return how far the interval of `value` reaches below and above it."""
    low, high = _bounds(value)
    return (value.estimate.value - low) * scale.factor, (high - value.estimate.value) * scale.factor


def axis_for(title: str, values: Iterable[Value], scale: Scale) -> Axis:
    """Return an axis that holds `values` with their intervals, and a margin."""
    bounds = [bound * scale.factor for value in values for bound in _bounds(value)]
    low, high = min(bounds), max(bounds)
    if low > 0 and high / low >= LOG_FROM:
        margin = (high / low) ** 0.1
        return Axis(title, True, low / margin, high * margin)
    margin = (high - low or abs(high) or 1.0) * 0.1
    return Axis(title, False, low - margin, high + margin)
