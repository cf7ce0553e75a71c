"""What a ranked table is: figures with their standing and rank, rows of them, and which cells stand in it.

Must not build, rank or print.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.catalogue.boards.model import WITHOUT_BACKEND, Board, Column
from harness.catalogue.cards import MetricCard
from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.results.grouping import ANY_MACHINE, Group, machines_of
from harness.results.marks import Mark
from harness.results.ranking import Difference, Rank
from harness.results.record import Record
from harness.results.standing import Standing
from harness.results.stats import Estimate
from harness.results.unreached import Unreached

__all__ = ["Table", "TableRow", "Value", "touched_by", "worth_comparing"]


@dataclass(frozen=True, slots=True)
class Value:
    """A figure in a table."""

    estimate: Estimate
    card: MetricCard
    records: tuple[Record, ...]
    """All records behind it, one for each seed."""
    standing: Standing = Standing.CURRENT
    """Whether it may be ranked; what may not is shown with its mark."""
    reason: str = ""
    """Why it may not."""
    rank: Rank | None = None
    """None where the column is not ranked, or the row may not be (not verified, not current)."""
    to_leader: Difference | None = None
    """How far it is from the best estimate; None for that itself and for what is not ranked."""
    to_baseline: Difference | None = None
    """The same for the board's baseline."""

    mark: Mark | None = None
    """Of a stranger's figure, how far it was made sure of here; None of one's own."""
    submission: str = ""
    """Whose it is; empty of one's own."""

    @property
    def said(self) -> tuple[str, ...]:
        """Return the words that stand behind it: why it is not ranked, and how far a stranger's was made sure of."""
        standing = () if self.standing.ranked else (self.standing.value,)
        return tuple(dict.fromkeys((*standing, *([] if self.mark is None else [self.mark.word]))))

    @property
    def record(self) -> Record:
        """Return the newest record behind it: machine, age, command."""
        return max(self.records, key=lambda record: record.provenance.moment)


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row: a neuron, a method, a backend, a task or a whole network."""

    name: str
    title: str
    verified: bool
    """Whether conformance was passed: the contract of the row, and of what it is measured with."""
    topology: str
    """Network of the row (boards of methods may compare methods on the networks they need); ``-``: it is the row."""
    values: Mapping[str, Value]
    """By column key; a column without a figure is absent."""
    failures: Mapping[str, Record]
    """By column key: a record that says why there is no figure, or why it rests on fewer seeds."""
    vectors: bool = False
    """Whether it agrees with numbers of the authors' own code; False also where there are none."""
    unreached: Mapping[str, Unreached] = field(default_factory=dict)
    """By column key: what stands for a figure where training ended before its target."""
    changes: str = ""
    """Of a neuron, what it changes relative to LIF, in a phrase."""

    def machines(self, first: str) -> tuple[str, ...]:
        """Return the machines that its figures were measured on by name, but `first` before all others."""
        return machines_of((record for value in self.values.values() for record in value.records), first)

    @property
    def mark(self) -> Mark | None:
        """Return the least mark of the row's figures that strangers measured; None if none did."""
        return min((value.mark for value in self.values.values() if value.mark is not None), default=None)


@dataclass(frozen=True, slots=True)
class Table:
    """A ranked table."""

    board: Board
    group: Group
    columns: tuple[Column, ...]
    """Those of the board that have at least one figure, or one that was not reached."""
    rows: tuple[TableRow, ...]
    """In the order of their estimates in the board's ranking column, best first; rows without it last."""
    cards: Mapping[str, MetricCard]
    """By column key: what is known of the figures of a column."""

    def machines(self, first: str = "") -> tuple[str, ...]:
        """Return the machines that its figures were measured on by name, but the group's own before all others."""
        records = (record for row in self.rows for value in row.values.values() for record in value.records)
        return machines_of(records, first or self.group.machine)

    def stands_for(self, machine: str) -> bool:
        """Whether it is of `machine`, or of none."""
        return self.group.machine in (machine, ANY_MACHINE)


def touched_by(cells: Iterable[Cell], tables: Iterable[Table]) -> list[Table]:
    """Return the tables in which a figure of one of `cells` stands."""
    asked = list(cells)
    return [table for table in tables if any(_stands_in(cell, table) for cell in asked)]


def _stands_in(cell: Cell, table: Table) -> bool:
    if cell.suite not in {column.suite for column in table.columns}:
        return False
    free = "backend" if cell.suite in WITHOUT_BACKEND else ""
    shared = [(axis, value) for axis, value in table.group.axes if axis != free]
    if any(getattr(cell, axis, value) != value for axis, value in shared):
        return False
    row = getattr(cell, table.board.axis)
    return any(row == one.name and one.topology in (cell.topology, NOT_APPLICABLE) for one in table.rows)


def worth_comparing(tables: Sequence[Table]) -> list[Table]:
    """Return the tables in which at least two rows have a figure, or all of them if none has."""
    return [table for table in tables if sum(bool(row.values or row.unreached) for row in table.rows) > 1] or [*tables]
