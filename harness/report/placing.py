"""Where a row stands among those that others measured: by its estimate, with the machine that each figure is of.

Ranks are a table's, and no table spans machines; so a row's own table says what it is ranked among, and rows of other
machines stand beside it unranked. Must not rank.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from harness.report.formats import mark_of
from harness.report.ranks import rank_text
from harness.report.units import scale_for, with_interval
from harness.results.tables import Table

__all__ = ["PlacedRow", "around", "placed_rows", "sentence"]

MOST = 12
"""Lines of a table that is read on a terminal."""
BESIDE = 2
"""Rows that are shown before and after one's own."""


@dataclass(frozen=True, slots=True)
class PlacedRow:
    """A line: one row of one machine's table."""

    place: int
    """By estimate, from 1."""
    name: str
    error: str
    rank: str
    """In the table of its machine; empty where that is not this one."""
    verified: bool
    machine: str
    own: bool


def placed_rows(tables: Iterable[Table], own: Collection[str], here: str) -> list[PlacedRow]:
    """Return the rows of `tables` that have a figure in the ranking column, by estimate, the best first.

    Parameters
    ----------
    tables : of one board, that share everything but the machine.
    own : names of the rows that it is about; those measured `here`, on this machine.
    """
    found = []
    for table in tables:
        machine, key = table.group.machine, table.board.rank_by
        several = len({row.topology for row in table.rows}) > 1
        for row in table.rows:
            value = row.values.get(key)
            if value is None:
                continue
            text = with_interval(value.estimate, scale_for(value.card.unit, value.estimate.value)) + mark_of(value)
            name = f"{row.name} ({row.topology})" if several else row.name
            rank = rank_text(value) if machine == here else ""
            higher = value.card.direction == "higher"
            order = (-1 if higher else 1) * value.estimate.value
            mine = machine == here and row.name in own
            found.append((order, PlacedRow(0, name, text, rank, row.verified, machine, mine)))
    ordered = sorted(found, key=lambda one: (one[0], one[1].name, one[1].machine))
    return [replace(row, place=place) for place, (_, row) in enumerate(ordered, start=1)]


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


def sentence(rows: Sequence[PlacedRow], here: str) -> str:
    """Say where one's own rows stand, and among which they are ranked."""
    ranked = sum(bool(row.rank) for row in rows)
    parts = []
    for row in rows:
        if row.own:
            rank = f", rank {row.rank} of the {ranked} of this machine" if row.rank else ""
            parts.append(f"{row.name}: {row.place} of {len(rows)} by its estimate{rank}")
    others = sorted({row.machine for row in rows if row.machine != here})
    beside = f"nothing is ranked across machines, so rows of {', '.join(others)} only stand beside"
    return "; ".join([*parts, *([beside] if others else [])])
