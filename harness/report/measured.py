"""Everything that was measured of one implementation: a table for each suite, a row for each combination.

Boards show the figures that count; here all of them stand, with the runs behind them. Must not rank anew: seeds are
combined by ``tables``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.catalogue.boards.model import Axis, Board, Column
from harness.catalogue.cards import MetricCard, Registry, Row
from harness.catalogue.cell import NOT_APPLICABLE
from harness.report.cells import BlankCell, MeasurementCell, figure, not_reached
from harness.report.curves import SeriesPlot, series_plots
from harness.report.links import Sitemap, record_link, slug
from harness.report.units import Scale, scale_for
from harness.report.words import commit_of, shown, where
from harness.results.provenance import command
from harness.results.queries import CONTRACTS
from harness.results.record import Record
from harness.results.table import Table, TableRow
from harness.results.tables import build_tables

__all__ = ["Combination", "Measured", "MeasuredRow", "MeasuredRun", "combinations_of", "curves_of", "measured_of"]

MOST_ROWS = 60
"""Rows of a suite that an implementation's page shows; all of them are in the downloads."""
MOST_CURVES = 12
MOST_DETAILS = 1500
"""Characters of a run's details that a page shows."""
ELSEWHERE = CONTRACTS
"""Suites that a page shows in a form of their own."""


@dataclass(frozen=True, slots=True, eq=False)
class Combination:
    """A row of figures of an implementation: one suite, and everything else it was combined with."""

    suite: str
    table: Table
    row: TableRow

    @property
    def label(self) -> str:
        """Return the combination in words."""
        topology = self.row.topology
        return self.table.group.label if topology in self.table.group.label else f"{self.table.group.label}, {topology}"

    @property
    def records(self) -> tuple[Record, ...]:
        """Return every record behind the figures, by seed."""
        found = {record.cell_id: record for value in self.row.values.values() for record in value.records}
        found |= {one.record.cell_id: one.record for one in self.row.unreached.values()}
        return tuple(sorted(found.values(), key=lambda record: record.cell.seed))

    @property
    def newest(self) -> Record:
        """Return the newest record."""
        return max(self.records, key=lambda record: record.provenance.moment)

    @property
    def where(self) -> str:
        """Return the machines that its figures are of."""
        return where(self.row, self.table.group.machine)

    @property
    def measured(self) -> str:
        """Return when the newest record was measured."""
        return self.newest.provenance.started_at


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """One record behind a row."""

    cell_id: str
    record: str
    seed: int
    measured: str
    seconds: float
    commit: str
    code: str
    command: str


@dataclass(frozen=True, slots=True)
class MeasuredRow:
    """One combination with all figures of one suite."""

    id: str
    label: str
    machine: str
    cells: tuple[MeasurementCell | BlankCell, ...]
    measured: str
    runs: tuple[MeasuredRun, ...]
    details: tuple[tuple[str, str], ...]
    """What the suite wants shown beside the figures, of the newest run."""
    over_commits: tuple[tuple[str, str], ...]
    """(title of a figure, its graph in asv's pages), of the figures that have one."""


@dataclass(frozen=True, slots=True)
class Measured:
    """All that one suite found out about an implementation."""

    suite: str
    title: str
    summary: str
    columns: tuple[tuple[str, str], ...]
    """(title, unit)."""
    rows: tuple[MeasuredRow, ...]
    left_out: int


def combinations_of(records: Sequence[Record], registry: Registry) -> Mapping[tuple[str, str], list[Combination]]:
    """Sort all figures by (axis, name) of the implementations that they belong to."""
    found: dict[tuple[str, str], list[Combination]] = defaultdict(list)
    for suite, row in registry.suites.items():
        of_suite = [record for record in records if record.cell.suite == suite]
        axes: tuple[Axis, ...] = ("neuron", "method")
        for axis in () if suite in ELSEWHERE else axes:
            for table in build_tables(of_suite, registry, _everything(suite, row, axis, registry)):
                for entry in table.rows:
                    if (entry.values or entry.unreached) and entry.name != NOT_APPLICABLE:
                        found[(axis, entry.name)].append(Combination(suite, table, entry))
    return found


def measured_of(combinations: Iterable[Combination], registry: Registry, sitemap: Sitemap) -> tuple[Measured, ...]:
    """Return a table for each suite."""
    by_suite: dict[str, list[Combination]] = defaultdict(list)
    for combination in combinations:
        by_suite[combination.suite].append(combination)
    return tuple(_measured(suite, of_suite, registry, sitemap) for suite, of_suite in by_suite.items())


def curves_of(
    combinations: Iterable[Combination], titles: Mapping[str, str]
) -> tuple[tuple[str, tuple[SeriesPlot, ...]], ...]:
    """Return (combination, plots) of the newest combinations that have figures over an axis.

    `titles` says what a metric is called.
    """
    having = [one for one in combinations if any(record.series_axes() for record in one.records)]
    newest = sorted(having, key=lambda one: one.measured, reverse=True)[:MOST_CURVES]
    return tuple(
        (f"{one.suite}: {one.label} ({one.where})", tuple(series_plots(one.records, titles, _id(one))))
        for one in sorted(newest, key=lambda one: (one.suite, one.label))
    )


def _everything(suite: str, row: Row, axis: Axis, registry: Registry) -> Board:
    """Return a board of all figures of one suite."""
    columns = tuple(Column(suite, metric) for metric in registry.suite(suite).metrics)
    return Board(f"all-{suite}", row.title, row.summary, axis, columns, columns[0].key)


def _measured(suite: str, combinations: list[Combination], registry: Registry, sitemap: Sitemap) -> Measured:
    ordered = sorted(combinations, key=lambda one: (one.where, one.label, one.row.topology))
    kept = sorted(combinations, key=lambda one: one.measured, reverse=True)[:MOST_ROWS]
    chosen = [one for one in ordered if one in kept] if len(ordered) > MOST_ROWS else ordered
    cards = registry.suite(suite).metrics
    keys = [metric for metric in cards if any(_says(one, f"{suite}.{metric}") for one in chosen)]
    scales = {metric: _scale(suite, metric, cards[metric], chosen) for metric in keys}
    return Measured(
        suite=suite,
        title=registry.suites[suite].title,
        summary=registry.suites[suite].summary,
        columns=tuple((cards[metric].title, scales[metric].label) for metric in keys),
        rows=tuple(_row(one, scales, tuple(_over_commits(one, cards, sitemap))) for one in chosen),
        left_out=len(ordered) - len(chosen),
    )


def _says(one: Combination, key: str) -> bool:
    return key in one.row.values or key in one.row.unreached


def _scale(suite: str, metric: str, card: MetricCard, combinations: Iterable[Combination]) -> Scale:
    values = (one.row.values.get(f"{suite}.{metric}") for one in combinations)
    return scale_for(card.unit, max((abs(value.estimate.value) for value in values if value), default=0.0))


def _over_commits(one: Combination, cards: Mapping[str, MetricCard], sitemap: Sitemap) -> Iterable[tuple[str, str]]:
    newest = one.newest
    machine = newest.provenance.machine.name
    seeds = len({record.cell.seed for record in one.records if record.provenance.machine.name == machine})
    version = newest.provenance.task_version or 1
    for metric, card in cards.items():
        address = sitemap.graph(machine, metric, newest.cell, version, seeds)
        if address:
            yield card.title, address


def _row(one: Combination, scales: Mapping[str, Scale], over_commits: tuple[tuple[str, str], ...]) -> MeasuredRow:
    cells: list[MeasurementCell | BlankCell] = []
    for metric, scale in scales.items():
        key = f"{one.suite}.{metric}"
        if key in one.row.unreached:
            cells.append(not_reached(one.row.unreached[key]))
        else:
            cells.append(figure(one.row.values[key], scale) if key in one.row.values else BlankCell("", "", ""))
    return MeasuredRow(
        id=_id(one),
        label=one.label,
        machine=one.where,
        cells=tuple(cells),
        measured=one.measured,
        runs=tuple(_run(record) for record in one.records),
        details=tuple(_details(one.newest)),
        over_commits=over_commits,
    )


def _run(record: Record) -> MeasuredRun:
    provenance = record.provenance
    return MeasuredRun(
        cell_id=record.cell_id,
        record=record_link(record),
        seed=record.cell.seed,
        measured=provenance.started_at,
        seconds=provenance.duration_seconds,
        commit=commit_of(provenance),
        code=provenance.code_hash[:10],
        command=command(record.cell),
    )


def _details(record: Record) -> Iterable[tuple[str, str]]:
    left = MOST_DETAILS
    for key, value in record.details.items():
        nested = isinstance(value, dict | list)
        text = json.dumps(value, ensure_ascii=False) if nested else shown(value)
        if len(text) > left:
            yield "more", "in the record's file"
            return
        left -= len(text)
        yield str(key).replace("_", " "), text


def _id(one: Combination) -> str:
    words = (one.suite, one.label, one.row.topology, one.table.group.machine)
    return ".".join(slug(word) for word in words)
