"""conformance: does the row keep its contract? The gate before any figure of speed is ranked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from harness.catalogue.cell import NOT_APPLICABLE
from harness.conformance import CheckOutcome, run_checks
from harness.conformance.agreement import agreement
from harness.conformance.methods import METHOD_CHECKS, MethodSubject
from harness.conformance.neurons import NEURON_CHECKS, NeuronSubject
from harness.conformance.peers import PEER_CHECKS, PeerSubject
from harness.conformance.signals import SIGNAL_CHECKS, SignalSubject
from harness.conformance.vectors import SURROGATE_CHECKS, SurrogateSubject
from harness.golden import SURROGATES, VECTORS
from harness.suites.common.base import Answer, Measurement, Suite
from harness.workload import Workload
from reference_impls.libraries import build_peer

CARD = {
    "name": "conformance",
    "kind": "suite",
    "version": 1,
    "title": "ConformanceSuite",
    "summary": (
        "Runs the contract of a neuron, a training method or a peer clause by clause: shapes, finite, deterministic, "
        "isolated state, batch-invariant, causal, gradients checked, equal to the authors' vectors, backends equal to "
        "eager, libraries equal to their own convention."
    ),
    "exclusive": False,
    "baseline": {"method": "bptt"},
    "timeout_seconds": 600.0,
    "typical_seconds": 2.0,
    "metrics": {
        "failed_checks": {"title": "failed checks", "unit": "checks", "direction": "lower", "exact": True},
        "passed_checks": {"title": "passed checks", "unit": "checks", "direction": "higher", "exact": True},
    },
}


class ConformanceSuite(Suite):
    """Run the clauses of a contract."""

    def run(self, workload: Workload) -> Answer:
        """Check the neuron of the cell (ours or a peer), or its training method if it has one.

        The gradient of a method that keeps its contract is also set beside BPTT's: shown, not judged.
        """
        judged = _neuron(workload) if workload.cell.method == NOT_APPLICABLE else _method(workload)
        passed = sum(outcome.passed for outcome in judged.outcomes)
        figures = {
            "failed_checks": Measurement(float(len(judged.outcomes) - passed)),
            "passed_checks": Measurement(float(passed)),
        }
        details = {
            "checks": [asdict(outcome) for outcome in judged.outcomes],
            "golden_cases": judged.golden_cases,
            **judged.details,
        }
        return Answer(figures, details=details)


class _Judged(NamedTuple):
    outcomes: list[CheckOutcome]
    golden_cases: int
    """Cases of the authors' code that were compared."""
    details: Mapping[str, Any]


def _neuron(workload: Workload) -> _Judged:
    cell, vectors = workload.cell, workload.vectors or VECTORS
    if cell.neuron == SURROGATES:
        surrogates = SurrogateSubject(vectors)
        return _Judged(run_checks(SURROGATE_CHECKS, surrogates), len(surrogates.golden_cases()), {})
    peer = workload.registry.peers.get(cell.neuron)
    if peer is not None:
        build_peer(peer.name)  # a missing library is said once, and not by every check
        return _Judged(run_checks(PEER_CHECKS, PeerSubject(peer)), 0, {})
    subject = NeuronSubject(workload.registry.neurons[cell.neuron], cell.backend, vectors)
    compared = len(subject.golden_cases()) if cell.backend == "eager" else 0
    return _Judged(run_checks(NEURON_CHECKS, subject), compared, {})


def _method(workload: Workload) -> _Judged:
    cell, registry = workload.cell, workload.registry
    row, vectors = registry.methods[cell.method], workload.vectors or VECTORS
    if "classes" not in row.capabilities.targets:
        of_signals = SignalSubject(row, cell.neuron, cell.topology, vectors)
        return _Judged(run_checks(SIGNAL_CHECKS, of_signals), len(of_signals.golden_cases()), {})
    subject = MethodSubject(row, cell.neuron, cell.topology, registry, vectors)
    outcomes = run_checks(METHOD_CHECKS, subject)
    kept = all(outcome.passed for outcome in outcomes)
    beside_bptt = [asdict(layer) for layer in agreement(subject)] if kept else []
    return _Judged(outcomes, len(subject.golden_cases()), {"agreement": beside_bptt})
