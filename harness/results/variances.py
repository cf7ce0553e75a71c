"""How sure a mean of three seeds is: variances that learn from the other rows of a table, and tails that allow for it.

Three seeds say little about a row's variance: on two degrees of freedom a difference needs 45 standard errors to count
among the 105 pairs of 15 rows. The other rows of the table do the same work and know more. So a row's variance is
*moderated* (Smyth 2004, "Linear models and empirical Bayes methods"): variances of rows are taken as draws from a
scaled inverse chi-square whose degrees of freedom and scale are estimated from all rows, and a row's variance is its
posterior mean. Where rows are alike, they share nearly all degrees of freedom; where they differ, each keeps to its
own. Rows that are wild beyond what the others allow share what they know among themselves, and cost the others nothing.

A difference has a second variance, of the test samples, that is well known. Adding the two and taking Satterthwaite's
degrees of freedom trusts a variance that is small by luck; here the uncertain one is integrated out instead. Must not
know what is compared.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

__all__ = ["Variances", "moderated", "reach", "tail"]

WILD = 1e-3
"""Chance, for a whole table of rows that are alike, that one of them is taken for wild."""
BACK = 3e-3
"""Chance of so large a variance, seen the spread of the others, from which on a row is not wild after all."""
NEARLY_WILD = 0.03
"""Chance for a single row that is like the others. Of wild rows of three seeds some are tame by luck and are told from
the others: with 0.01 that made 4.8 % of tables with one row ten times noisier wrong, with 0.03 it is 4.3 %, for two
points of power among rows that are alike."""
MOST_FREEDOM = 1e3
"""Degrees of freedom beyond which a variance counts as known."""
CAUTION = 6.0
"""Standard errors, times the degrees of freedom of the whole table, by which the spread of variances is taken larger
than it looks: a fifth of an error for 15 rows of 3 seeds, more than a whole one for 3 rows."""
LOWEST = 0.01
"""Of the median variance: seeds that agree by luck say nothing of how alike rows are."""
NODES = 48
HALVINGS = 24
"""Of the bracket of an interval's end: to a ten-millionth."""


class Variances(NamedTuple):
    """Estimated variances and the degrees of freedom behind each."""

    values: Floats
    freedom: Floats


def moderated(own: Variances) -> Variances:
    """Return the variances of rows, each informed by the others; rows without a degree of freedom get what these say.

    Rows of which nothing is known (no row has a degree of freedom) keep 0 of them.
    """
    import numpy as np

    values, freedom = own.values, np.where(np.isfinite(own.values), own.freedom, 0.0)
    known = (freedom > 0) & (values > 0)
    if not known.any():
        return Variances(values, np.zeros_like(freedom))
    unit = values[known].max()
    values = np.where(known, values / unit, 0.0)
    alike = _alike(values, freedom, known)
    prior, scale = _prior(values[alike], freedom[alike])
    total = prior + freedom
    posterior = (prior * scale + freedom * values) / np.where(total > 0, total, 1.0)
    # Nearly wild: the others are not believed where they would make it smaller, nor surer.
    nearly = _chance_of_more(values, freedom, prior=math.inf, scale=_typical(values, freedom, known)) < NEARLY_WILD
    posterior = np.where(nearly, np.maximum(posterior, values), posterior)
    shared = np.where(nearly, freedom, np.minimum(total, freedom[alike].sum()))
    shared = np.where(np.isfinite(own.values), shared, 0.0)
    found = Variances(posterior * unit, shared)
    wild = known & ~alike
    if wild.any():
        found.values[wild], found.freedom[wild] = moderated(Variances(values[wild] * unit, freedom[wild]))
    return found


def _alike(values: Floats, freedom: Floats, known: Flags) -> Flags:
    """Return which of the `known` rows are not wild.

    At first whatever equal variances do not allow is taken for wild; then what the spread of the remaining rows allows
    comes back, until nothing more does. Without the way back, rows that differ much would lose their upper half, and
    the lower one would look alike.
    """
    beyond = _chance_of_more(values, freedom, math.inf, _typical(values, freedom, known))
    wild = known & (beyond < WILD / known.sum())
    while wild.any():
        alike = known & ~wild
        back = wild & (_chance_of_more(values, freedom, *_prior(values[alike], freedom[alike])) >= BACK)
        if not back.any():
            break
        wild &= ~back
    return known & ~wild


def _typical(values: Floats, freedom: Floats, known: Flags) -> float:
    """Return the variance that the `known` rows would have in common, by the median."""
    import numpy as np
    from scipy.special import chdtri

    return float(np.median(values[known] * freedom[known] / chdtri(freedom[known], 0.5)))


def _chance_of_more(values: Floats, freedom: Floats, prior: float, scale: float) -> Floats:
    """Return the chance of a larger variance from a distribution of `scale` on `prior` degrees of freedom."""
    import numpy as np
    from scipy.special import chdtrc, fdtrc

    if prior >= MOST_FREEDOM:
        return np.asarray(chdtrc(freedom, freedom * values / scale))
    return np.asarray(fdtrc(freedom, prior, values / scale)) if prior > 0 else np.ones_like(values)


def _prior(values: Floats, freedom: Floats) -> tuple[float, float]:
    """Return degrees of freedom and scale of the distribution that the variances are drawn from, by moments of logs."""
    import numpy as np
    from scipy.special import digamma, polygamma

    count = len(values)
    if count < 2:
        return 0.0, float(values.mean())
    values = np.maximum(values, LOWEST * np.median(values))
    logs = np.log(values) - digamma(freedom / 2) + np.log(freedom / 2)
    luck, luck_of_luck = polygamma(1, freedom / 2).mean(), polygamma(3, freedom / 2).mean()
    error = np.sqrt((luck_of_luck + 2 * luck**2 * count / (count - 1)) / count)
    excess = float(logs.var(ddof=1) - luck + CAUTION / freedom.sum() * error)
    prior = 2 * _inverse_trigamma(excess) if excess > 0 else np.inf
    if prior >= MOST_FREEDOM:
        return MOST_FREEDOM, float((values * freedom).sum() / freedom.sum())
    return prior, float(np.exp(logs.mean() + digamma(prior / 2) - np.log(prior / 2)))


def _inverse_trigamma(y: float) -> float:
    """Solve ``trigamma(x) = y`` by Newton's steps on 1 / trigamma, which is nearly straight and never overshoots."""
    from scipy.special import polygamma

    x = 0.5 + 1 / y
    for _ in range(50):
        trigamma = polygamma(1, x)
        step = trigamma * (1 - trigamma / y) / polygamma(2, x)
        x += step
        if abs(step) < 1e-8 * x:
            break
    return float(x)


def tail(distance: Floats, uncertain: Variances, known: Floats) -> Floats:
    """Return the chance of a difference at least as large as `distance` either way, were there none.

    Parameters
    ----------
    distance : differences ``[N]``, 0 or more.
    uncertain : variance of each difference that was estimated on few degrees of freedom; 0 of them: the chance is 1.
    known : variance of each difference beside it.
    """
    import numpy as np

    judged = (uncertain.freedom > 0) & (uncertain.values + known > 0)
    chance = np.ones(distance.shape)
    chance[judged] = _Mixture(uncertain, known, judged).tail(distance[judged])
    return chance


def reach(chance: float, uncertain: Variances, known: Floats) -> Floats:
    """Return the difference that `tail` gives `chance` for, half of an interval; infinite where nothing is known."""
    import numpy as np
    from scipy.special import ndtri, stdtrit

    judged = (uncertain.freedom > 0) & (uncertain.values + known > 0)
    mixture = _Mixture(uncertain, known, judged)
    total = np.sqrt(uncertain.values + known)[judged]
    # Between the two extremes: all of the variance certain, all of it uncertain.
    low = -ndtri(chance / 2) * np.sqrt(known[judged])
    high = -stdtrit(uncertain.freedom[judged], chance / 2) * total
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = mixture.tail(middle) > chance
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    found = np.full(known.shape, np.inf)
    found[judged] = high
    return found


class _Mixture:
    """Normal distributions whose variance is in part uncertain, as an inverse chi-square is."""

    def __init__(self, uncertain: Variances, known: Floats, chosen: Flags) -> None:
        import numpy as np
        from scipy.special import digamma, polygamma

        self._variance, self._known = uncertain.values[chosen], known[chosen]
        self._freedom = uncertain.freedom[chosen]
        self._mixed = self._known > 0
        different, which = np.unique(np.minimum(self._freedom[self._mixed], MOST_FREEDOM), return_inverse=True)
        half = different[:, None] / 2
        # Places and weights of the logarithm of a chi-square over its degrees of freedom.
        at = digamma(half) - np.log(half) + np.sqrt(polygamma(1, half)) * np.linspace(-9, 6, NODES)
        logs = half * (at - np.exp(at))
        weights = np.exp(logs - logs.max(1, keepdims=True)) if len(different) else logs
        self._weights = (weights / weights.sum(1, keepdims=True))[which]
        of_seeds = self._variance[self._mixed][:, None] * np.exp(-at)[which]
        self._spread = np.sqrt(of_seeds + self._known[self._mixed][:, None])

    def tail(self, distance: Floats) -> Floats:
        """Return the chance of a difference at least that large, either way."""
        import numpy as np
        from scipy.special import ndtr, stdtr

        found = np.empty(distance.shape)
        plain, mixed = ~self._mixed, self._mixed
        found[plain] = 2 * stdtr(self._freedom[plain], -distance[plain] / np.sqrt(self._variance[plain]))
        found[mixed] = (self._weights * 2 * ndtr(-distance[mixed][:, None] / self._spread)).sum(1)
        return np.where(np.isnan(found), 1.0, found)
