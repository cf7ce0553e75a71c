"""Tables for the terminal: those that a verb's options ask for, and how they are printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli._options import tell_problems
from harness.terminal import say

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from harness.catalogue.boards.model import Board
    from harness.catalogue.cards import Registry
    from harness.report.trimming import Trimmed
    from harness.results.marks import Submitted
    from harness.results.table import Table

__all__ = ["asked_tables", "current_tables", "found_tables", "print_tables", "spread", "strangers_of"]

RANKS_SAY = "a rank spans the places a row may hold, by paired comparisons at a family-wise 95 %; ≈: no worse"


def print_tables(tables: Sequence[Table | Trimmed]) -> None:
    """Print tables, or parts of them: fitted to a terminal, at their full width to anything else."""
    from harness.report.formats import readable
    from harness.report.trimming import FIXED, Trimmed, whole
    from harness.report.words import where
    from harness.terminal import Console

    console = Console()
    for part in (one if isinstance(one, Trimmed) else whole(one) for one in tables):
        item = part.table
        measured = [row for row in item.rows if row.values]
        frame = readable(replace(item, rows=tuple(measured)), fixed=FIXED if part.fixed is None else part.fixed)
        title = f"{item.board.title}: {item.group.label}"
        blank = len(item.rows) - len(measured)
        note = f"; {len(item.rows)} of {part.of_rows} rows" * (len(item.rows) < part.of_rows)
        note += f"; {blank} rows without a figure (impossible or failed) are not shown" if blank else ""
        foot = f"{where(item, item.group.machine)}; {RANKS_SAY}{note}"
        lines = [list(frame.columns), *frame.itertuples(index=False)]
        left = [column in ("#", item.board.axis, "contract", "vectors") for column in frame.columns]
        if console.is_terminal:
            console.print(title, style="bold")
            console.print(_fitted(lines, left))
            console.print(foot, style="dim")
            console.print()
        else:
            say("\n".join([title, *spread(lines, left), foot, ""]))


def _fitted(lines: Sequence[Sequence[str]], left: Sequence[bool]) -> RichTable:
    from rich.table import Table as RichTable

    shown = RichTable(box=None, pad_edge=False)
    for name, to_left in zip(lines[0], left, strict=True):
        shown.add_column(name, justify="left" if to_left else "right", no_wrap=to_left)
    for line in lines[1:]:
        shown.add_row(*line)
    return shown


def spread(lines: Sequence[Sequence[str]], left: Sequence[bool]) -> Iterator[str]:
    """Yield the lines of a table as wide as they are."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = zip(line, widths, left, strict=True)
        yield "  ".join(text.ljust(width) if to_left else text.rjust(width) for text, width, to_left in cells).rstrip()


def current_tables(
    store: list[Path] | None, board: Board, registry: Registry, machine: str | None = None
) -> list[Table]:
    """Return the tables of `board` from current records alone; there may be none."""
    from harness.paths import readable_stores
    from harness.results.freshness import Today
    from harness.results.index import select
    from harness.results.queries import wanted_by
    from harness.results.tables import build_tables

    contents = select(readable_stores(store), wanted_by((board,), {}, machine))
    tell_problems(contents.problems)
    today = Today(registry)
    tables = build_tables([one for one in contents.records if today.is_current(one)], registry, board)
    return [table for table in tables if machine is None or table.stands_for(machine)]


def strangers_of(store: list[Path] | None) -> Submitted:
    """Return what others have submitted to the project whose records are read; nobody's where stores are named."""
    from harness.catalogue.loading import load_registry
    from harness.paths import submissions_beside
    from harness.results.marks import NOBODY

    root = submissions_beside(store)
    if root is None or not root.is_dir():
        return NOBODY
    from harness.submissions.marks import read_submissions

    found = read_submissions(root, load_registry())
    tell_problems(found.problems)
    return found


def asked_tables(
    store: list[Path] | None,
    board: str | None,
    axes: dict[str, str | None],
    machine: str | None,
    current: bool,
    strangers: Submitted | None = None,
) -> list[Table]:
    """Return the tables of `board`, or of all, that the options ask for; there may be none."""
    from harness.paths import readable_stores
    from harness.results.asked import tables_of
    from harness.results.marks import NOBODY

    tables, problems = tables_of(readable_stores(store), board, axes, machine, current, strangers or NOBODY)
    tell_problems(problems)
    return tables


def found_tables(
    store: list[Path] | None,
    board: str | None,
    axes: dict[str, str | None],
    machine: str | None,
    current: bool = False,
    strangers: Submitted | None = None,
) -> list[Table]:
    """Return `asked_tables`, where it is an error that there are none."""
    from harness.errors import UserError

    tables = asked_tables(store, board, axes, machine, current, strangers)
    if not tables:
        raise UserError("no records to make a table of", "measure something first: spikeboard run --preset smoke")
    return tables
