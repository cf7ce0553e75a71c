"""Which combinations make no sense, for a table and for an implementation: the cards say it whenever a page asks.

Nothing is recorded of what cannot be run. Must not rank, and must not know HTML.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from harness.catalogue.boards.model import Board
from harness.catalogue.cards import Registry, Row
from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.catalogue.compatibility import why_unsupported
from harness.results.table import Table

__all__ = ["Impossibilities", "Impossible"]


@dataclass(frozen=True, slots=True)
class Impossible:
    """A row that a table cannot have, and why."""

    name: str
    topology: str
    suites: tuple[str, ...]
    reason: str


class Impossibilities:
    """What the cards rule out, remembered: many tables ask the same of them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[Cell, str | None] = {}

    def of(self, table: Table) -> tuple[Impossible, ...]:
        """Return the rows that `table` could not have whatever was measured, in the order of the cards."""
        board, shared = table.board, dict(table.group.axes)
        there = {(row.name, row.topology) for row in table.rows if row.values}
        topologies = list(dict.fromkeys(row.topology for row in table.rows if row.values))
        cell = Cell("", **{axis: value for axis, value in shared.items() if axis != "budget"})  # type: ignore[arg-type]
        suites = tuple(dict.fromkeys(column.suite for column in table.columns))
        found: list[Impossible] = []
        for name in self._names(board, shared):
            for topology in topologies:
                if (name, topology) not in there:
                    asked = replace(cell, **{"topology": topology, board.axis: name})  # type: ignore[arg-type]
                    found += self._row(asked, suites, name)
        return tuple(found)

    def _row(self, cell: Cell, suites: Iterable[str], name: str) -> Iterable[Impossible]:
        reasons: dict[str, list[str]] = {}
        for suite in suites:
            asked = replace(cell, suite=suite)
            if asked not in self._known:
                self._known[asked] = why_unsupported(asked, self._registry)
            reason = self._known[asked]
            if reason is not None:
                reasons.setdefault(reason, []).append(suite)
        return [Impossible(name, cell.topology, tuple(of), reason) for reason, of in reasons.items()]

    def _names(self, board: Board, shared: Mapping[str, str]) -> Collection[str]:
        if board.axis == "neuron" and shared.get("task", NOT_APPLICABLE) == NOT_APPLICABLE:
            return ()  # layers and libraries: whoever has none of them is no gap
        kinds: Mapping[str, Mapping[str, Row]] = {
            "neuron": self._registry.systems if board.of_systems else self._registry.neurons,
            "method": self._registry.methods,
            "task": self._registry.tasks,
        }
        return kinds.get(board.axis, {})
