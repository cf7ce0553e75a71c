"""What a run of one's own rows ends with: each of their tables, with the published rows beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli._options import tell_problems
from harness.terminal import say

if TYPE_CHECKING:
    from harness.catalogue.cards import Registry
    from harness.catalogue.cell import Cell
    from harness.report.placing import PlacedRow
    from harness.results.grouping import Axes
    from harness.results.table import Table

__all__ = ["print_places"]

SUITE = "accuracy"
"""What places a row."""


def print_places(cells: Iterable[Cell], stores: Sequence[Path], registry: Registry, here: str) -> None:
    """Print the tables of the board whose axis `cells` differ on, with the rows of all `stores`.

    `here` is this machine; the board's baseline, measured along, is not what it is about.
    """
    from harness.catalogue.boards import find_board
    from harness.results.index import select
    from harness.results.queries import wanted_by
    from harness.results.tables import build_tables

    placed = [cell for cell in cells if cell.suite == SUITE]
    if not placed:
        return
    board = find_board("methods" if len({cell.method for cell in placed}) > 1 else "neurons")
    names = {getattr(cell, board.axis) for cell in placed}
    own = names - {board.baseline} or names
    asked = {(cell.task, cell.budget) for cell in placed}
    wanted = [
        one for task, budget in sorted(asked) for one in wanted_by((board,), {"task": task, "budget": budget}, None)
    ]
    contents = select(stores, wanted)
    tell_problems(contents.problems)
    shown: dict[Axes, Table] = {}
    for table in build_tables(contents.records, registry, board):
        mine = any(row.name in own and here in row.machines(here) for row in table.rows)
        # What was not timed here stands in the tables of machines where others were: the fullest will do.
        if mine and (table.stands_for(here) or table.group.axes not in shown):
            shown[table.group.axes] = table
    for table in shown.values():
        _print(table, own, here)


def _print(table: Table, own: set[str], here: str) -> None:
    from rich.table import Table as RichTable

    from harness.cli._console import print_whole
    from harness.report.placing import around, placed_rows, sentence

    rows, board = placed_rows(table, own, here), table.board
    shown = RichTable(box=None, pad_edge=False, title=f"{board.title}: {table.group.label}", title_justify="left")
    for heading in ("", board.axis, "test error [%]", "rank", "contract", "machine"):
        shown.add_column(heading, justify="right" if heading in ("", "test error [%]") else "left")
    for row in around(rows):
        shown.add_row(*_fields(row), style="bold" if row is not None and row.own else None)
    print_whole(shown)
    say(sentence(rows))
    say(_for_a_paper(table, own) + "\n", dim=True)


def _fields(row: PlacedRow | None) -> tuple[str, ...]:
    if row is None:
        return "", "...", "", "", "", ""
    name = f"> {row.name}" if row.own else row.name
    return str(row.place), name, row.error, row.rank, "yes" if row.verified else "no", ", ".join(row.machines)


def _for_a_paper(table: Table, own: set[str]) -> str:
    """Return the command that prints the same rows for a paper."""
    axes, board = dict(table.group.axes), table.board
    rows = [row.name for row in table.rows if row.name in {*own, board.baseline}]
    words = ["spikeboard", "table", "--board", board.name, "--task", axes["task"], "--budget", axes["budget"]]
    words += [word for name in dict.fromkeys(rows) for word in ("--rows", name)]
    return f"for a paper: {' '.join(words)} --format latex"
