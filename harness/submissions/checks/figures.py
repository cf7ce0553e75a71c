"""Whether figures are those of their suite, and whether value, n and interval of each follow from one another.

What a value may be at all is `harness.results.validity`'s. Intervals are computed again by the functions that made
them. Must not know a suite by name.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence

from harness.catalogue.cards import Registry
from harness.results.record import MEASURED, Metric, Record
from harness.results.stats import t_interval, wilson_interval
from harness.submissions.verdict import Complaint, Line, judged

__all__ = ["check_figures", "check_intervals", "same"]

CLOSE = 1e-9
"""Relative difference that arithmetic in double precision leaves between two ways to the same figure."""
PROCESSES, REPETITIONS, SAMPLES = "processes", "repetitions", "test samples"
OF_ALL = "error_fraction"
"""End of the names of errors that are a share of all test samples, and so have Wilson's interval; a loss is the
difference of two of them, paired sample by sample."""
LEAST_FOR_MEDIAN = 6
"""Fewer samples have no interval of their median."""


def same(one: float, other: float, relative: float = CLOSE) -> bool:
    """Whether two figures are equal up to rounding."""
    return math.isclose(one, other, rel_tol=relative, abs_tol=1e-300)


def check_figures(records: Sequence[Record], registry: Registry) -> Line:
    """Return whether every record has figures of its suite, and says of each what the suite's card says."""
    measured = [record for record in records if record.status in MEASURED]
    return judged(
        "figures",
        len(measured),
        "records have figures of their suites alone, exact where the suite says so",
        (complaint for record in measured for complaint in _of_card(record, registry)),
        "no record has figures",
    )


def _of_card(record: Record, registry: Registry) -> Iterator[Complaint]:
    if record.cell.suite not in registry.suites:
        yield record, f"there is no suite {record.cell.suite!r}"
        return
    cards = registry.suite(record.cell.suite).metrics
    if not record.metrics:
        yield record, f"its status is {record.status!r}, and it has no figure"
    for name, metric in record.metrics.items():
        if name not in cards:
            yield record, f"{name} is no figure of the suite {record.cell.suite}"
        elif metric.exact != cards[name].exact:
            yield record, f"{name} is said to be {'exact' if metric.exact else 'noisy'}, and is not"


def check_intervals(records: Sequence[Record]) -> Line:
    """Return whether n, low and high of every figure follow from its samples, or from its value and n."""
    asked = [record for record in records if any(one.low is not None or one.samples for one in record.metrics.values())]
    return judged(
        "intervals",
        len(asked),
        "records have intervals that follow from their samples",
        (
            (record, f"{name} {problem}")
            for record in asked
            for name, metric in record.metrics.items()
            for problem in _problems(name, metric)
        ),
        "no figure has an interval or samples",
    )


def _problems(name: str, metric: Metric) -> Iterable[str]:
    if metric.covers == SAMPLES and name.endswith(OF_ALL):
        yield from _of_share(metric)
    elif metric.covers == PROCESSES and len(metric.samples) > 1:
        mean, low, high = t_interval(metric.samples)
        yield from _unequal(metric, mean, max(low, 0.0), high, "mean")
    elif metric.covers == REPETITIONS and metric.samples:
        yield from _of_median(metric)
    elif metric.covers is not None and metric.low is None:
        yield f"says that an interval covers {metric.covers}, and has none"
    elif metric.covers is None and metric.low is not None:
        yield "has an interval and does not say what it covers"


def _of_share(metric: Metric) -> Iterable[str]:
    missed = metric.value * metric.n
    if not math.isclose(missed, round(missed), abs_tol=1e-6):
        yield f"({metric.value:g}) is no whole number of {metric.n} test samples"
        return
    low, high = wilson_interval(round(missed), metric.n)
    yield from _unequal(metric, metric.value, low, high, "share")


def _of_median(metric: Metric) -> Iterable[str]:
    samples = sorted(metric.samples)
    k = _rank(len(samples))
    if k == 0:
        if metric.low is not None:
            yield f"has an interval of {len(samples)} samples; {LEAST_FOR_MEDIAN} are the fewest that have one"
        return
    yield from _unequal(metric, statistics.median(samples), samples[k - 1], samples[-k], "median")


def _rank(n: int) -> int:
    """Return which sample from either end bounds the median of n with 95 %, as the clock does; 0: none."""
    from scipy.special import bdtr

    return next((k for k in range(n // 2, 0, -1) if bdtr(k - 1, n, 0.5) < 0.025), 0)


def _unequal(metric: Metric, value: float, low: float, high: float, what: str) -> Iterator[str]:
    if not same(metric.value, value):
        yield f"({metric.value:.9g}) is not the {what} of its samples ({value:.9g})"
    elif metric.low is None or metric.high is None:
        yield f"has no interval, though its samples give one ({low:.6g} to {high:.6g})"
    elif not (_near(metric.low, low, value) and _near(metric.high, high, value)):
        yield (
            f"has the interval {metric.low:.6g} to {metric.high:.6g}; its samples (n = {metric.n}) give "
            f"{low:.6g} to {high:.6g}"
        )


def _near(one: float, other: float, size: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9 * max(abs(size), 1e-300))
