"""What a run of one's own rows ends with: each of their tables, with the published rows beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli._options import tell_problems
from harness.terminal import say

if TYPE_CHECKING:
    from harness.catalogue.boards import Board
    from harness.catalogue.cards import Registry
    from harness.catalogue.cell import Cell
    from harness.report.placing import PlacedRow
    from harness.results.tables import Table

__all__ = ["print_places"]

SUITE = "accuracy"
"""What places a row."""


def print_places(cells: Iterable[Cell], stores: Sequence[Path], registry: Registry, here: str) -> None:
    """Print the tables of the board whose axis `cells` differ on, with the rows of every machine in `stores`.

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
    alike: dict[tuple[tuple[str, str], ...], list[Table]] = defaultdict(list)
    for table in build_tables(contents.records, registry, board):
        alike[table.group.axes].append(table)
    for tables in alike.values():
        if any(table.group.machine == here and own & {row.name for row in table.rows} for table in tables):
            _print(board, tables, own, here)


def _print(board: Board, tables: Sequence[Table], own: set[str], here: str) -> None:
    from rich.table import Table as RichTable

    from harness.cli._console import print_whole
    from harness.report.placing import around, placed_rows, sentence

    rows = placed_rows(tables, own, here)
    shown = RichTable(box=None, pad_edge=False, title=f"{board.title}: {tables[0].group.label}", title_justify="left")
    for heading in ("", board.axis, "test error [%]", "rank", "contract", "machine"):
        shown.add_column(heading, justify="right" if heading in ("", "test error [%]") else "left")
    for row in around(rows):
        shown.add_row(*_fields(row), style="bold" if row is not None and row.own else None)
    print_whole(shown)
    say(sentence(rows, here))
    say(_for_a_paper(board, tables, own, here) + "\n", dim=True)


def _fields(row: PlacedRow | None) -> tuple[str, ...]:
    if row is None:
        return "", "...", "", "", "", ""
    name = f"> {row.name}" if row.own else row.name
    return str(row.place), name, row.error, row.rank, "yes" if row.verified else "no", row.machine


def _for_a_paper(board: Board, tables: Sequence[Table], own: set[str], here: str) -> str:
    """Return the command that prints the table of this machine for a paper."""
    axes = dict(tables[0].group.axes)
    (mine,) = (table for table in tables if table.group.machine == here)
    rows = [row.name for row in mine.rows if row.name in {*own, board.baseline}]
    words = ["spikeboard", "table", "--board", board.name, "--task", axes["task"], "--budget", axes["budget"]]
    words += ["--machine", here, *(word for name in dict.fromkeys(rows) for word in ("--rows", name))]
    return f"for a paper: {' '.join(words)} --format latex"
