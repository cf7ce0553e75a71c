"""How long cells take, from those that were run before. Must not import torch."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator

from harness.catalogue.cards import Rows
from harness.catalogue.cell import Cell
from harness.results.record import MEASURED, Record

__all__ = ["Durations"]


class Durations:
    """How long cells like a given one took, or the suite's guess.

    Parameters
    ----------
    history : records of any machine; those of cells that did not end well are left out.
    rows : what the cells' names stand for.
    """

    def __init__(self, history: Iterable[Record], rows: Rows) -> None:
        self._rows = rows
        self._seconds: dict[tuple[str, ...], list[float]] = defaultdict(list)
        for record in history:
            if record.status in MEASURED:
                for key in _likeness(record.cell):
                    self._seconds[key].append(record.provenance.duration_seconds)

    def of(self, cell: Cell) -> float:
        """Return the median duration of the cells that are most like `cell`, in seconds."""
        known = next((self._seconds[key] for key in _likeness(cell) if key in self._seconds), None)
        return statistics.median(known) if known else self._rows.suite(cell.suite).typical_seconds


def _likeness(cell: Cell) -> Iterator[tuple[str, ...]]:
    """Yield what makes cells alike: all but the seed; suite, task and method; suite and task."""
    yield cell.suite, cell.task, cell.budget, cell.method, cell.neuron, cell.topology, cell.backend
    yield cell.suite, cell.task, cell.budget, cell.method
    yield cell.suite, cell.task, cell.budget
