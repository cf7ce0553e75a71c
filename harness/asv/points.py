"""Records as points of series: which figures have a graph, where they belong on it, and which records are kept out.

Every figure where less is better has a graph, because asv takes only a rise for a regression. Must not know asv's
files, nor import torch.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from harness.asv.series import (
    SeriesSamples,
    benchmark_name,
    benchmark_version,
    clock_version,
    current_version,
    is_plain,
    reported,
    series_label,
)
from harness.catalogue.cards import Registry
from harness.catalogue.cell import Cell
from harness.results.record import Machine, Metric, Record
from harness.text import slug

__all__ = ["CommitDate", "Points", "SeriesLine", "SeriesPoint", "Value", "points_of"]

FIXED_BY = ("numpy", "torch")
"""Packages whose version starts a new line on every graph, as asv.conf.json has it."""
NO_RESULT = ("unsupported", "interrupted")
_VERSION = re.compile(r"[0-9A-Za-z.+_-]{1,40}")
"""What the versions of packages look like; they become parts of names of files."""

CommitDate = Callable[[str], int | None]
"""Date of a commit in milliseconds since 1970, or None if it is not in this history."""
Value = float | SeriesSamples | None
"""What asv is given for a figure; None is a failure."""


class SeriesLine(NamedTuple):
    """What the points of one commit have in common with those of others: their lines on the graphs."""

    machine: str
    """Its name as one component of a path."""
    python: str
    packages: tuple[tuple[str, str], ...]
    """(name, version)."""


class SeriesPoint(NamedTuple):
    """Where a figure belongs."""

    line: SeriesLine
    commit: str
    suite: str
    metric: str
    label: str

    @property
    def benchmark(self) -> str:
        """Return asv's name of the figure."""
        return benchmark_name(self.suite, self.metric)


@dataclass(frozen=True, slots=True)
class Points:
    """What records say, as points."""

    values: Mapping[SeriesPoint, Value]
    machines: Mapping[str, Machine]
    """Machine of each line's `machine`."""
    left_out: Mapping[str, int]
    """Reason -> number of records that it kept out."""


class _Group(NamedTuple):
    """What records must share to be one estimate over several seeds."""

    line: SeriesLine
    commit: str
    cell: Cell
    """Without what the label leaves out."""
    task_version: int


def points_of(records: Iterable[Record], registry: Registry, commit_date: CommitDate) -> Points:
    """Return every figure of `records` that belongs on a graph.

    Parameters
    ----------
    records : of any machine, commit and suite; of several runs of one cell at one commit the newest counts.
    rows : suites of the working tree; records of another version of them, or of its clock, are left out.
    commit_date : says which commits there are.
    """
    left_out: Counter[str] = Counter()
    machines: dict[str, Machine] = {}
    groups: dict[_Group, dict[int, Record]] = defaultdict(dict)
    for record in sorted(records, key=lambda one: one.provenance.moment):
        reason = _why_left_out(record, registry, commit_date)
        if reason is not None:
            left_out[reason] += 1
            continue
        machine = record.provenance.machine
        machines[slug(machine.name)] = machine
        groups[_group(record)][record.cell.seed] = record
    values = {
        point: value
        for group, by_seed in groups.items()
        for point, value in _figures(group, [*by_seed.values()], registry)
    }
    return Points(values, machines, dict(left_out))


def _why_left_out(record: Record, registry: Registry, commit_date: CommitDate) -> str | None:
    """Return why a record is no point, or None if it is one."""
    origin, suite = record.provenance, record.cell.suite
    if record.status in NO_RESULT:
        return "no result"
    if record.status == "noisy":
        return "timed too noisily"
    if origin.commit is None or origin.dirty is not False:
        return "measured on a changed tree, which is no commit"
    if suite not in registry.suites or not is_plain(series_label(record.cell)):
        return "of a suite or a name that is not known"
    if not all(map(_VERSION.fullmatch, (origin.machine.python, *_packages(record).values()))):
        return "of a version that is none"
    # A process that died before it could say which clock it had has measured nothing: any clock will do.
    clock = clock_version() if origin.clock_version is None else origin.clock_version
    if benchmark_version(origin.suite_version, clock) != current_version(suite):
        return "measured with another version of the suite or the clock"
    if commit_date(origin.commit) is None:
        return "of a commit that is not in this history"
    return None


def _group(record: Record) -> _Group:
    origin = record.provenance
    assert origin.commit is not None
    python = ".".join(origin.machine.python.split(".")[:2])
    line = SeriesLine(slug(origin.machine.name), python, tuple(_packages(record).items()))
    return _Group(line, origin.commit, replace(record.cell, seed=0, threads=0), origin.task_version or 1)


def _packages(record: Record) -> dict[str, str]:
    """Return the versions that start a line, as asv has them: a build of torch for another device is no other one."""
    installed = record.provenance.packages
    return {name: installed[name].partition("+")[0] for name in FIXED_BY if name in installed}


def _figures(group: _Group, records: Sequence[Record], registry: Registry) -> Iterator[tuple[SeriesPoint, Value]]:
    """Yield the figures of one combination; of one that failed, each figure that its suite has."""
    label = series_label(group.cell, group.task_version, len(records))
    for metric, card in registry.suite(group.cell.suite).metrics.items():
        failed = any(record.status != "ok" for record in records)
        if card.direction == "lower" and (failed or all(metric in record.metrics for record in records)):
            point = SeriesPoint(group.line, group.commit, group.cell.suite, metric, label)
            yield point, None if failed else _value([record.metrics[metric] for record in records])


def _value(metrics: Sequence[Metric]) -> Value:
    """Return one figure, or the median of several; None if one is not finite."""
    each = [reported(metric.value, ()) for metric in metrics]
    if None in each:
        return None
    samples = metrics[0].samples if len(metrics) == 1 else ()
    return reported(statistics.median(metric.value for metric in metrics), samples)
