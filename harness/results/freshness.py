"""Whether a record is one of today's: measured with what decides its figure as it is now, or with something older.

Asked of a cell, the hash of its inputs and their names, so that an index can answer without the whole record; today's
fingerprint is worked out once for all seeds of a combination. Must not decide what is shown of an older record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from harness.catalogue.cards import Registry
from harness.catalogue.cell import Cell
from harness.results.fingerprint import Fingerprint, fingerprint
from harness.results.record import Record

__all__ = ["CURRENT", "Age", "Freshness", "Today", "compared"]

UNNAMED = "inputs not recorded"
"""Stands in for the names of what changed, of a record that does not say what it depends on."""
_OF_CODE = frozenset({"neuron", "method", "topology", "backend", "contracts", "baseline", "packages", "recipe"})
"""Inputs that are an implementation's, or what it runs on; the others are the question's and the task's."""


class Age(Enum):
    """Where a record stands; the value is what a reader is told."""

    CURRENT = "current"
    CODE = "older code"
    QUESTION = "older suite or task"


@dataclass(frozen=True, slots=True)
class Freshness:
    """Whether a record is current, and if not, why."""

    age: Age
    changed: tuple[str, ...] = ()
    """Names of the inputs that are not what they were."""

    @property
    def is_current(self) -> bool:
        """Whether its figures are those that today's code would be asked for."""
        return self.age is Age.CURRENT

    def __str__(self) -> str:
        return self.age.value + (f" ({', '.join(self.changed)})" if self.changed else "")


CURRENT = Freshness(Age.CURRENT)


@dataclass(slots=True)
class Today:
    """What records are held against.

    Parameters
    ----------
    registry : what cells name today.
    root : folder of the two packages; None: where they are installed.
    """

    registry: Registry
    root: Path | None = None
    elsewhere: Mapping[tuple[str, str, str], Freshness] = field(default_factory=dict)
    """Of records that were judged by other sources than these (a stranger's, with his implementation), by cell, machine
    and code hash."""
    _answers: dict[tuple[object, ...], Freshness] = field(default_factory=dict)
    _records: dict[int, tuple[Freshness, Record]] = field(default_factory=dict)
    """By identity, with the record, so that it lives as long: a table asks a dozen times for each."""

    def of(self, cell: Cell, code_hash: str, inputs: Mapping[str, str] | None) -> Freshness:
        """Say whether what was measured of `cell`, with such inputs, is current."""
        axes = (cell.suite, cell.task, cell.neuron, cell.method, cell.topology, cell.backend, cell.device, cell.budget)
        key = (*axes, cell.recipe, code_hash)
        if key not in self._answers:
            self._answers[key] = compared(fingerprint(cell, self.registry, self.root), code_hash, inputs)
        return self._answers[key]

    def of_record(self, record: Record) -> Freshness:
        """Say whether a record is current."""
        known = self._records.get(id(record))
        if known is None:
            origin = record.provenance
            found = self.elsewhere.get((record.cell_id, origin.machine.name, origin.code_hash))
            known = (found or self.of(record.cell, origin.code_hash, origin.inputs), record)
            self._records[id(record)] = known
        return known[0]

    def is_current(self, record: Record) -> bool:
        """Whether a record is current; one of the gate verifies only then."""
        return self.of_record(record).is_current


def compared(today: Fingerprint, code_hash: str, inputs: Mapping[str, str] | None) -> Freshness:
    """Say how what was measured with such inputs stands to what `today` would be."""
    if code_hash == today.code_hash:
        return CURRENT
    if inputs is None:
        return Freshness(Age.CODE, (UNNAMED,))
    names = today.inputs.keys() | inputs.keys()
    changed = tuple(sorted(name for name in names if today.inputs.get(name) != inputs.get(name)))
    only_code = all(name.removesuffix(" settings") in _OF_CODE for name in changed)
    return Freshness(Age.CODE if only_code else Age.QUESTION, changed)
