"""The form of a claim: what a paper says, and which comparison of which rows would show it.

No verdict stands here: it is computed from records (``harness.results.claims``). A row that the catalogue lacks, or a
figure that no suite measures, makes a claim untestable until there is one. Must not know records.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["COST", "ERROR", "Claim", "Comparison", "Expectation"]

Expectation = Literal["better", "no worse", "at most", "at least"]
ERROR = "accuracy.error_fraction"
COST = "throughput.train_step_ratio"
"""Of LIF under BPTT, in the same process: it repeats far better than seconds do."""
Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison: row against row in one figure, or the figure of a row against a number."""

    figure: str
    """``suite.metric``."""
    row: Mapping[str, Names]
    """Axis -> names in order of preference: the first that the catalogue has is meant."""
    against: Mapping[str, Names] = field(default_factory=dict)
    """The same of what it is compared with; empty for a figure that is compared with `limit`."""
    tasks: Names = ()
    """Tasks on which it may be tested; empty for suites that ask no task."""
    given: Mapping[str, Names] = field(default_factory=dict)
    """Axes of both rows, each with the values it may have; the two always share every other axis."""
    expects: Expectation = "better"
    """``better``: significantly; ``no worse``: better, or equal but for the margin; ``at most`` and ``at least``:
    of the row's own figure, `limit`."""
    size: float = 0.0
    """How much better, as claimed: in the figure's unit for a share (0.08: eight points), else a share of the other row
    (0.5: half of it). 0: the claim names no size."""
    limit: float = 0.0
    """For ``at most`` and ``at least``."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A headline of a paper."""

    id: str
    says: str
    """In our words."""
    paper: str
    """Authors and year."""
    arxiv: str
    """Or another address; empty where there is none."""
    where: str
    """Place in the paper, or where its words were seen."""
    tests: tuple[Comparison, ...] = ()
    """All have to hold; the first is the headline."""
    untestable: str = ""
    """Why nothing here can test it, where `tests` is empty."""
    differs: str = ""
    """What is not as in the paper."""
