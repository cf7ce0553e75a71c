"""How far the rows of a column lie apart, pair by pair: same seed, same split, same test samples.

Four kinds of evidence, the first that both rows of a pair have:

* **exact** figures differ or do not;
* **seeds**: the differences of the seeds that both rows have. What a seed does to all rows alike (median over rows) is
  taken out, the rest is the row's own variance. Where the records hold what was said of every test sample, the samples
  are crossed with the seeds, as cases with readers in the analysis of medical images (Dorfman, Berbaum and Metz 1992):
  the variance between samples that repeats from seed to seed is the samples' part, the rest is in the seeds' part
  already. Where the split moves with the seed (folds), so do the samples, and the seeds' part holds all. Without
  predictions the samples' part is at most that of two independent test sets, and is taken as such;
* **repetitions** in one process each: the intervals that the values came with, and what two processes differ by beyond
  them, which repetitions in one cannot see;
* **nothing**: a figure observed once, of which nobody knows how it would come out again. No pair is told apart by it.

Why not a bootstrap: resampling three seeds finds two thirds of their variance at most and never a heavy tail. Where
seeds vary more than samples, a paired hierarchical bootstrap with the largest studentised difference separates some of
15 identical methods in 46 to 92 % of simulated tables, and plain t tests on pairs separate none that differ. Must not
know which row is which, nor which direction is better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.results.variances import Variances, moderated, reach, tail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Indices = NDArray[np.intp]

__all__ = ["Observed", "Pairs", "Tested", "pairs"]

ROUNDING = 1e-9
"""Of the largest value: seeds that agree better agree by arithmetic."""
POLISHING_ROUNDS = 3
"""Of taking out seed and row in turns; only tables with missing seeds need more than one."""


@dataclass(frozen=True, slots=True)
class Tested:
    """Which samples of a test split one run missed."""

    digest: str
    """Of split, labels and order."""
    missed: Flags
    """``[N]``"""


@dataclass(frozen=True, slots=True)
class Observed:
    """What the runs of one row gave of one figure."""

    values: Mapping[int, float]
    """By seed, on the scale on which rows vary alike."""
    error: float | None = None
    """Standard error that the repetitions of a single run leave; None where nothing was repeated."""
    freedom: float = 0.0
    """Degrees of freedom behind `error`."""
    tested: Mapping[int, Tested] = field(default_factory=dict)
    """By seed, where predictions were kept."""
    samples: int = 0
    """Test samples of each run, where the figure is a share of them; 0 otherwise."""
    share: float = 0.0
    """That share, mean over runs."""
    slope: float = 1.0
    """How far `values` move with the share."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Every row against every other, ``[n, n]`` each."""

    difference: Floats
    """Value of the row minus that of the column; nan where they share no run."""
    uncertain: Variances
    """Variance that was estimated on few degrees of freedom: 0 of them where a pair cannot be judged."""
    known: Floats
    """Variance beside it."""

    @property
    def judged(self) -> Flags:
        """Return which pairs can be told apart at all."""
        judged: Flags = self.uncertain.freedom > 0
        return judged

    def chance(self) -> Floats:
        """Return the two-sided p value of every pair, by itself; 1 where it cannot be judged."""
        import numpy as np

        upper = np.triu_indices(len(self.known), 1)
        found = np.ones(self.known.shape)
        distance = np.abs(np.nan_to_num(self.difference[upper]))
        found[upper] = tail(distance, _at(self.uncertain, upper), self.known[upper])
        return np.minimum(found, found.T)

    def chance_above(self, chosen: tuple[Indices, Indices], limit: Floats) -> Floats:
        """Return the chance of a difference above the one seen, were the true one `limit`, for the `chosen` pairs."""
        import numpy as np

        beyond = self.difference[chosen] - limit
        half = tail(np.abs(beyond), _at(self.uncertain, chosen), self.known[chosen]) / 2
        return np.where(beyond > 0, half, 1 - half)

    def half_width(self, chosen: tuple[Indices, Indices], chance: float) -> Floats:
        """Return half the interval of the `chosen` differences that misses with `chance`."""
        return reach(chance, _at(self.uncertain, chosen), self.known[chosen])


def _at(variances: Variances, chosen: tuple[Indices, Indices]) -> Variances:
    return Variances(variances.values[chosen], variances.freedom[chosen])


def pairs(rows: Sequence[Observed], between_runs: float = 0.0) -> Pairs:
    """Compare every row with every other.

    Parameters
    ----------
    rows : what was seen of each.
    between_runs : standard deviation between two processes that repetitions within one do not see.
    """
    import numpy as np

    seeds = sorted({seed for row in rows for seed in row.values})
    table = np.array([[row.values.get(seed, np.nan) for seed in seeds] for row in rows]).reshape(len(rows), len(seeds))
    has = ~np.isnan(table)
    shared = has.astype(float) @ has.T.astype(float)
    filled = np.where(has, table, 0.0)
    sums = filled @ has.T.astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = (sums - sums.T) / shared
    from_seeds = _from_seeds(rows, table, shared)
    from_repetitions = _from_repetitions(rows)
    by_seeds = shared >= 2
    repeated = np.array([row.error is not None and len(row.values) == 1 for row in rows])
    by_repetitions = ~by_seeds & (shared == 1) & repeated[:, None] & repeated[None, :]
    off = ~np.eye(len(rows), dtype=bool)
    freedom = np.where(by_seeds, from_seeds.freedom, np.where(by_repetitions, from_repetitions.freedom, 0.0)) * off
    variance = np.where(by_seeds, from_seeds.values, from_repetitions.values)
    known = np.where(by_seeds, _between_samples(rows, shared), 2 * between_runs**2)
    return Pairs(difference, Variances(variance, freedom), known)


def _from_seeds(rows: Sequence[Observed], table: Floats, shared: Floats) -> Variances:
    """Return the variance of each pair's mean difference that the seeds tell."""
    import numpy as np

    has = ~np.isnan(table)
    has &= has.sum(0) > 1  # a seed of one row only leaves nothing to compare
    count = len(rows)
    left = table.copy()
    for _ in range(POLISHING_ROUNDS if count > 1 else 0):
        left = left - _means(left, has)[:, None]
        left = left - _medians(left, has)[None, :]
    left = left - _means(left, has)[:, None]
    freedom = np.maximum(has.sum(1) - 1, 0) * (count - 1) / count
    least = (ROUNDING * np.abs(np.where(has, table, 0.0)).max(initial=0.0)) ** 2
    rounding = np.array([(row.slope / row.samples) ** 2 / 12 if row.samples else 0.0 for row in rows])
    own = np.where(has, left**2, 0.0).sum(1) / np.where(freedom > 0, freedom, 1.0)
    own = np.where(freedom > 0, np.maximum(own + rounding, least), 0.0)
    # Two rows differ in one way only: Student's paired t, whose variance halves between them.
    values, freedom = moderated(Variances(own, freedom)) if count > 2 else Variances(own, 2 * freedom)
    with np.errstate(invalid="ignore", divide="ignore"):
        together = np.where(shared > 0, (values[:, None] + values[None, :]) / shared, 0.0)
    # The smaller number (Hsu 1938), not Satterthwaite's: that one trusts a variance that is small by luck.
    return Variances(together, np.minimum(freedom[:, None], freedom[None, :]))


def _means(left: Floats, has: Flags) -> Floats:
    import numpy as np

    means: Floats = np.where(has, left, 0.0).sum(1) / np.maximum(has.sum(1), 1)
    return means


def _medians(left: Floats, has: Flags) -> Floats:
    """Return the median of every column over the rows that have it; 0 for one that no row has."""
    import numpy as np

    columns = zip(left.T, has.T, strict=True)
    medians: Floats = np.array([np.median(column[there]) if there.any() else 0.0 for column, there in columns])
    return medians


def _from_repetitions(rows: Sequence[Observed]) -> Variances:
    import numpy as np

    error = np.array([row.error or 0.0 for row in rows])
    freedom = np.array([row.freedom for row in rows], float)
    return Variances(error[:, None] ** 2 + error[None, :] ** 2, np.minimum(freedom[:, None], freedom[None, :]))


def _between_samples(rows: Sequence[Observed], shared: Floats) -> Floats:
    """Return the variance of each pair's difference that another test set of that size would bring."""
    import numpy as np

    known = np.zeros(shared.shape)
    if not any(row.samples for row in rows):
        return known
    single = np.array(
        [row.slope**2 * row.share * (1 - row.share) / row.samples if row.samples else 0.0 for row in rows]
    )
    known = single[:, None] + single[None, :]
    complete = [i for i, row in enumerate(rows) if row.tested and row.tested.keys() >= row.values.keys()]
    digests = {tested.digest for i in complete for tested in rows[i].tested.values()}
    if len(complete) > 1:
        inner = np.ix_(complete, complete)
        known[inner] = _crossed([rows[i] for i in complete], shared[inner]) if len(digests) == 1 else 0.0
    return known


def _crossed(rows: Sequence[Observed], shared: Floats) -> Floats:
    """Return the samples' part where every run of every row was tested on the same samples.

    The covariance of two rows between samples, of runs of different seeds only: runs of one seed also share its luck.
    """
    import numpy as np

    seeds = sorted({seed for row in rows for seed in row.tested})
    count = len(next(iter(rows[0].tested.values())).missed)
    total = np.zeros((len(rows), count), np.float32)
    same_seed = np.zeros(shared.shape)
    for seed in seeds:
        of_seed = np.zeros_like(total)
        for i, row in enumerate(rows):
            if seed in row.tested:
                of_seed[i] = row.tested[seed].missed
        total += of_seed
        same_seed += _covariances(of_seed)
    runs = np.array([len(row.tested) for row in rows], float)
    with np.errstate(invalid="ignore", divide="ignore"):
        repeating = (_covariances(total) - same_seed) / (runs[:, None] * runs[None, :] - shared)
    slope = np.array([row.slope for row in rows])
    repeating *= slope[:, None] * slope[None, :]
    own = np.diag(repeating)
    return np.maximum(np.nan_to_num(own[:, None] + own[None, :] - 2 * repeating), 0.0) / count


def _covariances(misses: NDArray[np.float32]) -> Floats:
    """Return the covariances of rows ``[n, N]`` over samples; sums of small whole numbers are exact in float32."""
    import numpy as np

    count = misses.shape[1]
    means = misses.sum(1, dtype=np.float64) / count
    products = (misses @ misses.T).astype(np.float64)
    covariances: Floats = (products - count * np.outer(means, means)) / max(count - 1, 1)
    return covariances
