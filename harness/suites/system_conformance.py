"""system_conformance: the contract of a whole system, clause by clause; boards mark a row that has passed it.

A suite of its own beside `conformance`, whose records are of neurons, methods and peers.
"""

from __future__ import annotations

from dataclasses import asdict

from harness.conformance.systems import judged
from harness.suites.common.base import Answer, Measurement, Suite
from harness.workload import Workload

CARD = {
    "name": "system_conformance",
    "kind": "suite",
    "version": 1,
    "title": "Contract of systems",
    "summary": (
        "Runs the contract of a whole system clause by clause: finite, the same again, independent of its batch, "
        "learning or not as its card says, operations counted."
    ),
    "exclusive": False,
    "timeout_seconds": 600.0,
    "typical_seconds": 3.0,
    "targets": ["links", "control", "frames", "flow", "boxes"],
    "metrics": {
        "failed_checks": {"title": "failed checks", "unit": "checks", "direction": "lower", "exact": True},
        "passed_checks": {"title": "passed checks", "unit": "checks", "direction": "higher", "exact": True},
    },
}


class SystemConformance(Suite):
    """Run the clauses of a contract."""

    def run(self, workload: Workload) -> Answer:
        """Check the cell's system."""
        outcomes = judged(workload.registry.systems[workload.cell.neuron])
        passed = sum(outcome.passed for outcome in outcomes)
        figures = {
            "failed_checks": Measurement(float(len(outcomes) - passed)),
            "passed_checks": Measurement(float(passed)),
        }
        return Answer(figures, details={"checks": [asdict(outcome) for outcome in outcomes]})
