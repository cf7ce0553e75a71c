"""conformance: does the row keep its contract? The gate before any figure of speed is ranked."""

from __future__ import annotations

from dataclasses import asdict

from harness.cell import NOT_APPLICABLE
from harness.conformance import Outcome, run_checks
from harness.conformance.methods import METHOD_CHECKS, MethodSubject
from harness.conformance.neurons import NEURON_CHECKS, NeuronSubject
from harness.conformance.peers import PEER_CHECKS, PeerSubject
from harness.conformance.signals import SIGNAL_CHECKS, SignalSubject
from harness.suites._base import Answer, Figure, Suite
from harness.workload import Workload
from reference_impls.api import build_peer

CARD = {
    "name": "conformance",
    "kind": "suite",
    "version": 1,
    "title": "Conformance",
    "summary": (
        "Runs the contract of a neuron, a training method or a peer clause by clause: shapes, finite, deterministic, "
        "isolated state, batch-invariant, causal, gradients checked, equal to the authors' vectors, backends equal to "
        "eager, libraries equal to their own convention."
    ),
    "exclusive": False,
    "timeout_seconds": 600.0,
    "typical_seconds": 2.0,
    "metrics": {
        "failed_checks": {"title": "failed checks", "unit": "checks", "direction": "lower", "exact": True},
        "passed_checks": {"title": "passed checks", "unit": "checks", "direction": "higher", "exact": True},
    },
}


class Conformance(Suite):
    """Run the clauses of a contract."""

    def run(self, workload: Workload) -> Answer:
        """Check the neuron of the cell (ours or a peer), or its training method if it has one."""
        outcomes = _neuron(workload) if workload.cell.method == NOT_APPLICABLE else _method(workload)
        passed = sum(outcome.passed for outcome in outcomes)
        figures = {
            "failed_checks": Figure(float(len(outcomes) - passed)),
            "passed_checks": Figure(float(passed)),
        }
        return Answer(figures, details={"checks": [asdict(outcome) for outcome in outcomes]})


def _neuron(workload: Workload) -> list[Outcome]:
    peer = workload.rows.peers.get(workload.cell.neuron)
    if peer is not None:
        build_peer(peer.name)  # a missing library is said once, and not by every check
        return run_checks(PEER_CHECKS, PeerSubject(peer))
    row = workload.rows.neurons[workload.cell.neuron]
    return run_checks(NEURON_CHECKS, NeuronSubject(row, workload.cell.backend))


def _method(workload: Workload) -> list[Outcome]:
    cell, rows = workload.cell, workload.rows
    if "classes" not in rows.methods[cell.method].capabilities.targets:
        return run_checks(SIGNAL_CHECKS, SignalSubject(rows.methods[cell.method], cell.neuron, cell.topology))
    return run_checks(METHOD_CHECKS, MethodSubject(rows.methods[cell.method], cell.neuron, cell.topology, rows))
