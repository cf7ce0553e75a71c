"""Which rows agree with numbers of the authors' own code, from the conformance records of today's code.

That is another fact than a contract that was passed: most implementations keep theirs without any vectors, for no
code was ever published. A neuron's backends are compared with eager, so eager's vectors stand for all of them; a
training method's variants leave its vectors to the file's first row. Must not rank.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from harness.catalogue.cards import Registry, Row
from harness.catalogue.cell import NOT_APPLICABLE
from harness.results.freshness import Today
from harness.results.grouping import ANY_MACHINE
from harness.results.record import Record

__all__ = ["AuthorsVectors"]

CLAUSE = "golden"
"""Name of the check that holds an implementation against vectors; it is absent where there are none."""


class AuthorsVectors:
    """What the current conformance records among `records` say of vectors."""

    def __init__(self, records: Iterable[Record], registry: Registry, today: Today) -> None:
        self._registry = registry
        found: dict[tuple[str, str], dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
        for record in records:
            if record.cell.suite != "conformance" or record.status != "ok":
                continue
            checks = record.details.get("checks")
            agreed = [
                check.get("passed") is True
                for check in (checks if isinstance(checks, list) else [])
                if isinstance(check, Mapping) and check.get("name") == CLAUSE
            ]
            if agreed and today.is_current(record):
                axis = "neuron" if record.cell.method == NOT_APPLICABLE else "method"
                found[axis, getattr(record.cell, axis)][record.provenance.machine.name] += agreed
        self._agree = {key: {machine: all(agreed) for machine, agreed in on.items()} for key, on in found.items()}

    def of(self, machine: str, axis: str, name: str, shared: Mapping[str, str]) -> bool:
        """Whether a row of a table was compared with vectors on `machine` and agreed with all of them.

        Parameters
        ----------
        machine : the table's; of a table of none, all that vectors were tried on.
        axis, name : of the row. A neuron and a training method answer for themselves.
        shared : what all rows share; rows of other axes stand for the neuron and the method there.
        """
        if axis in ("neuron", "method"):
            return self._one(machine, axis, name)
        named = [(one, shared.get(one, NOT_APPLICABLE)) for one in ("neuron", "method")]
        asked = [(one, value) for one, value in named if value != NOT_APPLICABLE]
        return bool(asked) and all(self._one(machine, one, value) for one, value in asked)

    def _one(self, machine: str, axis: str, name: str) -> bool:
        known: Mapping[str, Row] = self._registry.methods if axis == "method" else {}
        source = known[name].card.name if name in known else name
        on = self._agree.get((axis, source), {})
        return bool(on) and all(on.values()) if machine == ANY_MACHINE else on.get(machine, False)
