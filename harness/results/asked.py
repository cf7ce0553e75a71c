"""The tables that somebody asks for by board, axes and machine: one way, for the command and for scripts.

Must not print.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.catalogue.boards import BOARDS, find_board
from harness.catalogue.cards import load_registry
from harness.results.freshness import Today
from harness.results.index import select
from harness.results.queries import wanted_by
from harness.results.store import Problem
from harness.results.tables import Table, build_tables

__all__ = ["Asked", "tables_of"]


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
) -> Asked:
    """Return the tables of `stores` that fit.

    Parameters
    ----------
    board : name of a board; None: all of them.
    axes : value that a table's rows share on an axis (``task``, ``neuron``, ``method``, ``budget``); None: any.
    machine : name of a machine; None: any.
    current : leave out what was measured with older code.

    Raises
    ------
    UserError
        If there is no such board; the message suggests the nearest.
    """
    chosen, shared = None if board is None else find_board(board), dict(axes or {})
    wanted = wanted_by(BOARDS if chosen is None else (chosen,), shared, machine)
    contents, registry = select(stores, wanted), load_registry()
    today = Today(registry)
    records = [record for record in contents.records if not current or today.is_current(record)]
    tables = [
        item
        for item in build_tables(records, registry, chosen)
        if machine in (None, item.group.machine)
        and all(value is None or dict(item.group.axes).get(axis, value) == value for axis, value in shared.items())
    ]
    return Asked(tables, contents.problems)
