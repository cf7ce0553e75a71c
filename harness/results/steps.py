"""When a series has taken a step, judged by noise that was measured: two runs beyond a limit, and never one.

One run is an outlier now and then, whatever the noise looks like, so a step needs two runs in a row beyond the limit.
The limit follows from the spread between runs of the same code and from a promise: fewer false steps than one in a
hundred months of nightly runs of a series. How few runs the spread and the level were taken from is paid for by a wider
limit, and what the rule can then find is said. Everything is on the scale of logarithms: a step is a ratio. Must not
know what is measured, nor asv.
"""

from __future__ import annotations

import bisect
import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

__all__ = [
    "FOUND_SURELY",
    "MONTH",
    "SEARCHED",
    "Noise",
    "Step",
    "StepRule",
    "apart",
    "find_steps",
    "last_is_beyond",
    "noise_of",
    "with_nights",
]

MONTH = 30
"""Runs that the promise is about: a month of nights."""
FALSE_ALARMS = 0.0001
"""Probability of a false step, up or down, of a series in a month, were its noise normal and independent.

A hundredth of the promise (1 %): noise of times is skewed, has outliers, and nights resemble their neighbours. As the
tests simulate, it is kept up to a skewness of 1.4, for Student's t with 5 degrees of freedom, for an outlier of eight
standard deviations in 150 runs and for a correlation of 0.3 between neighbours."""
FALSE_DIFFERENCES = 0.01
"""Probability that a comparison of two sets of runs of the same code shows any difference."""
FOUND_SURELY = 0.99
"""Probability with which a step counts as found within two runs."""
SEARCHED = 0.10
"""The step that shall be found within two runs."""
TRIFLE = 0.02
"""Growth that is none, however quiet the machine: nobody would look for its cause."""
FEWEST_RUNS = 5
"""Below so many runs of the same code there is no spread."""
LEVEL_RUNS = np.array([1, 1.5, 2, 3, 4, 6, 9, 13, 20])
"""What a level may rest on, to which others are rounded down: a level of fewer runs has a wider limit."""
USUAL_LEVEL = 10
"""Runs before a step, where it is said what can be found."""
FEWEST_NIGHTS = 14
"""Differences between neighbours of a history below which they say nothing of the nights' noise."""
NIGHTS_NOISIER = 1.5
"""How many times as noisy as the calibration nights must be to be believed instead of it."""
CONFIDENCE = 0.95
_NODES = 64
_MAD = 1.4826
"""Standard deviation of a normal distribution, in median absolute deviations."""


@dataclass(frozen=True, slots=True)
class Noise:
    """How far runs of the same code are apart."""

    between: float
    """Standard deviation of the logarithm of a run's figure."""
    runs: int
    """Runs that it was taken from, at least 2."""
    of_nights: bool = False
    """Whether it was taken from the history itself, which is noisier than the calibration was."""


@dataclass(frozen=True, slots=True)
class Step:
    """A change of level; places are those of the values that were searched."""

    last_before: int
    """Place of the last value on the old level."""
    first: int
    """Place of the first value on the new level."""
    confirmed: int
    """Place of the second value in a row that was beyond the limit."""
    old: float
    """Levels, as medians: an outlier that was no step must not move what the next runs are held against."""
    new: float
    old_runs: int
    new_runs: int
    noise: Noise

    @property
    def ratio(self) -> float:
        """Return the new level as a multiple of the old."""
        return self.new / self.old

    def interval(self) -> tuple[float, float]:
        """Return the bounds of the 95 % interval of `ratio`, by Student's t on the runs of the noise."""
        from scipy.special import stdtrit

        quantile = float(stdtrit(self.noise.runs - 1, 0.5 + CONFIDENCE / 2))
        half = quantile * self.noise.between * math.sqrt(1 / _worth(self.old_runs) + 1 / _worth(self.new_runs))
        return self.ratio * math.exp(-half), self.ratio * math.exp(half)


@dataclass(frozen=True, slots=True)
class StepRule:
    """The limit that follows from a noise."""

    noise: Noise

    def limits(self, level_runs: int) -> np.ndarray:
        """Return how far (in logarithms) two runs in a row must be from levels of 1 to `level_runs` runs."""
        worth = [_worth(runs) for runs in range(1, level_runs + 1)]
        rounded = np.searchsorted(LEVEL_RUNS, worth, side="right") - 1
        widths = _factors(self.noise.runs) * np.sqrt(1 + 1 / LEVEL_RUNS) * self.noise.between
        return np.maximum(widths, math.log1p(TRIFLE))[rounded]

    def least(self, level_runs: int) -> float:
        """Return the growth (0.1: 10 %) that is beyond the limit, after a level of so many runs."""
        return math.expm1(float(self.limits(level_runs)[-1]))

    def smallest_found(self, level_runs: int = USUAL_LEVEL) -> float:
        """Return the least growth (0.1: 10 %) that two runs show with the probability `FOUND_SURELY`.

        `level_runs` is how many runs the level before it rests on.
        """
        from scipy.special import ndtr

        spread, limit = self.noise.between, float(self.limits(level_runs)[-1])
        if spread == 0:
            return math.expm1(limit)
        errors, weights = _level_errors(_worth(level_runs))

        def found(step: float) -> float:
            return float((ndtr((step - limit) / spread - errors) ** 2 * weights).sum())

        return math.expm1(_bisected(lambda step: found(step) >= FOUND_SURELY, limit, limit + 20 * spread))

    def holds(self) -> bool:
        """Whether a step of `SEARCHED` is found within two runs; else the series is too noisy for it."""
        return self.smallest_found() <= SEARCHED


def apart(noise: Noise, comparisons: int) -> float:
    """Return the growth (0.1: 10 %) that two single runs of the same code stay below.

    Of so many comparisons that are made at once, none is beyond it with the probability 1 - `FALSE_DIFFERENCES`.
    """
    from scipy.special import stdtrit

    quantile = float(stdtrit(noise.runs - 1, 1 - FALSE_DIFFERENCES / 2 / comparisons))
    return max(math.expm1(quantile * noise.between * math.sqrt(2)), TRIFLE)


def noise_of(values: Sequence[float]) -> Noise | None:
    """Return the noise of runs of the same code; None where there are fewer than `FEWEST_RUNS`.

    The plain standard deviation: a robust one would pass over the outliers that nights will have as well.
    """
    if len(values) < FEWEST_RUNS:
        return None
    return Noise(float(np.std(np.log(values), ddof=1)), len(values))


def with_nights(noise: Noise, values: Sequence[float]) -> Noise:
    """Return the noise of the history `values` where that is clearly more than `noise`, else `noise`.

    Taken from differences between neighbours and their median, so that steps do not count as noise. As many values as
    it is less efficient for are taken off.
    """
    if len(values) <= FEWEST_NIGHTS:
        return noise
    differences = np.abs(np.diff(np.log(values)))
    between = _MAD * float(np.median(differences)) / math.sqrt(2)
    if between <= NIGHTS_NOISIER * noise.between:
        return noise
    return Noise(between, max(FEWEST_RUNS, len(differences) // 3), of_nights=True)


def find_steps(values: Sequence[float], noise: Noise) -> list[Step]:
    """Return the steps of a history, the oldest first; each is searched from the last one on.

    Parameters
    ----------
    values : positive, in the order of their commits; one a run.
    noise : between runs of the same code.
    """
    logs, steps = np.log(np.asarray(values, dtype=float)), []
    limits = StepRule(noise).limits(len(logs))
    start, searched = 0, 2
    while (hit := _first_pair(logs, start, searched, limits)) is not None:
        place = hit
        first = _cut(logs, start, place)
        old = logs[start:first]
        steps.append(Step(first - 1, first, place, math.exp(np.median(old)), 0.0, len(old), 0, noise))
        start, searched = first, place + 2
    ends = [*(step.first for step in steps[1:]), len(logs)][: len(steps)]
    return [
        replace(step, new=math.exp(np.median(logs[step.first : end])), new_runs=end - step.first)
        for step, end in zip(steps, ends, strict=True)
    ]


def last_is_beyond(values: Sequence[float], noise: Noise) -> Literal[-1, 0, 1]:
    """Return whether the last value alone is above (1) or below (-1) the limit: the next one decides."""
    steps = find_steps(values, noise)
    logs = np.log(np.asarray(values, dtype=float))[steps[-1].first if steps else 0 :]
    if len(logs) < 2 or (steps and steps[-1].confirmed == len(values) - 1):
        return 0
    excess = float(logs[-1] - np.median(logs[:-1]))
    if abs(excess) <= StepRule(noise).limits(len(logs) - 1)[-1]:
        return 0
    return 1 if excess > 0 else -1


def _worth(runs: int) -> float:
    """Return how many runs a mean would need to be as sure as the median of `runs`."""
    return runs if runs < 3 else runs * 2 / math.pi


def _first_pair(logs: np.ndarray, start: int, searched: int, limits: np.ndarray) -> int | None:
    """Return the place of the second of two values in a row that are beyond the limit on one side; None if none are.

    Their level is the median from `start` to the value before them; the second is `searched` or a later one.
    """
    places = np.arange(max(searched, start + 2), len(logs))
    if not len(places):
        return None
    runs = places - 1 - start
    levels = _running_medians(logs[start:])[runs - 1]
    pair = np.stack([logs[places - 1], logs[places]]) - levels
    limit = limits[runs - 1]
    hits = np.flatnonzero((pair > limit).all(axis=0) | (pair < -limit).all(axis=0))
    return int(places[hits[0]]) if len(hits) else None


def _running_medians(values: np.ndarray) -> np.ndarray:
    """Return the medians of the first value, the first two, and so on."""
    ordered: list[float] = []
    medians = []
    for value in values.tolist():
        bisect.insort(ordered, value)
        half = len(ordered) // 2
        medians.append(ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2)
    return np.array(medians)


def _cut(logs: np.ndarray, start: int, end: int) -> int:
    """Return the place of the first value of the new level, which `end` and the value before it have shown.

    Where the values since then are, taken together, nearest to the new level and not to the old one; none counts for
    more than the step between them, so that an outlier before it moves nothing.
    """
    old, new = float(np.median(logs[start : end - 1])), float(logs[end - 1 : end + 1].mean())
    nearer = np.abs(logs[start + 1 : end + 1] - old) - np.abs(logs[start + 1 : end + 1] - new)
    since = np.cumsum(nearer[::-1])[::-1][
        :-1
    ]  # the last place is a candidate of its own no more: two runs have shown it
    return start + 1 + int(since.argmax())


@functools.cache
def _factors(runs: int) -> np.ndarray:
    """Return how many standard deviations, taken from `runs` runs, the limits for `LEVEL_RUNS` are away."""

    def factor(level_runs: float) -> float:
        return _bisected(lambda one: _false_alarms(one, runs, level_runs) <= FALSE_ALARMS, 0.5, 1000.0)

    return np.array([factor(float(level_runs)) for level_runs in LEVEL_RUNS])


def _bisected(enough: Callable[[float], bool], low: float, high: float) -> float:
    """Return the least value between `low` and `high` that is `enough`, to a ten-thousandth of it."""
    while high > low * 1.0001:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _false_alarms(factor: float, runs: int, level_runs: float) -> float:
    """Return the probability of a false step within a month of independent normal noise.

    Over what the measured spread and the level may be in place of the true ones: in a month they stay as wrong as they
    are, so the mean is taken over months, and not over nights.
    """
    from scipy.special import gammaincinv, ndtr

    freedom = runs - 1
    spread = np.sqrt(2 * gammaincinv(freedom / 2, (np.arange(_NODES) + 0.5) / _NODES) / freedom)[:, None]
    errors, weights = _level_errors(level_runs)
    limit = factor * spread * math.sqrt(1 + 1 / level_runs)
    above, below = ndtr(-limit - errors), ndtr(-limit + errors)
    neither = 1 - above - below
    # Months without a step so far, by their last run: within the limits, above, below.
    within, up, down = np.ones_like(above), np.zeros_like(above), np.zeros_like(above)
    for _ in range(MONTH):
        within, up, down = (within + up + down) * neither, (within + down) * above, (within + up) * below
    return 1 - float(((within + up + down) * weights).sum(axis=1).mean())


@functools.cache
def _level_errors(level_runs: float) -> tuple[np.ndarray, np.ndarray]:
    """Return errors of a level of so many runs, in standard deviations of one, and their weights."""
    places, weights = np.polynomial.hermite_e.hermegauss(24)
    return places / math.sqrt(level_runs), weights / weights.sum()
