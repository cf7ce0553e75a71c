"""How far two single runs may be apart where the noise was measured: what ``comparison`` asks before its own rules.

All figures of a comparison are looked at together, so that many of them do not make a false difference likely. Must not
know where the noise is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from harness.catalogue.cards import MetricCard, Registry
from harness.catalogue.cell import Cell
from harness.results.record import Record
from harness.results.steps import Noise, apart

__all__ = ["Allowances", "NoiseOf", "metrics_of", "no_noise"]

NoiseOf = Callable[[str, Cell, int, str], Noise | None]
"""What was measured of the noise of a figure of one run: asked with machine, cell, version of the task and metric."""


def no_noise(_machine: str, _cell: Cell, _task_version: int, _metric: str) -> Noise | None:
    """Know of no noise."""
    return None


def metrics_of(cell: Cell, registry: Registry) -> Mapping[str, MetricCard]:
    """Return the metrics of a cell's suite; none of a suite that is not known."""
    return registry.suite(cell.suite).metrics if cell.suite in registry.suites else {}


class Allowances:
    """What the measured noise allows in one comparison.

    Parameters
    ----------
    compared : the records, one of each seed, of every cell that both sets have.
    registry : says which of their figures are judged.
    noise_of : the measured noise.
    least : growth below which a figure counts as the same, whatever its noise.
    """

    def __init__(
        self, compared: Iterable[Collection[Record]], registry: Registry, noise_of: NoiseOf, least: float
    ) -> None:
        self._noise_of, self._least = noise_of, least
        known = (
            self._noise(records, name, card) is not None
            for records in compared
            for name, card in metrics_of(next(iter(records)).cell, registry).items()
            if card.judged
        )
        self._comparisons = max(sum(known), 1)

    def of(self, records: Collection[Record], name: str, card: MetricCard) -> float | None:
        """Return the growth (0.1: 10 %) that is none; None where no noise is known, or of several seeds."""
        noise = self._noise(records, name, card)
        return None if noise is None else max(apart(noise, self._comparisons), self._least)

    def _noise(self, records: Collection[Record], name: str, card: MetricCard) -> Noise | None:
        if len(records) != 1 or card.exact:
            return None
        (record,) = records
        origin = record.provenance
        return self._noise_of(origin.machine.name, record.cell, origin.task_version or 1, name)
