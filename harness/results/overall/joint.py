"""Rows ranked over several settings at once: the mean of their paired differences, by the rules of a single table.

Every setting says how far each row lies from each other and how sure that is (``pairs``); means over settings are sure
in the measure that their parts are, for seeds and test samples of different settings have nothing to do with each
other. Settings are taken as they are: nothing is said of a task that was not measured. Must not know what a row is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.results.pairs import Observed, Pairs, pairs
from harness.results.ranking import Rank, Rule, places
from harness.results.scales import Scale
from harness.results.variances import Variances

__all__ = ["joint_ranks"]

SEEDS = 1_000_000
"""More than any seed: seeds of different settings are different runs."""


def joint_ranks(
    settings: Sequence[Sequence[Observed]], estimates: Sequence[float], rule: Rule, more_seeds: int = 1
) -> list[Rank]:
    """Rank rows over all `settings`, each of which has all rows in the same order.

    Over a single setting these are the ranks of its own table.

    Parameters
    ----------
    settings : what was seen of each row, setting by setting.
    estimates : one figure for each row, in whose order the rows stand.
    rule : how figures of one setting are compared.
    more_seeds : times the seeds that there are, if the differences and variances seen are the true ones: what would
        be told apart then. Test samples stay as many as they are.
    """
    compared = mean_of([pairs(rows, rule.between_runs) for rows in settings])
    if more_seeds > 1:
        values, freedom = compared.uncertain
        compared = replace(compared, uncertain=Variances(values / more_seeds, freedom * more_seeds))
    rows = [_together(several) for several in zip(*settings, strict=True)]
    if len(settings) > 1:  # only ranks are asked for: a mean of odds has no share to be told from
        rule = replace(rule, scale=Scale("plain"), margin=0.0)
    return [place.rank for place in places(estimates, rows, [None] * len(rows), rule, compared)]


def mean_of(several: Sequence[Pairs]) -> Pairs:
    """Return the pairs of a mean over independent settings; degrees of freedom by Welch and Satterthwaite.

    A pair that one setting cannot judge is not judged.
    """
    import numpy as np

    if len(several) == 1:
        return several[0]
    count = len(several)
    parts = np.array([one.uncertain.values for one in several]) / count**2
    freedom = np.array([one.uncertain.freedom for one in several])
    total = parts.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        together = np.where(total > 0, total**2 / (parts**2 / freedom).sum(0), freedom.min(0))
    judged = (freedom > 0).all(0)
    return Pairs(
        difference=np.mean([one.difference for one in several], axis=0),
        uncertain=Variances(total, np.where(judged, np.maximum(together, freedom.min(0)), 0.0)),
        known=np.sum([one.known for one in several], axis=0) / count**2,
    )


def _together(several: Sequence[Observed]) -> Observed:
    """Return one row's runs of all settings, so that a row that lacks a seed somewhere is seen to lack it."""
    if len(several) == 1:
        return several[0]
    return Observed({at * SEEDS + seed: value for at, one in enumerate(several) for seed, value in one.values.items()})
