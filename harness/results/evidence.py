"""What records say of a figure, put the way that rows are compared: scale, seeds, repetitions, test samples.

Must not compare.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence

from harness.catalogue.boards.model import Board
from harness.catalogue.cards import MetricCard
from harness.results.pairs import Observed, Tested
from harness.results.predictions import unpack
from harness.results.ranking import Rule
from harness.results.record import Metric, Predictions, Record
from harness.results.scales import Scale

__all__ = ["BETWEEN_RUNS", "OTHER_BETWEEN_RUNS", "is_share", "observed", "rule_of"]

BETWEEN_RUNS: Mapping[str, float] = {"ratio": 0.03, "fraction": 0.03}
"""By unit: relative standard deviation between two processes that do the same, beyond what repetitions in one show.

An assumption: no two published ratios are of the same work. ``tests/perf/test_process_spread.py`` measures it."""
OTHER_BETWEEN_RUNS = 0.05
"""The same for seconds and rates, on the careful side of what LIF's own step differs by in records of one session."""
NORMAL_95 = 1.959963984540054


def rule_of(card: MetricCard, board: Board, figures: Sequence[Metric]) -> Rule:
    """Return how the rows of a column are compared whose `figures` these are."""
    if all(is_share(figure) for figure in figures):
        scale = Scale("odds")
    else:
        scale = Scale("logarithm" if all(0 < figure.value < math.inf for figure in figures) else "plain")
    margin = board.relative_margin if scale.relative else board.share_margin if card.unit == "fraction" else 0.0
    between = BETWEEN_RUNS.get(card.unit, OTHER_BETWEEN_RUNS)
    return Rule(card.direction == "lower", card.exact, scale, margin, between)


def observed(records: Sequence[Record], metric: str, scale: Scale) -> Observed:
    """Return what `records`, one a seed, say of `metric`."""
    figures = {record.cell.seed: record.metrics[metric] for record in records}
    first = next(iter(figures.values()))
    error, freedom = _repeated(first, scale) if len(figures) == 1 else (None, 0.0)
    samples = first.n if is_share(first) else 0
    share = sum(figure.value for figure in figures.values()) / len(figures) if samples else 0.0
    return Observed(
        values={seed: scale.place(figure.value, samples) for seed, figure in figures.items()},
        error=error,
        freedom=freedom,
        tested={
            record.cell.seed: tested
            for record in records
            if is_share(record.metrics[metric]) and (tested := _tested(record, record.metrics[metric])) is not None
        },
        samples=samples,
        share=share,
        slope=scale.slope(share, samples) if samples else 1.0,
    )


def is_share(figure: Metric) -> bool:
    """Whether a figure counts test samples: it moves in steps of 1/n, and its interval covers them."""
    return figure.unit == "fraction" and figure.n > 1 and figure.covers in (None, "test samples")


def _repeated(figure: Metric, scale: Scale) -> tuple[float | None, float]:
    """Return standard error and degrees of freedom of a figure that was repeated in its process."""
    low, high = figure.low, figure.high
    if is_share(figure) or low is None or high is None or figure.n < 2 or (scale.relative and low <= 0):
        return None, 0.0
    return (scale.place(high) - scale.place(low)) / 2 / NORMAL_95, float(figure.n - 1)


def _tested(record: Record, figure: Metric) -> Tested | None:
    """Return which samples a run missed; None if it says nothing, or does not say what the figure says."""
    if record.predictions is None or record.predictions.samples != figure.n:
        return None
    tested = _unpacked(record.predictions)
    if tested is None or not math.isclose(float(tested.missed.mean()), figure.value, abs_tol=0.1 / figure.n):
        return None
    return tested


@functools.lru_cache(maxsize=4096)
def _unpacked(predictions: Predictions) -> Tested | None:
    try:
        return Tested(predictions.digest, unpack(predictions).missed)
    except ValueError:
        return None  # an edited record: its figure counts, its samples do not
