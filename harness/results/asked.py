"""The tables that somebody asks for by board, axes and machine: one way, for the command and for scripts.

Must not print.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.catalogue.boards import BOARDS, find_board
from harness.catalogue.loading import load_registry
from harness.errors import UserError
from harness.results.freshness import Today
from harness.results.index import select
from harness.results.marks import NOBODY, Submitted
from harness.results.queries import Wanted, wanted_by
from harness.results.store import Problem
from harness.results.table import Table
from harness.results.tables import build_tables
from reference_impls.discovery import unusable_cards
from reference_impls.names import unknown_message

__all__ = ["Asked", "tables_of"]


_NEXT = "measure something first: spikeboard run --preset smoke"


class Asked(NamedTuple):
    """The tables, the fullest first, and what is wrong with files of the stores."""

    tables: list[Table]
    problems: tuple[Problem, ...]


def tables_of(
    stores: Sequence[Path],
    board: str | None = None,
    axes: Mapping[str, str | None] | None = None,
    machine: str | None = None,
    current: bool = False,
    strangers: Submitted = NOBODY,
) -> Asked:
    """Return the tables of `stores` that fit.

    Parameters
    ----------
    board : name of a board; None: all of them.
    axes : value that a table's rows share on an axis (``task``, ``neuron``, ``method``, ``budget``); None: any.
    machine : name of a machine; None: any.
    current : leave out what was measured with older code.
    strangers : records of submissions, to stand beside those of the stores.

    Raises
    ------
    UserError
        If there is no such board, or a value that neither a card nor a record has; the message suggests the nearest.
    """
    chosen, shared = None if board is None else find_board(board), dict(axes or {})
    _refuse_unknown(stores, shared, machine, strangers)
    wanted = wanted_by(BOARDS if chosen is None else (chosen,), shared, machine)
    contents, registry = select(stores, wanted), load_registry()
    today = Today(registry)
    records = [record for record in contents.records if not current or today.is_current(record)]
    if current:
        strangers = strangers.only(lambda known: known.freshness.is_current)
    tables = [
        item
        for item in build_tables(records, registry, chosen, strangers)
        if (machine is None or item.stands_for(machine))
        and all(value is None or _has(item, axis, value) for axis, value in shared.items())
    ]
    return Asked(tables, contents.problems)


def _has(table: Table, axis: str, value: str) -> bool:
    """Whether all rows of a table have this value on an axis, or one of them is it."""
    if axis == table.board.axis:
        return any(row.name == value for row in table.rows)
    return dict(table.group.axes).get(axis, value) == value


def _refuse_unknown(
    stores: Sequence[Path], axes: Mapping[str, str | None], machine: str | None, strangers: Submitted
) -> None:
    """Refuse names that no card and no record has: they would be answered with other tables, or with none."""
    submitted = {axis: {getattr(one.cell, axis) for one in strangers.records} for axis in axes}
    registry = load_registry()
    known: Mapping[str, Collection[str]] = {
        "task": registry.tasks,
        "neuron": registry.cell_neurons,
        "method": registry.methods,
        "budget": {name for task in registry.tasks for name in registry.task(task).budgets},
        "recipe": registry.recipe_names,
    }
    for axis, value in axes.items():
        # Rows that were measured once and have no card today, and imported networks, are in records only.
        if value in submitted[axis]:
            continue
        if value is not None and value not in known[axis] and not select(stores, [Wanted({axis: (value,)})]).records:
            what = "training method" if axis == "method" else axis
            message = unusable_cards(registry.problems) + unknown_message(what, value, known[axis])
            raise UserError(message, "spikeboard list shows what there is")
    of_strangers = {one.provenance.machine.name for one in strangers.records}
    if machine is not None and machine not in of_strangers and not select(stores, [Wanted(machine=machine)]).records:
        machines = {record.provenance.machine.name for record in select(stores).records} | of_strangers
        raise UserError(f"no record of this machine: {unknown_message('machine', machine, machines)}", _NEXT)
