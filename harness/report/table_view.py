"""A ranked table as a page shows it: rows, heads of columns, what is best, what failed, what can be downloaded.

Turns what ``tables`` decided into words and marks. Must not rank, and must not know HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.catalogue.boards.model import Column
from harness.report.best import Best, best_of
from harness.report.cells import (
    MARKS,
    BlankCell,
    MeasurementCell,
    blank,
    figure,
    not_reached,
    spread_of,
)
from harness.report.failures import FailureView, Unsupported, failures_of, unsupported_of
from harness.report.formats import column_scale
from harness.report.glossary import EXPLAINED
from harness.report.impossible import Impossible
from harness.report.links import Sitemap, board_file, figures_file, group_id, row_id
from harness.report.plots import ParetoPlot, RowMark, pareto_plots
from harness.report.ranks import (
    difference_of,
    difference_scale,
    difference_text,
    marks_of,
    rank_text,
    references,
)
from harness.report.table_rows import row_key, row_labels, tried
from harness.report.traits import Trait, Traits, parameters_of
from harness.report.units import Scale
from harness.report.words import AXIS_TITLES, count, where
from harness.results.table import Table, TableRow

__all__ = ["ColumnView", "RowView", "TableView", "view_table"]


@dataclass(frozen=True, slots=True)
class ColumnView:
    """The head of a column."""

    key: str
    title: str
    unit: str
    hint: str
    folded: bool
    """Whether so few rows have a figure that it is hidden until it is asked for."""
    sequence: tuple[str, ...]
    """Directions in the order in which sorting goes through them."""


@dataclass(frozen=True, slots=True)
class DifferenceView:
    """How far a row is from another; empty for that itself, and for what is not ranked."""

    text: str
    order: str


@dataclass(frozen=True, slots=True)
class RowView:
    """One row."""

    id: str
    name: str
    title: str
    changes: str
    """What the row changes relative to LIF, in a phrase; empty for LIF itself, and on boards of other axes."""
    href: str | None
    network: str
    verified: bool
    """Whether the contract was passed."""
    vectors: bool
    """Whether it agrees with numbers of the authors' own code."""
    traits: tuple[Trait, ...]
    """What one has to know of it before taking it."""
    checks: str | None
    """Where its conformance checks are."""
    rank: str
    place: str
    """Where the row stands by its estimate, for sorting; empty for a row that is not ranked."""
    differences: tuple[DifferenceView, ...]
    """How far its ranking figure is from each reference of the table."""
    cells: tuple[MeasurementCell | BlankCell, ...]
    measured: str
    """When the newest of its figures was measured, ISO 8601; empty if it has none."""
    mark: str = ""
    """Of a row with figures of strangers, the least that they were made sure of; empty for one's own."""
    mark_means: str = ""


@dataclass(frozen=True, slots=True)
class TableView:
    """A whole table."""

    id: str
    label: str
    facts: tuple[tuple[str, str], ...]
    """(what it is called, value) of what all rows share."""
    machine: str
    """Where its figures were measured, in words."""
    machines: tuple[str, ...]
    axis: str
    columns: tuple[ColumnView, ...]
    references: tuple[tuple[str, str], ...]
    """(what the ranking figures are compared with, unit of the differences)."""
    ranking: str
    """Key of the column that orders the rows; differences stand behind it."""
    rows: tuple[RowView, ...]
    several_networks: bool
    failures: tuple[FailureView, ...]
    unsupported: tuple[Unsupported, ...]
    best: tuple[Best, ...]
    summary: str
    measured: str
    plots: tuple[ParetoPlot, ...]
    downloads: tuple[tuple[str, str], ...]
    """(what it is, file)."""


def view_table(table: Table, impossible: Sequence[Impossible], sitemap: Sitemap, traits: Traits) -> TableView:
    """Return `table` in words, and the rows that it cannot have, with links to the pages that `sitemap` has."""
    labels = row_labels(table)
    failures = failures_of(table, sitemap)
    scales = {column.key: column_scale(table, column) for column in table.columns}
    rows = tuple(_rows(table, scales, {failure.record: failure.id for failure in failures}, sitemap, traits))
    pages = {row_key(row): sitemap.of_axis(table.board.axis, row.name) for row in table.rows}
    marks = {key: RowMark(label, pages[key] or "") for key, label in labels.items()}
    return TableView(
        id=group_id(table.group),
        label=table.group.label,
        facts=tuple((AXIS_TITLES[axis], value) for axis, value in table.group.axes if value != "-"),
        machine=where(table, table.group.machine),
        machines=table.machines(),
        axis=AXIS_TITLES[table.board.axis],
        columns=tuple(_column(table, column, scales[column.key]) for column in table.columns),
        references=tuple(_references(table, scales)),
        ranking=table.board.rank_by,
        rows=rows,
        several_networks=len({row.topology for row in table.rows}) > 1,
        failures=failures,
        unsupported=tuple(unsupported_of(table, impossible, labels, sitemap)),
        best=tuple(best_of(table)),
        summary=_summary(rows, failures),
        measured=max((row.measured for row in rows), default=""),
        plots=tuple(pareto_plots(table, marks)),
        downloads=(("all tables of this board (CSV)", board_file(table.board.name)), ("all figures", figures_file())),
    )


def _rows(
    table: Table, scales: Mapping[str, Scale], anchors: Mapping[str, str], sitemap: Sitemap, traits: Traits
) -> Iterable[RowView]:
    marks = {column.key: marks_of(table, column) for column in table.columns}
    spread, main = spread_of(table), table.board.rank_by
    for place, row in enumerate(tried(table), start=1):
        cells: list[MeasurementCell | BlankCell] = []
        for column in table.columns:
            value, failure = row.values.get(column.key), row.failures.get(column.key)
            if column.key in row.unreached:
                cells.append(not_reached(row.unreached[column.key]))
            elif value is None:
                cells.append(blank(failure, anchors))
            else:
                whisker = spread if column.key == main else None
                passed = row.verified or not column.needs_verification
                cells.append(figure(value, scales[column.key], marks[column.key], whisker, failure, passed))
        records = [record for value in row.values.values() for record in value.records]
        newest = max(records, key=lambda record: record.provenance.moment, default=None)
        ranked = row.values.get(main)
        yield RowView(
            id=row_id(table.group, row),
            name=row.name,
            title=row.title,
            changes=row.changes,
            href=sitemap.of_axis(table.board.axis, row.name),
            network=row.topology,
            verified=row.verified,
            vectors=row.vectors,
            traits=(*traits.of(table.board.axis, row.name), *parameters_of(row)),
            checks=_checks(table, row, sitemap),
            rank=rank_text(ranked),
            place=str(place) if rank_text(ranked) else "",
            differences=tuple(_differences(table, row, scales)),
            cells=tuple(cells),
            measured=newest.provenance.started_at if newest else "",
            mark="" if row.mark is None else row.mark.word,
            mark_means="" if row.mark is None else MARKS[row.mark],
        )


def _references(table: Table, scales: Mapping[str, Scale]) -> Iterable[tuple[str, str]]:
    main = table.board.rank_by
    values = [row.values[main] for row in table.rows if main in row.values]
    for reference in references(table):
        value, difference = next((value, found) for value in values if (found := reference.of(value)) is not None)
        yield reference.title, difference_scale(difference, value.card, scales[main]).label


def _differences(table: Table, row: TableRow, scales: Mapping[str, Scale]) -> Iterable[DifferenceView]:
    main = table.board.rank_by
    for reference in references(table):
        difference = difference_of(reference, row, main)
        if difference is None:
            yield DifferenceView("", "")
        else:
            unit = difference_scale(difference, row.values[main].card, scales[main])
            yield DifferenceView(difference_text(difference, unit), repr(difference.value))


def _checks(table: Table, row: TableRow, sitemap: Sitemap) -> str | None:
    """Return where the checks are: on the row's own page, or on that of the neuron that all rows share."""
    axis = table.board.axis
    own = axis in ("neuron", "method")
    page = (
        sitemap.of_axis(axis, row.name) if own else sitemap.of_axis("neuron", dict(table.group.axes).get("neuron", ""))
    )
    return f"{page}#conformance" if page else None


def _column(table: Table, column: Column, scale: Scale) -> ColumnView:
    card = table.cards[column.key]
    better = {"lower": "lower is better", "higher": "higher is better", "none": "neither way is better"}
    return ColumnView(
        key=column.key,
        title=card.short or card.title,
        unit=scale.label,
        hint=f"{EXPLAINED.get(column.key, card.title)}; {column.suite} suite; {better[card.direction]}",
        folded=_is_sparse(table, column),
        sequence=("desc", "asc", "") if card.direction == "higher" else ("asc", "desc", ""),
    )


def _is_sparse(table: Table, column: Column) -> bool:
    """Whether less than a quarter of the rows have a figure in a column that does not rank them."""
    having = sum(column.key in row.values for row in table.rows)
    return column.key != table.board.rank_by and 4 * having < len(tried(table))


def _summary(rows: tuple[RowView, ...], failures: tuple[FailureView, ...]) -> str:
    unverified = sum(not row.verified and any(cell.is_figure for cell in row.cells) for row in rows)
    parts = [count(len(rows), "row")]
    parts += [f"{unverified} without a passed contract"] * bool(unverified)
    strange = sum(bool(row.mark) for row in rows)
    parts += [f"{strange} with figures of others"] * bool(strange)
    parts += [count(len(failures), "failed run")] * bool(failures)
    return ", ".join(parts)
