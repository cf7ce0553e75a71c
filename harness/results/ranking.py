"""Ranks as intervals, and what stands between a row, the leader and the baseline. The only place that ranks.

A rank reaches from 1 + the number of rows that are significantly better to n - the number that are significantly
worse, where "significantly" holds for all pairs of the column at once: with 95 % no pair of equals is told apart (Holm
1979, over the p values of ``pairs``). Over 105 pairs Holm's first step asks for 3.49 standard errors, the studentised
range for 3.39: the distribution of the largest difference would gain little. Holm needs no random numbers, and gains
once some pairs are apart.

Noise widens a rank and never moves a row, which stands where its estimate puts it. Missing seeds cost: a row that lacks
seeds which most rows have wins against none that has them, and its best rank is no better than its place, so that a
crash or a lucky seed gains nothing. Must not know what the figures are of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.results.pairs import Observed, Pairs, pairs
from harness.results.scales import Scale

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Indices = NDArray[np.intp]

__all__ = ["FAMILY_WISE", "Difference", "Place", "Rank", "Rule", "beating", "places"]

FAMILY_WISE = 0.05
"""Chance that a column tells rows apart that are equal, or that one of its intervals of differences misses."""
VAGUE = math.log(10)
"""Half an interval, in logarithms of odds or of a cost, from which on it tells a reader nothing: anything between a
tenth and ten times. Three seeds of which one is wild leave such a one."""
SAME = 1e-12
"""Relative difference below which exact figures are the same: they may have been averaged."""


@dataclass(frozen=True, slots=True)
class Rank:
    """The places that a row may hold."""

    best: int
    worst: int
    tied_with_best: bool
    """Whether it is not significantly worse than the best estimate (of the rows that lack no seed)."""

    def __str__(self) -> str:
        return str(self.best) if self.best == self.worst else f"{self.best}-{self.worst}"


@dataclass(frozen=True, slots=True)
class Difference:
    """How far a row lies from another, same seeds and same samples."""

    value: float
    """This row minus the other, or the share of the other if `relative`: 0.05 is 5 % more."""
    low: float | None
    high: float | None
    """Bounds that hold for all pairs of the column at once with 95 %: the value itself if it is exact; None if
    nothing tells them."""
    relative: bool
    no_worse: bool
    """Whether a test has shown that the two are equal but for the declared margin (two one-sided tests)."""
    vague: bool = False
    """Whether the bounds are so far apart that they tell nothing but that there are too few seeds."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a column says of one row."""

    rank: Rank
    to_leader: Difference | None
    """None for the leader itself."""
    to_baseline: Difference | None
    """None for the baseline itself, and where there is none."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How the rows of a column are compared."""

    lower_is_better: bool
    exact: bool
    """Whether the same code must give the same figure; then any difference counts."""
    scale: Scale
    """That of `harness.results.pairs.Observed.values`."""
    margin: float
    """What is small enough not to matter, in the unit of the differences that are shown."""
    between_runs: float = 0.0
    """See `harness.results.pairs.pairs`."""


def places(
    estimates: Sequence[float],
    rows: Sequence[Observed],
    baseline: Sequence[int | None],
    rule: Rule,
    compared: Pairs | None = None,
) -> list[Place]:
    """Rank the rows of a column.

    Parameters
    ----------
    estimates : the figure of each row, by which rows stand in order.
    rows : what it rests on.
    baseline : for each row, the index of the row it is also compared with.
    compared : the rows pair by pair, where `rows` alone do not say it (over several tasks, say).
    """
    import numpy as np

    if not rows:
        return []
    if len(rows) == 1:
        return [Place(Rank(1, 1, tied_with_best=True), None, None)]
    # A figure may be as large as a float can be; what overflows on the way separates nothing.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        found = compared if compared is not None or rule.exact else pairs(rows, rule.between_runs)
        return _places(estimates, rows, baseline, rule, found)


def _places(
    estimates: Sequence[float],
    rows: Sequence[Observed],
    baseline: Sequence[int | None],
    rule: Rule,
    compared: Pairs | None,
) -> list[Place]:
    import numpy as np

    ordered, ahead = _in_order(estimates, rule)
    lacks, incomplete = _missing(rows) if compared else (np.zeros_like(ahead), np.zeros(len(rows), bool))
    beats = (_beats(compared, ahead, rule) if compared else _differ(ordered) & ahead) & ~lacks
    best = 1 + (beats | (ahead & lacks.T)).sum(0)
    worst = len(rows) - beats.sum(1)
    leader = int(np.argmin(ordered if incomplete.all() else np.where(incomplete, np.inf, ordered)))
    tied = ~beats[leader] & ~incomplete & ~ahead[:, leader]
    tied[leader] = True
    told = _Teller(compared, estimates, rows, rule)
    to_leader, to_baseline = told.to([leader] * len(rows)), told.to(baseline)
    return [
        Place(Rank(int(best[i]), int(worst[i]), bool(tied[i])), to_leader[i], to_baseline[i]) for i in range(len(rows))
    ]


def beating(estimates: Sequence[float], rows: Sequence[Observed], rule: Rule) -> Flags:
    """Return ``[n, n]``: whether a row is significantly better than another, as `places` decides it."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        ordered, ahead = _in_order(estimates, rule)
        if rule.exact:
            return _differ(ordered) & ahead
        if len(rows) < 2:
            return np.zeros_like(ahead)
        lacks, _ = _missing(rows)
        beats: Flags = _beats(pairs(rows, rule.between_runs), ahead, rule) & ~lacks
        return beats


def _in_order(estimates: Sequence[float], rule: Rule) -> tuple[Floats, Flags]:
    """Return the estimates, lowest best, and ``[n, n]``: whose estimate is better."""
    import numpy as np

    ordered = np.array(estimates) * (1 if rule.lower_is_better else -1)
    return ordered, ordered[:, None] < ordered[None, :]


def _differ(ordered: Floats) -> Flags:
    """Return ``[n, n]``: which exact figures differ."""
    import numpy as np

    size = np.maximum(np.abs(ordered[:, None]), np.abs(ordered[None, :]))
    apart: Flags = np.abs(ordered[:, None] - ordered[None, :]) > SAME * size
    return apart


def _beats(compared: Pairs, ahead: Flags, rule: Rule) -> Flags:
    """Return ``[n, n]``: whether a row is significantly better than another; never against the order of estimates."""
    import numpy as np

    sign = 1 if rule.lower_is_better else -1
    with np.errstate(invalid="ignore"):
        agreed = ahead & (sign * compared.difference < 0)
    upper = np.triu_indices(len(ahead), 1)
    rejected = np.zeros_like(ahead)
    rejected[upper] = _holm(compared.chance()[upper], compared.judged[upper])
    beats: Flags = agreed & (rejected | rejected.T)
    return beats


def _holm(chance: Floats, tested: Flags) -> Flags:
    """Return which of the `tested` hypotheses fall, all at once at `FAMILY_WISE`."""
    import numpy as np

    count = int(tested.sum())
    found = np.zeros_like(tested)
    order = np.argsort(np.where(tested, chance, np.inf), kind="stable")[:count]
    holds = chance[order] * (count - np.arange(count)) > FAMILY_WISE
    found[order[: int(np.argmax(holds)) if holds.any() else count]] = True
    return found


def _missing(rows: Sequence[Observed]) -> tuple[Flags, Flags]:
    """Return, of the seeds that at least half of the rows have, who lacks what.

    ``[n, n]``: whether a row lacks one that the other has; ``[n]``: whether it lacks any.
    """
    import numpy as np

    seeds = {seed for row in rows for seed in row.values}
    expected = {seed for seed in seeds if 2 * sum(seed in row.values for row in rows) >= len(rows)}
    lacking = [expected - row.values.keys() for row in rows]
    lacks = np.array([[bool(mine & other.values.keys()) for other in rows] for mine in lacking])
    return lacks, np.array([bool(mine) for mine in lacking])


@dataclass(frozen=True, slots=True)
class _Teller:
    """Tells how far rows lie from others."""

    compared: Pairs | None
    """None for exact figures."""
    estimates: Sequence[float]
    rows: Sequence[Observed]
    rule: Rule

    def to(self, reference: Sequence[int | None]) -> list[Difference | None]:
        """Return how far each row lies from its reference; None for a row that is its own, or has none."""
        couples = [(i, other) for i, other in enumerate(reference) if other is not None and other != i]
        told = dict(zip((i for i, _ in couples), self._told(couples), strict=True)) if couples else {}
        return [told.get(i) for i in range(len(self.rows))]

    def _told(self, couples: Sequence[tuple[int, int]]) -> list[Difference]:
        values = [self._apart(*couple) for couple in couples]
        if self.compared is None:
            relative, margin = self.rule.scale.relative, self.rule.margin
            return [Difference(value, value, value, relative, abs(value) <= margin) for value in values]
        return self._judged(self.compared, couples, values)

    def _judged(self, compared: Pairs, couples: Sequence[tuple[int, int]], values: Sequence[float]) -> list[Difference]:
        import numpy as np

        chosen = (np.array([i for i, _ in couples]), np.array([j for _, j in couples]))
        judged = compared.judged[chosen]
        half = compared.half_width(chosen, FAMILY_WISE / max(int(compared.judged.sum()) // 2, 1))
        equal = self._equal(compared, chosen)
        found = []
        for k, (i, j) in enumerate(couples):
            low = high = None
            if judged[k]:
                middle = float(compared.difference[i, j])
                ends = (self._in_words(j, middle + side * float(half[k])) for side in (-1, 1))
                low, high = (pick(end, values[k]) for pick, end in zip((min, max), ends, strict=True))
            vague = bool(judged[k]) and self.rule.scale.kind != "plain" and float(half[k]) > VAGUE
            found.append(Difference(values[k], low, high, self.rule.scale.relative, bool(equal[k]), vague))
        return found

    def _apart(self, i: int, j: int) -> float:
        mine, theirs = self.estimates[i], self.estimates[j]
        if self.rule.scale.relative:
            return mine / theirs - 1 if theirs else math.inf  # a mean of the smallest floats may be 0
        return mine - theirs

    def _in_words(self, j: int, distance: float) -> float:
        return self.rule.scale.told(self.estimates[j], distance, self.rows[j].samples)

    def _equal(self, compared: Pairs, chosen: tuple[Indices, Indices]) -> Flags:
        """Return which of the `chosen` are shown to lie within the margin: two one-sided tests, Holm over all."""
        import numpy as np

        scale, margin = self.rule.scale, self.rule.margin
        low, high = (
            np.array([scale.distance(self.estimates[j], side * margin, self.rows[j].samples) for j in chosen[1]])
            for side in (-1, 1)
        )
        above, below = compared.chance_above(chosen, low), 1 - compared.chance_above(chosen, high)
        return _holm(np.maximum(above, below), compared.judged[chosen])
