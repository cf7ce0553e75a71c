"""Which figures are verified: those whose neuron and training method, as their code is today, passed conformance.

A conformance record speaks of the code that it was measured with, and of no other: it counts only while its hash is
that of today's code, and only for figures that were measured with today's code too. Must not rank.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from harness.catalogue.cards import Registry
from harness.catalogue.cell import NOT_APPLICABLE
from harness.results.freshness import Today
from harness.results.grouping import of_machine
from harness.results.queries import CONTRACTS
from harness.results.record import Record

__all__ = ["Verification"]

_Verdicts = defaultdict[tuple[str, str | None], dict[str, bool]]
"""By neuron and backend, or training method and structure of the network: whether they passed, by machine."""


class Verification:
    """The conformance records among `records` that are `today`'s, asked about figures.

    A method is judged on one network of each structure and counts for all of that structure.
    """

    def __init__(self, records: Iterable[Record], registry: Registry, today: Today) -> None:
        self._registry = registry
        self.today = today
        self._neurons: _Verdicts = defaultdict(dict)
        self._methods: _Verdicts = defaultdict(dict)
        for record in records:
            if record.cell.suite not in CONTRACTS or not today.is_current(record):
                continue
            cell, machine = record.cell, record.provenance.machine.name
            passed = _passed(record)
            if cell.method == NOT_APPLICABLE:
                self._neurons[cell.neuron, cell.backend][machine] = passed
            else:
                of_method = self._methods[cell.method, self._structure(cell.topology)]
                of_method[machine] = passed and of_method.get(machine, True)

    def of(self, record: Record) -> bool:
        """Whether the neuron (under its backend) of `record` has passed, and its training method if it has one.

        It must have on the record's machine; a figure that tells of no machine may rest on what it did elsewhere, if it
        was not tried on its own and was not found wanting anywhere.
        """
        cell = record.cell
        asked = [self._neurons.get((cell.neuron, cell.backend), {})]
        if cell.method != NOT_APPLICABLE:
            asked.append(self._methods.get((cell.method, self._structure(cell.topology)), {}))
        return all(self._has_passed(verdicts, record) for verdicts in asked) and self.today.is_current(record)

    def _has_passed(self, verdicts: Mapping[str, bool], record: Record) -> bool:
        machine = record.provenance.machine.name
        if machine in verdicts or of_machine(record, self._registry):
            return verdicts.get(machine, False)
        return bool(verdicts) and all(verdicts.values())

    def _structure(self, topology: str) -> str | None:
        row = self._registry.topologies.get(topology)
        return row.capabilities.structure if row else None


def _passed(record: Record) -> bool:
    """Whether every check was passed, and there were checks: its figures and its list of them say the same."""
    failed, passed = record.metrics.get("failed_checks"), record.metrics.get("passed_checks")
    if record.status != "ok" or failed is None or passed is None:
        return False
    checks = record.details.get("checks")
    if not isinstance(checks, list) or not all(isinstance(one, dict) and one.get("passed") is True for one in checks):
        return False
    return failed.value == 0 < passed.value == len(checks)
