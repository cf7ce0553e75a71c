"""Where a row stands among all that were measured, here and elsewhere: the part of a table around it, for a terminal.

Must not rank.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from harness.report.formats import mark_of
from harness.report.ranks import rank_text
from harness.report.units import scale_for, with_interval
from harness.results.table import Table

__all__ = ["PlacedRow", "around", "placed_rows", "sentence"]

MOST = 12
"""Lines of a table that is read on a terminal."""
BESIDE = 2
"""Rows that are shown before and after one's own."""


@dataclass(frozen=True, slots=True)
class PlacedRow:
    """A line."""

    place: int
    """By estimate, from 1."""
    name: str
    error: str
    rank: str
    """Empty of what may not be ranked."""
    verified: bool
    machines: tuple[str, ...]
    """That its figures are of, this one first."""
    own: bool


def placed_rows(table: Table, own: Collection[str], here: str) -> list[PlacedRow]:
    """Return the rows of `table` that have a figure in the ranking column, in its order.

    Parameters
    ----------
    own : names of the rows that it is about.
    here : this machine.
    """
    key = table.board.rank_by
    several = len({row.topology for row in table.rows}) > 1
    found: list[PlacedRow] = []
    for row in table.rows:
        value = row.values.get(key)
        if value is None:
            continue
        text = with_interval(value.estimate, scale_for(value.card.unit, value.estimate.value)) + mark_of(value)
        name = f"{row.name} ({row.topology})" if several else row.name
        machines = row.machines(here)
        mine = row.name in own and machines[0] == here
        found.append(PlacedRow(len(found) + 1, name, text, rank_text(value), row.verified, machines, mine))
    return found


def around(rows: Sequence[PlacedRow], most: int = MOST) -> list[PlacedRow | None]:
    """Return the best rows and the neighbours of one's own, about `most` in all; None stands for what is left out."""
    mine = [index for index, row in enumerate(rows) if row.own]
    near = {index + step for index in mine for step in range(-BESIDE, BESIDE + 1)} & set(range(len(rows)))
    best = range(min(len(rows), max(3, most - len(near))))
    shown = sorted({*best, *near})
    lines: list[PlacedRow | None] = []
    for before, index in zip([-1, *shown], shown, strict=False):
        lines += [None] * (index > before + 1) + [rows[index]]
    return lines + [None] * bool(shown and shown[-1] < len(rows) - 1)


def sentence(rows: Sequence[PlacedRow]) -> str:
    """Say where one's own rows stand, and among which they are ranked."""
    ranked = sum(bool(row.rank) for row in rows)
    parts = []
    for row in rows:
        if row.own:
            rank = f", rank {row.rank} of the {ranked} that are ranked" if row.rank else ""
            parts.append(f"{row.name}: {row.place} of {len(rows)} by its estimate{rank}")
    return "; ".join(parts)
