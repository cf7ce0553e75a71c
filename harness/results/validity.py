"""Whether a record can be true: what is impossible for its metric, its time or its counts, named in a sentence.

Records come from strangers, old versions and edited files. A record with an impossible figure is a problem of its
store, shown by name and never ranked; a run that gives one is a failed run. Must not judge what is merely unlikely.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from harness.catalogue.cards import MetricCard, Registry
from harness.catalogue.cell import DEFAULT_RECIPE
from harness.catalogue.recipes import TRIAL, is_tuning_seed
from harness.results.record import Metric, Provenance, Record, RunnerState, moment

__all__ = ["Limits", "limits_of", "problem_of", "problems_of_metric"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Which values a metric can have."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    """Whether the value must lie above `low`: no time is zero."""
    whole: bool = False

    def problem(self, value: float) -> str | None:
        """Say why `value` is none of them, or return None."""
        if not math.isfinite(value):
            return "is not finite"
        if abs(value) > LARGEST_VALUE:
            return "is larger than anything that is measured"
        if value < self.low or (self.open_low and value <= self.low):
            return f"is {'not above' if self.open_low else 'below'} {self.low:g}"
        if value > self.high + ROUNDING * abs(self.high):
            return f"is above {self.high:g}"
        if self.whole and value != math.floor(value):
            return "is no whole number"
        return None


LARGEST_VALUE = 1e100
"""Sums and squares of what is below still are numbers."""
ROUNDING = 1e-9
"""What arithmetic in double precision may leave between a value and a bound that it equals."""
AGREEMENT = 1e-6
"""Relative difference that a value may have from the median or the mean of its samples."""
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
"""Before there was any spiking network in PyTorch of the versions read here: a clock that was never set."""
AHEAD = timedelta(days=1)
"""How far another machine's clock may be ahead of ours."""
LARGEST_COUNT = 2**63
"""Counts are counts of something: what no computer counts to is no count, and would overflow a float."""

_HASH = re.compile(r"[0-9a-f]{7,64}")
"""What git calls a commit by; anything else would be a name, or an option, to the git that is asked for it."""
_POSITIVE = Limits(0.0, open_low=True)
_SHARE = Limits(0.0, 1.0)
_AMOUNT = Limits(0.0)
_COUNT = Limits(0.0, whole=True)
_OF_UNIT: Mapping[str, Limits] = {
    "fraction": _SHARE,
    **dict.fromkeys(("parameters", "epochs", "updates", "checks", "samples", "steps"), _COUNT),
    **dict.fromkeys(("bytes", "joules", "operations", "spikes", "events", "neurons", "hertz", "windows"), _AMOUNT),
    **dict.fromkeys(("spikes per neuron and step", "squared signal units", "squared intensity", "pixels"), _AMOUNT),
    "time steps": Limits(1.0),  # an answer takes one step at least; means of samples are no whole numbers
    # Slopes of a fit through equal amounts, or equal times (of an ANN that a conversion trains): on either side of 0.
    "bytes per time step": Limits(-1e-6),
    "seconds per time step": Limits(-1e-3),
    **dict.fromkeys(("seconds", "ratio"), _POSITIVE),
    **dict.fromkeys(("samples per second", "neuron-steps per second", "bytes per second"), _POSITIVE),
}
"""What a unit leaves possible; a card may say otherwise (`MetricCard.bounds`). Of other units any finite value is."""


def limits_of(card: MetricCard) -> Limits:
    """Return which values the metric of `card` can have."""
    if card.bounds is None:
        return _OF_UNIT.get(card.unit, Limits())
    low, high = card.bounds
    return Limits(-math.inf if low is None else low, math.inf if high is None else high)


def problem_of(record: Record, registry: Registry, now: datetime | None = None) -> str | None:
    """Say what makes `record` impossible, or return None.

    Parameters
    ----------
    rows : cards of the suites; the figures of a suite that is not among them are held against their units alone.
    now : what time it is. [default: the system's]
    """
    return next(_problems(record, registry, now or datetime.now(UTC)), None)


def problems_of_metric(metric: Metric, card: MetricCard | None) -> Iterator[str]:
    """Yield what makes a figure impossible; `card` is its metric's, None if nobody knows it."""
    limits = _OF_UNIT.get(metric.unit, Limits()) if card is None else limits_of(card)
    if card is not None and metric.unit != card.unit:
        yield f"is in {metric.unit!r}, its metric is in {card.unit!r}"
    if card is not None and metric.direction != card.direction:
        yield f"says {metric.direction!r} is better, its metric says {card.direction!r}"
    if reason := limits.problem(metric.value):
        yield f"({metric.value:g}) {reason}"
    yield from _interval(metric)
    yield from _samples(metric, limits)


def _problems(record: Record, registry: Registry, now: datetime) -> Iterator[str]:
    yield from _time(record.provenance, now)
    commit = record.provenance.commit
    if commit is not None and not _HASH.fullmatch(commit):
        yield f"commit {commit[:40]!r} is no hash"
    yield from _counts(record)
    recipe = record.cell.recipe
    if recipe != DEFAULT_RECIPE and not recipe.startswith(TRIAL) and is_tuning_seed(record.cell.seed):
        yield f"seed {record.cell.seed} is kept for tuning, and cannot judge the recipe {recipe!r}"
    suite = record.cell.suite
    cards: Mapping[str, MetricCard] = registry.suite(suite).metrics if suite in registry.suites else {}
    for name, metric in record.metrics.items():
        for reason in problems_of_metric(metric, cards.get(name)):
            yield f"{name} {reason}"
    for name, series in record.series.items():
        if not all(math.isfinite(number) for point in series.points for number in point):
            yield f"the series {name} has a point that is not finite"


def _interval(metric: Metric) -> Iterator[str]:
    if metric.low is None and metric.high is None:
        return
    if metric.low is None or metric.high is None:
        yield "has half an interval"
    elif not all(math.isfinite(bound) and abs(bound) <= LARGEST_VALUE for bound in (metric.low, metric.high)):
        yield "has an interval that is not finite"
    else:
        slack = ROUNDING * max(1.0, abs(metric.value))
        if not metric.low - slack <= metric.value <= metric.high + slack:
            yield f"({metric.value:g}) lies outside its interval, {metric.low:g} to {metric.high:g}"


def _samples(metric: Metric, limits: Limits) -> Iterator[str]:
    if not 1 <= metric.n <= LARGEST_COUNT:
        yield f"rests on {metric.n:.6g} values" if abs(metric.n) <= LARGEST_COUNT else "rests on too many values"
    if not metric.samples:
        return
    if metric.n != len(metric.samples):
        yield f"says that it rests on {metric.n} samples and has {len(metric.samples)}"
    for sample in metric.samples:
        if reason := limits.problem(sample):
            yield f"has a sample ({sample:g}) that {reason}"
            return
    if not any(math.isclose(metric.value, of(metric.samples), rel_tol=AGREEMENT) for of in (statistics.median, _mean)):
        yield f"({metric.value:g}) is neither the median nor the mean of its samples"


def _mean(samples: Iterable[float]) -> float:
    kept = tuple(samples)
    return math.fsum(sample / len(kept) for sample in kept)


def _time(provenance: Provenance, now: datetime) -> Iterator[str]:
    started = moment(provenance.started_at)
    if started is None:
        yield f"started_at {provenance.started_at[:40]!r} is no time with a time zone (ISO 8601)"
    elif started < EARLIEST:
        yield f"was measured in {started.year}, says started_at"
    elif started > now + AHEAD:
        yield f"was measured in the future ({provenance.started_at[:40]})"
    seconds = provenance.duration_seconds
    if not (math.isfinite(seconds) and seconds >= 0):
        yield f"took {seconds:g} seconds"
    elif started is not None and seconds > (now + AHEAD - started).total_seconds():
        yield f"took {seconds:g} seconds, which are not over yet"
    busy = provenance.busy_fraction
    if busy is not None and not (math.isfinite(busy) and busy >= 0):
        yield f"says that other processes took {busy:g} of the processors"
    for name, value in (provenance.clocks or {}).items():
        if not (math.isfinite(value) and value >= 0):
            yield f"has the clock rate {name} = {value:g}"
    yield from _runner(provenance.runner)


def _runner(runner: RunnerState | None) -> Iterator[str]:
    for state in () if runner is None else (runner, *runner.gpus):
        for name, value in state:
            if isinstance(value, int | float) and not (math.isfinite(value) and 0 <= value < LARGEST_COUNT):
                yield f"says of its machine {name} = {value:g}"


def _counts(record: Record) -> Iterator[str]:
    provenance, machine = record.provenance, record.provenance.machine
    counts = {
        "seed": record.cell.seed,
        "threads of the cell": record.cell.threads,
        "threads": provenance.threads,
        "suite_version": provenance.suite_version,
        "task_version": provenance.task_version,
        "clock_version": provenance.clock_version,
        "physical_cores": machine.physical_cores,
        "logical_cores": machine.logical_cores,
        "memory_bytes": machine.memory_bytes,
    }
    for name, count in counts.items():
        if count is not None and not 0 <= count < LARGEST_COUNT:
            yield f"{name} is {'negative' if count < 0 else 'too large'}"
