"""How long cells take, from those that were run before. Must not import torch."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

from harness.catalogue.cards import Registry
from harness.catalogue.cell import Cell
from harness.results.record import MEASURED, Record

__all__ = ["Durations", "History", "history_of", "no_history"]

Took = tuple[Cell, float]
"""A cell that ended well, and the seconds that it took; cells of several seeds may stand for each other."""
History = Callable[[str, str, str], Iterable[Took]]
"""What is known of a suite, a task and a budget, on any machine: asked for when a cell of them is planned, so that of a
large store only that is read."""


def no_history(suite: str, task: str, budget: str) -> Iterable[Took]:  # noqa: ARG001
    """Know nothing."""
    return ()


def history_of(records: Iterable[Record]) -> History:
    """Return the history that `records` are; those that did not end well say nothing."""
    known: dict[tuple[str, str, str], list[Took]] = defaultdict(list)
    for record in records:
        if record.status in MEASURED:
            cell = record.cell
            known[cell.suite, cell.task, cell.budget].append((cell, record.provenance.duration_seconds))
    return lambda suite, task, budget: known.get((suite, task, budget), ())


class Durations:
    """How long cells like a given one took, or the suite's guess.

    Parameters
    ----------
    history : what was measured before.
    registry : what the cells' names stand for.
    """

    def __init__(self, history: History, registry: Registry) -> None:
        self._history = history
        self._registry = registry
        self._medians: dict[tuple[str, str, str], Mapping[tuple[str, ...], float]] = {}

    def of(self, cell: Cell) -> float:
        """Return the median duration of the cells that are most like `cell`, in seconds."""
        asked = (cell.suite, cell.task, cell.budget)
        if asked not in self._medians:
            self._medians[asked] = _medians(self._history(*asked))
        medians = self._medians[asked]
        typical = self._registry.suite(cell.suite).typical_seconds
        return next((medians[key] for key in _likeness(cell) if key in medians), typical)


def _medians(took: Iterable[Took]) -> Mapping[tuple[str, ...], float]:
    seconds: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for cell, duration in took:
        for key in _likeness(cell):
            seconds[key].append(duration)
    return {key: statistics.median(several) for key, several in seconds.items()}


def _likeness(cell: Cell) -> Iterator[tuple[str, ...]]:
    """Yield what makes cells of one suite, task and budget alike: all but the seed; the method; nothing more."""
    yield cell.method, cell.neuron, cell.topology, cell.backend
    yield (cell.method,)
    yield ()
