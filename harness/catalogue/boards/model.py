"""What a board is: the axis whose values are its rows, the figures that count, and the one that orders them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["COMPARED", "WITHOUT_BACKEND", "Axis", "Board", "Column"]

COMPARED = ("task", "neuron", "method", "topology", "backend", "device", "dtype", "budget", "recipe")
"""Axes of a cell that must be equal within a table, but for the board's own. Seeds are repetitions; threads belong to
the suite (timing takes all cores) and are shown with the figure."""


WITHOUT_BACKEND = ("accuracy", "spikes", "frontier", "robustness", "over_time", "streaming")
"""Suites whose figures no backend moves (conformance shows it): they count whichever has run them."""

Axis = Literal["neuron", "method", "backend", "task", "topology"]


@dataclass(frozen=True, slots=True)
class Column:
    """One figure of one suite."""

    suite: str
    metric: str
    needs_verification: bool = True
    """Whether a row that has not passed conformance is left out of the ranking."""
    ranked: bool = True
    """Whether rows are ranked by it; a time is shown, what it is as a ratio to something measured beside it ranks."""

    @property
    def key(self) -> str:
        """Return ``suite.metric``."""
        return f"{self.suite}.{self.metric}"


@dataclass(frozen=True, slots=True)
class Board:
    """A question, the axis whose rows answer it, and the figures that count."""

    name: str
    title: str
    question: str
    axis: Axis
    columns: tuple[Column, ...]
    rank_by: str
    """Key of the column that orders the rows."""
    fixed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values that other axes must have; those not named here are groups of their own."""
    varies: tuple[str, ...] = ()
    """Axes that may differ between the rows of a table, and are then stated in the row."""
    baseline: str = ""
    """The row that every other is also compared with, on the same network; empty: none."""
    share_margin: float = 0.005
    """Two shares (errors) that are shown to differ by less are no worse than each other: half a point."""
    relative_margin: float = 0.05
    """The same for everything else, as a share of the figure."""
    curves: tuple[str, ...] = ()
    """Figures over T or N that are drawn with a line for each row, in this order; empty: all that records have."""
    of_systems: bool = False
    """Whether its rows on the axis ``neuron`` are whole systems."""
    only_with: str = ""
    """Key of a column: records of its suite that lack the figure are of another board; empty: all records fit."""
