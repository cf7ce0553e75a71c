"""Scales on which differences are judged, so that rows of any size vary alike: odds for shares, logarithms for costs.

Seeds move an error of 20 % by more points than one of 2 %, and a time of a second by more than one of a millisecond; on
these scales they move both alike, and rows can lend each other what they know of their variance. Differences are told
in the unit that readers think in: points of a share, percents of a cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["Scale"]


@dataclass(frozen=True, slots=True)
class Scale:
    """A strictly increasing function of a figure, and what distances on it mean."""

    kind: Literal["odds", "logarithm", "plain"]

    @property
    def relative(self) -> bool:
        """Whether differences are told as a share of the reference."""
        return self.kind == "logarithm"

    def place(self, value: float, samples: int = 0) -> float:
        """Return where `value` lies; of a share of `samples` half a sample is kept off 0 and 1."""
        if self.kind == "odds":
            share = _kept_off(value, samples)
            return math.log(share / (1 - share))
        return math.log(value) if self.kind == "logarithm" else value

    def slope(self, share: float, samples: int) -> float:
        """Return how far a place moves with a share, at `share` of `samples`."""
        kept = _kept_off(share, samples)
        return 1 / (kept * (1 - kept)) if self.kind == "odds" else 1.0

    def told(self, reference: float, distance: float, samples: int = 0) -> float:
        """Return a `distance` from `reference` as readers think of it: a difference, or a share of the reference."""
        if not math.isfinite(distance):
            return distance
        if self.kind == "odds":
            share = _kept_off(reference, samples)
            odds = math.log(share / (1 - share)) + distance
            return 1 / (1 + math.exp(-odds)) - share if odds > -700 else -share
        return math.expm1(min(distance, 700.0)) if self.kind == "logarithm" else distance

    def distance(self, reference: float, told: float, samples: int = 0) -> float:
        """Return the distance that `told` gives; infinite where no figure lies that far."""
        if self.kind == "odds":
            share = _kept_off(reference, samples)
            there = share + told
            if not 0 < there < 1:
                return math.copysign(math.inf, told)
            return math.log(there / (1 - there)) - math.log(share / (1 - share))
        if self.kind == "logarithm":
            return math.log1p(told) if told > -1 else -math.inf
        return told


def _kept_off(share: float, samples: int) -> float:
    """Return a share as if half a sample more had been of either kind."""
    return (share * samples + 0.5) / (samples + 1) if samples else share
