"""The best of a table's columns, in words: which rows are tied with it, and its figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.report.formats import column_scale
from harness.report.table_rows import row_key, row_labels
from harness.report.words import joined
from harness.results.table import Table

__all__ = ["Best", "best_of"]


@dataclass(frozen=True, slots=True)
class Best:
    """The rows of a column that are tied with the best; `figure` is the best of theirs."""

    title: str
    names: str
    figure: str
    tied: bool


def best_of(table: Table) -> Iterable[Best]:
    """Yield, for each column that compares something, the rows that are tied with the best."""
    labels = row_labels(table)
    for column in table.columns:
        ranked = {
            labels[row_key(row)]: row.values[column.key]
            for row in table.rows
            if column.key in row.values and row.values[column.key].rank is not None
        }
        first = {
            label: value.estimate.value
            for label, value in ranked.items()
            if value.rank is not None and value.rank.tied_with_best
        }
        if len(ranked) < 2:
            continue
        card, scale = table.cards[column.key], column_scale(table, column)
        higher = card.direction == "higher"
        yield Best(
            title=card.title,
            names=_named(list(first), len(ranked)),
            figure=f"{scale.text((max if higher else min)(first.values()))} {scale.label}".rstrip(),
            tied=1 < len(first) < len(ranked),
        )


def _named(names: Sequence[str], ranked: int) -> str:
    if len(names) == ranked:
        return f"all {ranked} tie"
    return joined(names if len(names) <= 4 else [*names[:3], f"{len(names) - 3} more"])
