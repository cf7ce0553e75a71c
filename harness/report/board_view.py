"""A board as pages: its tables the fullest first, spread over as many pages as keep each one light.

Plans which group of rows lies on which page before anything is written, so that links can be made to all of them.
Must not know HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.catalogue.boards.model import Board
from harness.catalogue.cards import Registry
from harness.report.curves import COMPARED_OVER, SeriesPlot, cost_curves
from harness.report.formats import to_text
from harness.report.impossible import Impossibilities, Impossible
from harness.report.links import Sitemap, board_page, group_id
from harness.report.table_rows import row_labels, tried
from harness.report.table_view import TableView, view_table
from harness.report.traits import Traits
from harness.report.words import AXIS_TITLES, metric_titles
from harness.results.grouping import Group, alike, on_one_machine
from harness.results.record import Record
from harness.results.table import Table

__all__ = ["BoardPage", "BoardPlan", "Choice", "PlannedTable", "Section", "Selector", "plan_board", "view_pages"]

PAGE_ROWS = 250
"""A page of a board takes tables until it has so many rows."""


@dataclass(frozen=True, slots=True)
class PlannedTable:
    """A group of rows, and the page it will be on."""

    table: Table
    curves: tuple[Record, ...]
    """Records of the group that have figures over the number of time steps."""
    page: str
    folded: bool
    """Whether it compares nothing: one row."""
    impossible: tuple[Impossible, ...]
    """Rows that it cannot have."""


@dataclass(frozen=True, slots=True)
class BoardPlan:
    """All groups of a board, the fullest first."""

    board: Board
    groups: tuple[PlannedTable, ...]

    def addresses(self) -> dict[tuple[str, Group], str]:
        """Return page and anchor of every group."""
        return {
            (self.board.name, planned.table.group): f"{planned.page}#{group_id(planned.table.group)}"
            for planned in self.groups
        }


@dataclass(frozen=True, slots=True)
class Section:
    """A table with what stands around it."""

    view: TableView
    curves: tuple[SeriesPlot, ...]
    latex: str
    """Empty for a table that is folded away."""


@dataclass(frozen=True, slots=True)
class Selector:
    """An axis along which one chooses among the tables."""

    axis: str
    title: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Where the table with these values of the selectors' axes is."""

    id: str
    page: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class BoardPage:
    """One page of a board."""

    board: Board
    file: str
    number: int
    pages: tuple[str, ...]
    sections: tuple[Section, ...]
    folded: tuple[Section, ...]
    selectors: tuple[Selector, ...] = ()
    choices: tuple[Choice, ...] = field(default=())


def plan_board(
    board: Board,
    tables: Iterable[Table],
    records: Sequence[Record],
    impossibilities: Impossibilities,
    registry: Registry,
) -> BoardPlan:
    """Decide the order of a board's tables and the page of each.

    Parameters
    ----------
    tables : the board's tables.
    records : the newest record of every cell; those with figures over the number of time steps are drawn.
    impossibilities : what the cards rule out.
    """
    with_curves = [record for record in records if record.series_axes().intersection(COMPARED_OVER)]
    curves = alike(with_curves, board)
    ordered = sorted(tables, key=lambda table: (len(tried(table)) < 2, -sum(len(row.values) for row in table.rows)))
    planned, number, rows = [], 1, 0
    for table in ordered:
        if rows and rows + len(table.rows) > PAGE_ROWS:
            number, rows = number + 1, 0
        rows += len(table.rows)
        page = board_page(board.name, number)
        drawn = on_one_machine(curves.get(table.group.axes, ()), table.group.machine, registry)
        one = (tuple(drawn), page, len(tried(table)) < 2)
        planned.append(PlannedTable(table, *one, impossibilities.of(table)))
    return BoardPlan(board, tuple(planned))


def view_pages(plan: BoardPlan, sitemap: Sitemap, registry: Registry) -> Iterable[BoardPage]:
    """Yield the pages of a board; one that has no table yet has one page all the same."""
    files = tuple(dict.fromkeys(planned.page for planned in plan.groups)) or (board_page(plan.board.name),)
    selectors, choices = _selectors(plan), tuple(_choices(plan))
    titles, traits = metric_titles(registry), Traits(registry)
    for number, file in enumerate(files, start=1):
        here = [planned for planned in plan.groups if planned.page == file]
        yield BoardPage(
            board=plan.board,
            file=file,
            number=number,
            pages=files,
            sections=tuple(_section(planned, sitemap, titles, traits) for planned in here if not planned.folded),
            folded=tuple(_section(planned, sitemap, titles, traits) for planned in here if planned.folded),
            selectors=selectors,
            choices=choices,
        )


def _section(planned: PlannedTable, sitemap: Sitemap, titles: Mapping[str, str], traits: Traits) -> Section:
    table = planned.table
    labels = row_labels(table)
    axis = table.board.axis
    named = [
        (labels.get((record.axes()[axis], record.cell.topology), record.axes()[axis]), record)
        for record in planned.curves
    ]
    if planned.folded:
        return Section(view_table(table, planned.impossible, sitemap, traits), (), "")
    curves = cost_curves(named, titles, f"{group_id(table.group)}--over-time-steps", table.board.curves)
    return Section(view_table(table, planned.impossible, sitemap, traits), tuple(curves), to_text([table], "latex"))


def _values(table: Table) -> dict[str, str]:
    return dict(table.group.axes) | {"machine": table.group.machine}


def _selectors(plan: BoardPlan) -> tuple[Selector, ...]:
    """Return the axes in which the tables that compare something differ, with their values, the fullest's first."""
    found: dict[str, dict[str, None]] = {}
    for planned in plan.groups:
        if not planned.folded:
            for axis, value in _values(planned.table).items():
                found.setdefault(axis, {})[value] = None
    return tuple(Selector(axis, AXIS_TITLES[axis], tuple(values)) for axis, values in found.items() if len(values) > 1)


def _choices(plan: BoardPlan) -> Iterable[Choice]:
    axes = {selector.axis for selector in _selectors(plan)}
    for planned in plan.groups:
        if not planned.folded:
            values = {axis: value for axis, value in _values(planned.table).items() if axis in axes}
            yield Choice(group_id(planned.table.group), planned.page, values)
