"""Pretty units: data are in SI units, readers get milliseconds and kibibytes.

The only place that rounds. Must not know which metric it formats beyond its unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.results.stats import Estimate

__all__ = ["Scale", "is_drawable", "pretty", "scale_for", "with_interval"]


@dataclass(frozen=True, slots=True)
class Scale:
    """A unit that readers see: value times `factor`, followed by `label`."""

    factor: float
    label: str

    def text(self, value: float) -> str:
        """Return `value` in this unit, with three significant digits and without the label."""
        return _three_digits(value * self.factor)


SMALLEST_DRAWN = 1e-100
"""Size below which, and 1 over which, nothing is drawn: no measurement is of such a size."""
_STEPS: dict[str, tuple[tuple[float, str], ...]] = {
    "seconds": ((1e-9, "ns"), (1e-6, "µs"), (1e-3, "ms"), (1.0, "s")),
    "joules": ((1e-12, "pJ"), (1e-9, "nJ"), (1e-6, "µJ"), (1e-3, "mJ"), (1.0, "J")),
    "bytes": ((1.0, "B"), (1024.0, "KiB"), (1024.0**2, "MiB"), (1024.0**3, "GiB")),
    "bytes per time step": ((1.0, "B/step"), (1024.0, "KiB/step"), (1024.0**2, "MiB/step")),
    "seconds per time step": ((1e-6, "µs/step"), (1e-3, "ms/step"), (1.0, "s/step")),
    "samples per second": ((1.0, "/s"), (1e3, "k/s"), (1e6, "M/s"), (1e9, "G/s")),
    "neuron-steps per second": ((1.0, "/s"), (1e3, "k/s"), (1e6, "M/s"), (1e9, "G/s")),
    "operations": ((1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G")),
}
_FIXED: dict[str, Scale] = {"fraction": Scale(100.0, "%"), "ratio": Scale(1.0, "x"), "hertz": Scale(1.0, "Hz")}
_BARE = {"parameters", "epochs", "updates", "checks", "spikes", "events", "neurons"}


def scale_for(unit: str, largest: float) -> Scale:
    """Return the unit in which `largest` (of a column, say) reads best."""
    if unit in _FIXED:
        return _FIXED[unit]
    if unit not in _STEPS:
        return Scale(1.0, "" if unit in _BARE else unit)
    size = abs(largest)
    fitting = [(step, label) for step, label in _STEPS[unit] if size >= step] or [_STEPS[unit][0]]
    step, label = fitting[-1]
    return Scale(1 / step, label)


def is_drawable(value: float) -> bool:
    """Whether an axis has a place for `value`: differences, ratios and other units of what it has places for exist."""
    return value == 0 or SMALLEST_DRAWN <= abs(value) <= 1 / SMALLEST_DRAWN


def pretty(value: float, unit: str) -> str:
    """Return one value with its unit, such as "3.20 ms"."""
    scale = scale_for(unit, value)
    return f"{scale.text(value)} {scale.label}".strip()


def with_interval(estimate: Estimate, scale: Scale) -> str:
    """Return a value and half the width of its interval, without the unit: "3.20 ± 0.15"."""
    text = scale.text(estimate.value)
    if estimate.low is None or estimate.high is None or estimate.low == estimate.high:
        return text
    half = (estimate.high - estimate.low) / 2 * scale.factor
    decimals = len(text.partition(".")[2])
    return f"{text} ± {half:.{decimals}f}" if half < 10**6 else text


def _three_digits(value: float) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    if digits > 6:
        return f"{value:.2e}"
    if digits == 0 and abs(value) >= 1e6:
        return f"{value:.3g}"
    return f"{value:.{digits}f}"
