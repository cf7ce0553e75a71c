"""Tables of single tasks put beside each other: which settings there are, and what every row did in each.

A setting is a task with a network, and on the board of training methods with a neuron too. What may be put together is
equal in everything else: budget, recipe, machine, device, number format. Only current figures count; what is missing
keeps its reason. Must not rank.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.catalogue.boards import Board
from harness.catalogue.cell import DEFAULT_RECIPE, NOT_APPLICABLE
from harness.results.record import MEASURED, Record
from harness.results.tables import Group, Table, TableRow, Value

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
    sorted_out: dict[tuple[tuple[tuple[str, str], ...], str], list[Table]] = defaultdict(list)
    for table in tables:
        if table.board is board:
            sorted_out[_shared(table.group, board), table.group.machine].append(table)
    found = [_bundle(board, *key, several) for key, several in sorted_out.items()]
    kept = [bundle for bundle in found if bundle.values]
    return sorted(kept, key=lambda one: (-sum(map(len, one.values.values())), one.label, one.machine))


def _shared(group: Group, board: Board) -> tuple[tuple[str, str], ...]:
    free = {"task", "topology"} | ({"neuron"} if board.axis == "method" else set())
    return tuple((axis, value) for axis, value in group.axes if axis not in free)


def _bundle(board: Board, shared: tuple[tuple[str, str], ...], machine: str, tables: Iterable[Table]) -> Bundle:
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
