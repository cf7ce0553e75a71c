"""What the conformance suite left in a record: the clauses of a contract, and how far a gradient agrees with BPTT's.

Reads details that nobody vouches for: what does not fit is left out. Must not judge, and must not know HTML.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from harness.catalogue.cards import Row
from harness.catalogue.cell import NOT_APPLICABLE
from harness.report.links import AXIS_OF_KIND, record_link
from harness.report.units import pretty
from harness.results.queries import CONTRACTS
from harness.results.record import Record

__all__ = ["Agreement", "CheckView", "ConformanceView", "conformance_of"]

Found = TypeVar("Found")


@checked(frozen=True, config=ConfigDict(extra="ignore"))
class CheckView:
    """One clause of the contract, as the conformance suite left it."""

    name: str
    promise: str
    passed: bool
    problem: str = ""


@checked(frozen=True, config=ConfigDict(extra="ignore"))
class Agreement:
    """A layer's gradient beside BPTT's, as the conformance suite left it; None: one of the two is zero."""

    layer: str
    cosine: float | None = None
    relative_error: float | None = None
    norm_ratio: float | None = None

    @property
    def figures(self) -> tuple[str, ...]:
        """Return cosine, relative error and ratio of norms as text."""
        values = (self.cosine, self.relative_error, self.norm_ratio)
        return tuple("–" if value is None else pretty(value, "") for value in values)


_CHECKS = TypeAdapter(tuple[CheckView, ...])
_AGREEMENT = TypeAdapter(tuple[Agreement, ...])


@dataclass(frozen=True, slots=True)
class ConformanceView:
    """One run of the conformance suite."""

    what: str
    machine: str
    measured: str
    status: str
    checks: tuple[CheckView, ...]
    agreement: tuple[Agreement, ...]
    record: str
    cell_id: str

    @property
    def broken(self) -> int:
        """Return how many clauses are broken."""
        return sum(not check.passed for check in self.checks)


def conformance_of(row: Row, records: Iterable[Record]) -> Iterable[ConformanceView]:
    """Yield the runs of the conformance suite among `records` that are about `row`, the newest first."""
    axis = AXIS_OF_KIND[row.kind]
    for record in sorted(records, key=lambda record: record.provenance.moment, reverse=True):
        cell = record.cell
        # A method is checked with some neuron; that is not that neuron's own check.
        if cell.suite not in CONTRACTS or (axis == "neuron" and cell.method != NOT_APPLICABLE):
            continue
        parts = () if axis == "neuron" else (f"with {cell.neuron}", f"on {cell.topology}")
        yield ConformanceView(
            what=", ".join(
                part
                for part in (*parts, "" if cell.backend == NOT_APPLICABLE else f"{cell.backend} backend", cell.dtype)
                if part
            ),
            machine=record.provenance.machine.name,
            measured=record.provenance.started_at,
            status=record.status,
            checks=_details(_CHECKS, record, "checks"),
            agreement=_details(_AGREEMENT, record, "agreement"),
            record=record_link(record),
            cell_id=record.cell_id,
        )


def _details(shape: TypeAdapter[tuple[Found, ...]], record: Record, key: str) -> tuple[Found, ...]:
    """Return what the suite left under `key`, or nothing if it is not what is expected: records are not trusted."""
    try:
        return shape.validate_python(record.details.get(key, ()))
    except ValidationError:
        return ()
