"""Tunability: the test error to expect after a given number of trials, for readers who will not tune as long.

Of n trials the first is the cards' default, the others are any n - 1 of those that were drawn; what has the least
validation error is taken, as in a study. The mean over all such sets is exact: of N drawn trials, sorted by validation
error, the i-th is the best of a random set of m with probability C(N - i, m - 1) / C(N, m). So n = 1 is the default
itself, and no trial is used twice (Dodge et al. 2019, sec. 3.2, draw with replacement, which is biased downward for
large n, as Tang et al. 2020 show). A trial that failed is worse than any other, and has the error of guessing. Must not
know how trials are run or shown.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import t as student

from harness.catalogue.recipes import Combination
from harness.results.stats import Estimate
from harness.tuning.study import Trial

__all__ = ["COUNTS", "Curve", "curve_of", "expected_error"]

COUNTS = (1, 2, 4, 8, 12, 20)
"""Numbers of trials that are shown, as far as there are as many."""
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Curve:
    """The expected test error of a combination."""

    combination: Combination
    trials: int
    points: Sequence[tuple[int, Estimate]]
    """(number of trials, what is to be expected then)."""

    @property
    def gain(self) -> float:
        """Return the error that tuning saves: that of the default less that after all trials."""
        return self.points[0][1].value - self.points[-1][1].value


@dataclass(frozen=True, slots=True)
class _Outcome:
    validation: float
    test: float
    number: int

    @property
    def order(self) -> tuple[float, int]:
        return self.validation, self.number


def curve_of(combination: Combination, trials: Sequence[Trial], classes: int) -> Curve | None:
    """Return the curve of a study; None if it has no default trial yet.

    Parameters
    ----------
    trials : of one design.
    classes : of the task; guessing misses all but one of as many.
    """
    outcomes = [_outcome(trial, classes) for trial in sorted(trials, key=lambda one: one.trial)]
    if not outcomes or outcomes[0].number != 0:
        return None
    default, drawn = outcomes[0], outcomes[1:]
    counts = sorted({count for count in COUNTS if count <= len(outcomes)} | {len(outcomes)})
    points = [(count, _estimate(default, drawn, count - 1)) for count in counts]
    return Curve(combination, len(outcomes), tuple(points))


def expected_error(default: tuple[float, float], drawn: Sequence[tuple[float, float]], count: int) -> float:
    """Return the expected test error of the best of the default and `count` of the drawn trials.

    Parameters
    ----------
    default, drawn : (validation error, test error) each.
    count : at most as many as were drawn.

    Raises
    ------
    ValueError
        If there are not as many.
    """
    if not 0 <= count <= len(drawn):
        raise ValueError(f"{count} of {len(drawn)} trials cannot be chosen")
    first, *rest = (_Outcome(*pair, number) for number, pair in enumerate([default, *drawn]))
    return _expected(first, rest, count)


def _expected(default: _Outcome, drawn: Sequence[_Outcome], count: int) -> float:
    if count == 0:
        return default.test
    total, size = 0.0, len(drawn)
    for place, outcome in enumerate(sorted(drawn, key=lambda one: one.order), start=1):
        share = math.comb(size - place, count - 1) / math.comb(size, count)
        total += share * min((default, outcome), key=lambda one: one.order).test
    return total


def _estimate(default: _Outcome, drawn: Sequence[_Outcome], count: int) -> Estimate:
    """Return the expectation with an interval from the jackknife over the drawn trials: what other ones would give.

    Where all of them are in every set, and where there is none to leave out, there is no interval.
    """
    value, size = _expected(default, drawn, count), len(drawn)
    if count == 0 or count >= size:
        return Estimate(value, None, None, size, None)
    without = [_expected(default, [*drawn[:index], *drawn[index + 1 :]], count) for index in range(size)]
    mean = statistics.fmean(without)
    error = math.sqrt((size - 1) / size * math.fsum((one - mean) ** 2 for one in without))
    half = float(student.ppf((1 + CONFIDENCE) / 2, size - 1)) * error
    return Estimate(value, max(0.0, value - half), min(1.0, value + half), size, "trials")


def _outcome(trial: Trial, classes: int) -> _Outcome:
    if trial.validation_error_fraction is None or trial.test_error_fraction is None:
        return _Outcome(math.inf, 1 - 1 / classes, trial.trial)
    return _Outcome(trial.validation_error_fraction, trial.test_error_fraction, trial.trial)
