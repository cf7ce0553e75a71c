"""The contract of a suite: one question, asked of a workload, answered in named figures.

Units and directions stand in the suite's card and are added when the answer becomes a record. A suite knows no
file format, no page and no process.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.catalogue.cards import SuiteCard
from harness.results.record import Metric, Predictions, Series
from harness.results.stats import wilson_interval
from reference_impls.names import check_name

if TYPE_CHECKING:
    from harness.workload import Workload

__all__ = ["Answer", "DivergedError", "Measurement", "Suite", "share_missed", "to_metrics"]


class DivergedError(Exception):
    """A run whose loss or output stopped being finite, or left what it must equal; the message says where."""

    def __init__(self, message: str, answer: Answer | None = None) -> None:
        super().__init__(message)
        self.answer = answer
        """What had been measured before, if anything."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measured value and what it rests on; see :class:`harness.results.record.Metric` for the fields."""

    value: float
    samples: Sequence[float] = ()
    n: int = 1
    low: float | None = None
    high: float | None = None
    covers: str | None = None

    @property
    def half_width(self) -> float:
        """Return half the interval, relative to the value; infinite where there is none."""
        if self.low is None or self.high is None or self.value == 0:
            return math.inf
        return (self.high - self.low) / 2 / abs(self.value)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a suite found out."""

    figures: Mapping[str, Measurement]
    """By metric name; every name must be on the suite's card."""
    series: Mapping[str, Series] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    """JSON-serialisable; shown on the implementation's page."""
    predictions: Predictions | None = None
    """Of a suite that classifies: what it said of every test sample."""
    noise: str | None = None
    """Why timings among the figures are too noisy to be ranked, in one sentence; None where they are not."""


def share_missed(errors: int, samples: int) -> Measurement:
    """Return an error as a fraction of the test samples, with its interval."""
    low, high = wilson_interval(errors, samples)
    return Measurement(errors / samples, n=samples, low=low, high=high, covers="test samples")


class Suite(ABC):
    """One question asked of everything."""

    def __init__(self, card: SuiteCard) -> None:
        self.card = card

    def validate(self, workload: Workload) -> None:  # noqa: B027 - most workloads need no check beyond the plan's
        """Refuse, before measuring, a workload that this suite cannot judge.

        Raises
        ------
        reference_impls.api.UnsupportedError
            With a sentence that says why.
        """

    @abstractmethod
    def run(self, workload: Workload) -> Answer:
        """Answer the question for `workload`.

        Raises
        ------
        DivergedError
            If a loss or an output stopped being finite, or left what it must equal.
        """


def to_metrics(card: SuiteCard, figures: Mapping[str, Measurement]) -> dict[str, Metric]:
    """Add unit, direction and exactness from the card.

    Raises
    ------
    UnknownNameError
        If a figure is not on the card: a suite and its card must not drift apart.
    DivergedError
        If a value is not finite.
    """
    metrics = {}
    for name, figure in figures.items():
        known = card.metrics[check_name(f"figure of suite {card.name!r}:", name, card.metrics)]
        if not math.isfinite(figure.value):
            raise DivergedError(f"{card.name}: {name} is {figure.value}")
        metrics[name] = Metric(
            value=figure.value,
            unit=known.unit,
            direction=known.direction,
            exact=known.exact,
            samples=tuple(figure.samples),
            n=figure.n,
            low=figure.low,
            high=figure.high,
            covers=figure.covers,
        )
    return metrics
