"""anytime: what a trained network says after 1, 2, 4, ..., 256 steps, its ANN beside it where it was made of one.

A suite of its own, on the weights that the accuracy cell left: what counts spikes and operations here may change
without making test errors old.
"""

from __future__ import annotations

from harness.suites.common.anytime import anytime
from harness.suites.common.base import Answer, Suite
from harness.suites.common.weights import trained_method
from harness.workload import Workload

CARD = {
    "name": "anytime",
    "kind": "suite",
    "version": 1,
    "title": "Anytime",
    "summary": (
        "Reads the trained network after 1, 2, 4, ..., 256 steps of each test sample, repeated as need be: test error, "
        "spikes and operations, from one conversion where it was made of an ANN. Spikes and operations are counted on "
        "the first 100 samples, a constant input anew at every step."
    ),
    "exclusive": False,
    "timeout_seconds": 7200.0,
    "typical_seconds": 6.0,
    "asks": ["anytime"],
    "metrics": {
        "error_t8_fraction": {
            "short": "error, T = 8",
            "title": "test error after 8 steps",
            "unit": "fraction",
            "direction": "lower",
        },
        "error_t64_fraction": {
            "short": "error, T = 64",
            "title": "test error after 64 steps",
            "unit": "fraction",
            "direction": "lower",
        },
        "ann_error_fraction": {
            "short": "ANN's error",
            "title": "test error of the ANN that was converted",
            "unit": "fraction",
            "direction": "lower",
        },
        "ann_operations_per_sample": {
            "title": "multiply-accumulates of the ANN per sample",
            "unit": "operations",
            "direction": "lower",
            "judged": False,
        },
        "steps_within_a_point": {
            "short": "steps to its ANN",
            "title": "steps from which on the error is within a point of the ANN's",
            "unit": "time steps",
            "direction": "lower",
        },
        "early_error_fraction": {
            "short": "error, cutoff",
            "title": "test error where each sample stops when its classes are far enough apart",
            "unit": "fraction",
            "direction": "lower",
        },
        "early_steps": {
            "short": "steps, cutoff",
            "title": "mean steps until a sample stops",
            "unit": "time steps",
            "direction": "lower",
        },
    },
}


class AnytimeSuite(Suite):
    """Read one network at every number of steps."""

    def run(self, workload: Workload) -> Answer:
        """Read the cell's trained network."""
        read = anytime(trained_method(workload), workload)
        return Answer(read.figures, read.series, read.details)
