"""The conformance suite as ``spikeboard check`` asks it: what the code returns is looked at before any clause.

Where that first look finds something wrong, it is the answer, for the clauses would only say it again in other words.
The gate of a run is the plain suite: its records are kept, and must not go stale because a message became clearer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from harness.catalogue.cell import NOT_APPLICABLE
from harness.conformance import Check, CheckOutcome, run_checks
from harness.conformance.first_look import look_at_neuron
from harness.conformance.first_look_methods import look_at_method
from harness.conformance.methods import MethodSubject
from harness.conformance.neurons import NeuronSubject
from harness.suites import conformance
from harness.suites.common.base import Answer, Measurement
from harness.workload import Workload
from reference_impls.structures import STRUCTURES

__all__ = ["FIRST_LOOK", "ExplainedConformance"]

FIRST_LOOK = "first look"
PROMISE = "What the code takes and returns is what the contract says."


class ExplainedConformance(conformance.ConformanceSuite):
    """Run the clauses of a contract, and answer with what the first look found where there is such a thing."""

    def run(self, workload: Workload) -> Answer:
        """Look, then judge."""
        cell = workload.cell
        if cell.method != NOT_APPLICABLE:
            return _of_method(workload) or super().run(workload)
        return (_of_neuron(workload) if cell.backend == "eager" else None) or super().run(workload)


def _of_neuron(workload: Workload) -> Answer | None:
    row = workload.registry.neurons.get(workload.cell.neuron)
    if row is None:
        return None
    return _answer(run_checks([Check(FIRST_LOOK, PROMISE, look_at_neuron)], NeuronSubject(row)))


def _of_method(workload: Workload) -> Answer | None:
    cell, registry = workload.cell, workload.registry
    row = registry.methods[cell.method]
    # Once for a file: on the network that stands for the first structure that it trains.
    if (
        "classes" not in row.capabilities.targets
        or cell.topology != STRUCTURES[row.capabilities.structures[0]].topology
    ):
        return None
    subject = MethodSubject(row, cell.neuron, cell.topology, registry)
    return _answer(run_checks([Check(FIRST_LOOK, PROMISE, look_at_method)], subject))


def _answer(found: Sequence[CheckOutcome]) -> Answer | None:
    """Return what the first look has to say; None if nothing is wrong."""
    wrong = [outcome for outcome in found if not outcome.passed]
    if not wrong:
        return None
    figures = {"failed_checks": Measurement(1.0), "passed_checks": Measurement(0.0)}
    return Answer(figures, details={"checks": [asdict(outcome) for outcome in wrong], "golden_cases": 0})
