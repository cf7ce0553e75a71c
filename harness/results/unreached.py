"""Trainings that ended before they reached the target whose cost is asked: no figure, and yet an answer.

Such a run is no failure and not unmeasured either: tables say "not reached", and rank it below all that reach it. Must
not know boards or formats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from harness.results.ranking import Rank
from harness.results.record import MEASURED, Record
from harness.results.standing import Standing

__all__ = ["NOT_REACHED", "Unreached", "is_cost_of_target", "missed_target", "ranked_below"]

NOT_REACHED = "not reached"
TO_TARGET = "_to_target"
"""How the names of metrics end that say what the way to a target has cost; a record that reached it has one of them."""

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Unreached:
    """What a table has in place of a figure."""

    record: Record
    """The newest of the runs that did not get there; no seed did."""
    standing: Standing
    rank: Rank | None = None
    """None where the row may not be ranked."""

    @property
    def text(self) -> str:
        """Return what stands in the cell."""
        return NOT_REACHED if self.standing.ranked else f"{NOT_REACHED} ({self.standing.value})"


def is_cost_of_target(metric: str) -> bool:
    """Whether a metric has no value where a target was not reached."""
    return metric.endswith(TO_TARGET)


def missed_target(record: Record, metric: str, is_current: bool) -> bool:
    """Whether `record` lacks `metric` because its run came to its end before the target.

    What older code left out it may not have known; a run without any figure says it whatever measured it.
    """
    if record.status not in MEASURED or not is_cost_of_target(metric):
        return False
    return not record.metrics or (is_current and not any(map(is_cost_of_target, record.metrics)))


def ranked_below(reached: int, unreached: Mapping[K, Unreached]) -> dict[K, Unreached]:
    """Rank those that did not reach the target behind the `reached` ones that did; nothing tells them apart."""
    worst = reached + len(unreached)
    rank = Rank(reached + 1, worst, tied_with_best=reached == 0)
    return {key: replace(one, rank=rank) for key, one in unreached.items()}
