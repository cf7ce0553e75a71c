"""Tables of single tasks put beside each other: which settings there are, and what every row did in each.

A setting is a task with a network, and on the board of training methods with a neuron too. What may be put together is
equal in everything else: budget, recipe, device, number format, and machine where figures tell of it. Only current
figures count; what is missing keeps its reason. Must not rank.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.catalogue.boards.model import Board
from harness.catalogue.cell import DEFAULT_RECIPE, NOT_APPLICABLE
from harness.results.grouping import ANY_MACHINE, Axes, Group
from harness.results.record import MEASURED, Record
from harness.results.table import Table, TableRow, Value

__all__ = ["Bundle", "Setting", "bundles"]

IMPLIED = (NOT_APPLICABLE, "cpu", "float32", "eager", DEFAULT_RECIPE, "bptt")


@dataclass(frozen=True, slots=True, order=True)
class Setting:
    """Where rows were compared."""

    task: str
    network: str
    neuron: str = ""
    """On the board of training methods: the neuron that all rows use."""

    @property
    def label(self) -> str:
        """Return a heading such as "fsdd, mlp"."""
        return ", ".join(part for part in (self.task, self.neuron, self.network) if part)


@dataclass(frozen=True, slots=True)
class Bundle:
    """Settings whose rows may be put together, with all that rows did in them."""

    board: Board
    shared: tuple[tuple[str, str], ...]
    """Axes that are equal in all settings."""
    machine: str
    """`ANY_MACHINE` where all figures are of tables of none."""
    timed_on: str
    """Machine whose times and peaks count as costs: its own, else the one that most was timed on; empty: none."""
    titles: Mapping[str, str]
    """By row."""
    values: Mapping[Setting, Mapping[str, Value]]
    """By setting and row: current figures of the ranking column, the baseline's among them."""
    missing: Mapping[Setting, Mapping[str, str]]
    """By setting and row: why there is none, in a word and a sentence."""
    tables: Mapping[Setting, Table]

    @property
    def label(self) -> str:
        """Return what all settings share, such as "standard, tuned"."""
        return ", ".join(value for _, value in self.shared if value not in IMPLIED) or "all"

    @property
    def recipe(self) -> str:
        """Return where the hyper-parameters come from."""
        return dict(self.shared).get("recipe", DEFAULT_RECIPE)

    @property
    def rows(self) -> tuple[str, ...]:
        """Return the names of the rows that have a current figure anywhere."""
        return tuple(sorted({name for values in self.values.values() for name in values}))


def bundles(tables: Iterable[Table], board: Board) -> list[Bundle]:
    """Sort `tables` of `board` into bundles, the one with the most figures first."""
    sorted_out: dict[Axes, list[Table]] = defaultdict(list)
    for table in tables:
        if table.board is board:
            sorted_out[_shared(table.group, board)].append(table)
    timed = _most_timed(table for several in sorted_out.values() for table in several)
    found = [
        _bundle(board, shared, machine, timed, [table for table in several if table.stands_for(machine)])
        for shared, several in sorted_out.items()
        for machine in _machines(several)
    ]
    kept = [bundle for bundle in found if bundle.values]
    return sorted(kept, key=lambda one: (-sum(map(len, one.values.values())), one.label, one.machine))


def _machines(tables: Iterable[Table]) -> Iterable[str]:
    """Return the machines that tables are bound to; those bound to none are put beside the tables of each."""
    return sorted({table.group.machine for table in tables} - {ANY_MACHINE}) or (ANY_MACHINE,)


def _most_timed(tables: Iterable[Table]) -> str:
    rows: Counter[str] = Counter()
    for table in tables:
        rows[table.group.machine] += len(table.rows)
    del rows[ANY_MACHINE]
    return max(rows, key=lambda machine: (rows[machine], machine), default="")


def _shared(group: Group, board: Board) -> Axes:
    free = {"task", "topology"} | ({"neuron"} if board.axis == "method" else set())
    return tuple((axis, value) for axis, value in group.axes if axis not in free)


def _bundle(board: Board, shared: Axes, machine: str, most_timed: str, tables: Iterable[Table]) -> Bundle:
    values: dict[Setting, dict[str, Value]] = defaultdict(dict)
    missing: dict[Setting, dict[str, str]] = defaultdict(dict)
    of_setting: dict[Setting, Table] = {}
    titles: dict[str, str] = {}
    for table in tables:
        for row in table.rows:
            setting = _setting(table, row)
            titles[row.name] = row.title
            of_setting[setting] = table
            value = row.values.get(board.rank_by)
            if value is not None and value.standing.ranked and math.isfinite(value.estimate.value):
                values[setting][row.name] = value
            else:
                missing[setting][row.name] = _reason(value, row.failures.get(board.rank_by))
    judged = {setting: rows for setting, rows in values.items() if board.baseline in rows and len(rows) > 1}
    return Bundle(
        board=board,
        shared=shared,
        machine=machine,
        timed_on=most_timed if machine == ANY_MACHINE else machine,
        titles=titles,
        values=dict(sorted(judged.items())),
        missing={setting: missing[setting] for setting in sorted(judged)},
        tables={setting: of_setting[setting] for setting in judged},
    )


def _setting(table: Table, row: TableRow) -> Setting:
    axes = dict(table.group.axes)
    neuron = axes["neuron"] if table.board.axis == "method" else ""
    return Setting(axes["task"], row.topology, neuron)


def _reason(value: Value | None, failure: Record | None) -> str:
    if value is not None:
        return value.standing.value if value.standing.value != "current" else "not finite"
    if failure is None or failure.status in MEASURED:
        return "not measured"
    return f"{failure.status}: {failure.reason}" if failure.reason else failure.status
