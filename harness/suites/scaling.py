"""scaling: what a training step costs as the sequence grows."""

from __future__ import annotations

from dataclasses import replace

from harness.measure.clock import LEAST_SAMPLES, TimingProtocol, measure
from harness.measure.memory import slope_over_steps
from harness.results.record import Series
from harness.suites.common.base import Answer, Measurement, Suite
from harness.suites.common.steps import noise_in, protocol_for, ready, timing_figure
from harness.suites.memory import affordable
from harness.workload import Workload

CARD = {
    "name": "scaling",
    "kind": "suite",
    "version": 2,
    "title": "Scaling with T",
    "summary": (
        "Times a training step on the task's samples repeated or cut to T = 4, 16, 64 and 256 steps, all lengths in "
        "turns in one process, and fits a line. Lengths that keep more than 4 GiB for backward are left out."
    ),
    "exclusive": True,
    "timeout_seconds": 900.0,
    "typical_seconds": 2.5,
    "metrics": {
        "train_seconds_per_time_step": {
            "short": "train step/T",
            "title": "training step, growth with T",
            "unit": "seconds per time step",
            "direction": "lower",
        },
        "longest_train_step_seconds": {
            "title": "training step at T = 256",
            "unit": "seconds",
            "direction": "lower",
        },
        "longest_over_shortest_ratio": {
            "title": "training step, T = 256 over T = 4",
            "unit": "ratio",
            "direction": "lower",
            "judged": False,
        },
    },
}

STEPS = (4, 16, 64, 256)


class Scaling(Suite):
    """Time steps of growing sequences."""

    def run(self, workload: Workload) -> Answer:
        """Time the cell's combination at every length, in turns."""
        batch_size = workload.budget.batch_size
        lengths = affordable(workload, batch_size, STEPS)
        functions = {str(T): ready(workload, batch_size, T).train for T in lengths}
        protocol = _protocol(workload.cell.budget)
        timings = measure(functions, workload.device, protocol)
        medians = {T: timings[str(T)].median_seconds for T in lengths}
        line = slope_over_steps(lengths, list(medians.values()))
        figures = {"train_seconds_per_time_step": Measurement(line.per_step)}
        if lengths == STEPS:
            figures["longest_train_step_seconds"] = timing_figure(timings[str(STEPS[-1])])
            figures["longest_over_shortest_ratio"] = Measurement(medians[STEPS[-1]] / medians[STEPS[0]])
        points = tuple((float(T), seconds) for T, seconds in medians.items())
        series = {
            "train_step_seconds": Series(
                x="T", x_unit="time steps", y="train_step_seconds", y_unit="seconds", points=points
            )
        }
        details = {"batch_size": batch_size, "r_squared": line.r_squared}
        noise = noise_in({f"T = {T}": timings[str(T)].half_width for T in lengths}, protocol)
        return Answer(figures, series, details, noise=noise)


def _protocol(budget: str) -> TimingProtocol:
    """Return the protocol of a training budget, with the time that nine rounds of all lengths take.

    Six are enough where they agree; a method that walks through 256 steps needs half a second a round.
    """
    usual = protocol_for(budget)
    return replace(
        usual,
        warmup_calls=1,
        min_blocks=LEAST_SAMPLES,
        relative_half_width=0.05,
        budget_seconds=3 * usual.budget_seconds,
    )
