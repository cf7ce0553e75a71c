"""Pareto frontiers that know intervals: a row is on one unless another is significantly better in both figures.

Points alone would let noise decide: a row whose cost is a hair above another's, both known within 5 %, is no worse. Who
beats whom in either figure is decided as for ranks, each at its family-wise level. Must not know what the figures are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.catalogue.boards.model import Board
from harness.catalogue.cards import MetricCard
from harness.results.evidence import observed, rule_of
from harness.results.ranking import beating
from harness.results.record import Record

if TYPE_CHECKING:
    from harness.results.ranking import Flags

__all__ = ["Figure", "on_frontier"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the two figures, for every row."""

    metric: str
    card: MetricCard
    estimates: Sequence[float]
    records: Sequence[Sequence[Record]]
    """Of each row, one a seed."""


def on_frontier(board: Board, one: Figure, other: Figure) -> list[bool]:
    """Say for each row of `board` whether no other is significantly better in both figures.

    A row that is better in one and not told apart in the other dominates nobody: it may be worse there.

    Raises
    ------
    ValueError
        If the figures are not of the same rows.
    """
    if len(one.estimates) != len(other.estimates):
        raise ValueError(f"one figure is of {len(one.estimates)} rows, the other of {len(other.estimates)}")
    if not one.estimates:
        return []
    both = _beating(board, one) & _beating(board, other)
    return [not both[:, row].any() for row in range(len(both))]


def _beating(board: Board, figure: Figure) -> Flags:
    rule = rule_of(figure.card, board, [record.metrics[figure.metric] for row in figure.records for record in row])
    rows = [observed(records, figure.metric, rule.scale) for records in figure.records]
    return beating(figure.estimates, rows, rule)
