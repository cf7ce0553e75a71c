"""Golden vectors as a clause of a contract: which cases a row answers for, and the check that it agrees with them.

The surrogates are no rows of their own, but every neuron builds on them: they are one subject more. Must not know
where the vectors of a run come from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.conformance import Check, CheckFailedError
from harness.golden import SURROGATES, VECTORS, Case, load
from reference_impls.card import Kind

__all__ = ["SURROGATE_CHECKS", "SurrogateSubject", "cases_about", "check_cases"]

SHOWN = 3
"""Differences that a message names."""


def cases_about(kind: Kind, source: str, vectors: Path) -> list[Case]:
    """Return the cases below `vectors` that the file with the card `source` answers for."""
    return [
        case
        for case in load(vectors)
        if (found := case.source) is not None and (found.kind, found.name) == (kind, source)
    ]


def check_cases(cases: Iterable[Case], backend: str = "eager") -> None:
    """Raise CheckFailedError, naming the first tensors that differ, unless every case agrees."""
    differences = [difference for case in cases for difference in case.differences(backend)]
    if differences:
        more = f"; and {len(differences) - SHOWN} more" if len(differences) > SHOWN else ""
        raise CheckFailedError("; ".join(map(str, differences[:SHOWN])) + more)


@dataclass(frozen=True, slots=True)
class SurrogateSubject:
    """All surrogate gradients."""

    vectors: Path = VECTORS
    """Folder of golden vectors."""

    def golden_cases(self) -> list[Case]:
        """Return the cases of surrogates."""
        return [case for case in load(self.vectors) if case.implementation == SURROGATES]


SURROGATE_CHECKS: tuple[Check[SurrogateSubject], ...] = (
    Check(
        "golden",
        "Spikes and derivatives equal the libraries' own code.",
        lambda subject: check_cases(subject.golden_cases()),
        lambda subject: bool(subject.golden_cases()),
    ),
)
