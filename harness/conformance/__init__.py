"""Conformance: what every neuron and every training method must do before its speed is ranked.

Checks are small functions that raise `CheckFailedError`; the conformance suite runs them on a row and the contract
tests run the very same ones on every row. Nothing here knows records or pytest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Check", "CheckFailedError", "CheckOutcome", "require", "run_checks"]

Subject = TypeVar("Subject")


class CheckFailedError(AssertionError):
    """A contract is broken; the message says how."""


def require(condition: object, problem: str) -> None:
    """Raise CheckFailedError with `problem` unless `condition` holds."""
    if not condition:
        raise CheckFailedError(problem)


@dataclass(frozen=True, slots=True)
class Check(Generic[Subject]):
    """One clause of the contract."""

    name: str
    promise: str
    """The clause, in one sentence."""
    run: Callable[[Subject], None]
    applies: Callable[[Subject], bool] = lambda _subject: True


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """What became of a check."""

    name: str
    promise: str
    passed: bool
    problem: str = ""


def run_checks(checks: Iterable[Check[Subject]], subject: Subject) -> list[CheckOutcome]:
    """Run every check that applies; an exception inside one is its failure, and the others go on."""
    outcomes = []
    for check in checks:
        if not check.applies(subject):
            continue
        try:
            check.run(subject)
        except Exception as error:
            problem = str(error) if isinstance(error, CheckFailedError) else f"{type(error).__name__}: {error}"
            outcomes.append(CheckOutcome(check.name, check.promise, False, problem))
        else:
            outcomes.append(CheckOutcome(check.name, check.promise, True))
    return outcomes
