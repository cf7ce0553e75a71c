"""What a check of a submission comes to: a line that holds, does not hold, or cannot be told, and why.

Must not know what is checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from harness.results.record import Record

__all__ = ["Complaint", "Line", "Verdict", "fails", "holds", "judged", "untold"]

NAMED = 4
"""Causes that a line names; JSON has them all."""

Complaint = tuple[Record, str]
"""A record, and what is wrong with it."""


class Verdict(Enum):
    """What became of a check; the value is what a reader is told."""

    HOLDS = "holds"
    FAILS = "does not hold"
    UNTOLD = "cannot be told"


@dataclass(frozen=True, slots=True)
class Line:
    """One check."""

    check: str
    verdict: Verdict
    text: str
    """What was looked at, or why it does not hold or cannot be told."""
    causes: tuple[str, ...] = ()
    """Everything that is wrong, a sentence each."""


def holds(check: str, text: str) -> Line:
    """Return a line of what holds."""
    return Line(check, Verdict.HOLDS, text)


def untold(check: str, text: str) -> Line:
    """Return a line of what cannot be told."""
    return Line(check, Verdict.UNTOLD, text)


def fails(check: str, causes: Sequence[str]) -> Line:
    """Return a line of what does not hold."""
    more = f"; and {len(causes) - NAMED} more" if len(causes) > NAMED else ""
    return Line(check, Verdict.FAILS, "; ".join(causes[:NAMED]) + more, tuple(causes))


def judged(check: str, looked_at: int, what: str, complaints: Iterable[Complaint], nothing: str) -> Line:
    """Return the line of a check of records.

    Parameters
    ----------
    looked_at : how many records could be asked.
    what : was looked at, for a line that holds; follows the number.
    complaints : what is wrong.
    nothing : why it cannot be told where no record could be asked.
    """
    causes = [f"{named(record)}: {sentence}" for record, sentence in complaints]
    if causes:
        return fails(check, causes)
    return holds(check, f"{looked_at} {what}") if looked_at else untold(check, nothing)


def named(record: Record) -> str:
    """Return what a record is called in a sentence."""
    return f"cell {record.cell_id} ({record.cell.suite}, {record.cell.task}, {record.cell.label})"
