"""Ranks and differences in words: which places a row may hold, how far it is from the best and from the baseline.

Must not rank: ``ranking`` did.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.catalogue.boards.model import Column
from harness.catalogue.cards import MetricCard
from harness.report.units import Scale
from harness.results.ranking import Difference
from harness.results.table import Table, TableRow, Value

__all__ = [
    "NO_WORSE",
    "Marks",
    "Reference",
    "difference_of",
    "difference_scale",
    "difference_text",
    "marks_of",
    "rank_text",
    "references",
]

NO_WORSE = "≈"
"""Before a difference that a test has shown to be smaller than the board's margin."""
TOO_FEW_SEEDS = "too few seeds to tell"
"""In place of bounds that leave everything open."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What the cells of one column need to know of the others."""

    separates: bool
    """Whether some row is significantly worse than the best."""
    baseline: str
    """Name of the row that the others are also compared with; empty: none."""
    ranks: bool = True
    """Whether the board ranks rows by the column at all, or shows it only."""

    def best(self, value: Value) -> bool:
        """Whether a figure is worth marking: tied with the best, where something is not."""
        return self.separates and value.rank is not None and value.rank.tied_with_best


@dataclass(frozen=True, slots=True)
class Reference:
    """A row that the others are compared with."""

    title: str
    is_leader: bool

    def of(self, value: Value) -> Difference | None:
        """Return how far `value` is from it."""
        return value.to_leader if self.is_leader else value.to_baseline


def marks_of(table: Table, column: Column) -> Marks:
    """Return what the cells of a column need to know."""
    ranks = [row.values[column.key].rank for row in table.rows if column.key in row.values]
    separates = any(rank is not None and not rank.tied_with_best for rank in ranks)
    return Marks(separates, table.board.baseline, column.ranked)


def rank_text(value: Value | None) -> str:
    """Return the places that a row may hold, such as "1-4" or "3"; empty for a row that is not ranked."""
    return "" if value is None or value.rank is None else str(value.rank)


def references(table: Table) -> list[Reference]:
    """Return what the ranking column's figures are compared with, as far as any is."""
    values = [row.values[table.board.rank_by] for row in table.rows if table.board.rank_by in row.values]
    possible = (Reference("to best", True), Reference(f"to {table.board.baseline}", False))
    return [reference for reference in possible if any(reference.of(value) is not None for value in values)]


def difference_of(reference: Reference, row: TableRow, column: str) -> Difference | None:
    """Return how far a row is from a reference; None if it is that itself, or not ranked."""
    value = row.values.get(column)
    return None if value is None else reference.of(value)


def difference_scale(difference: Difference, card: MetricCard, scale: Scale) -> Scale:
    """Return the unit of a difference between figures that are shown in `scale`."""
    if difference.relative:
        return Scale(100.0, "%")
    return Scale(100.0, "points") if card.unit == "fraction" else scale


def difference_text(difference: Difference | None, scale: Scale) -> str:
    """Return a difference with its interval, such as "+0.9 (+0.3 to +1.6)"; empty where there is none."""
    if difference is None:
        return ""
    low, high = difference.low, difference.high
    mark = f"{NO_WORSE} " if difference.no_worse else ""
    if difference.vague:
        return f"{mark}{_signed(difference.value * scale.factor, 1)} ({TOO_FEW_SEEDS})"
    if low is None or high is None or low == high or not (math.isfinite(low) and math.isfinite(high)):
        return f"{mark}{_signed(difference.value * scale.factor, 3)}"
    wide = (high - low) / 2 * scale.factor
    decimals = min(max(1 - math.floor(math.log10(wide)), 0), 4) if wide > 0 else 3
    value, *ends = (_signed(number * scale.factor, decimals) for number in (difference.value, low, high))
    return f"{mark}{value} ({ends[0]} to {ends[1]})"


def _signed(number: float, decimals: int) -> str:
    if number == 0:
        return "0"
    if abs(number) >= 1e5:
        return f"{number:+.2e}"
    return f"{number:+.{decimals}f}" if abs(number) < 100 else f"{number:+.0f}"
