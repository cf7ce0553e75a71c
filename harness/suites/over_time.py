"""over_time: how often a network would err if it were stopped after each step, from one run over each test sample.

A network whose read-out is averaged over the steps has an answer at every one of them; how early that is right tells
what it costs to wait for the end. Trains nothing: the weights are those that the cell's accuracy run left. (The suite
anytime asks methods that are made to answer early, and repeats samples for them.)
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.results.record import Series
from harness.suites.common.base import Answer, Measurement, Suite, share_missed
from harness.suites.common.train import EVALUATION_BATCH, batches, limited
from harness.suites.common.weights import trained_method
from harness.workload import Workload
from reference_impls.api import TrainingMethod, UnsupportedError

CARD = {
    "name": "over_time",
    "kind": "suite",
    "version": 1,
    "title": "Error over time",
    "summary": (
        "Reads out the trained network of the accuracy run after every step of each test sample: the read-outs up "
        "to there, averaged. One run a sample gives the error of every step."
    ),
    "exclusive": False,
    "timeout_seconds": 7200.0,
    "typical_seconds": 2.0,
    "metrics": {
        "error_fraction": {
            "short": "error, all steps",
            "title": "test error after the last step",
            "unit": "fraction",
            "direction": "lower",
            "judged": False,
        },
        "half_error_fraction": {
            "short": "error, half the steps",
            "title": "test error after half of the steps",
            "unit": "fraction",
            "direction": "lower",
        },
        "mean_error_fraction": {
            "short": "error, mean over steps",
            "title": "test error, mean over all steps at which one might stop",
            "unit": "fraction",
            "direction": "lower",
        },
        "steps_within_a_point": {
            "short": "settled",
            "title": "steps from which on the error is within a point of that of the last step",
            "unit": "time steps",
            "direction": "lower",
        },
    },
}

POINT = 0.01


class OverTime(Suite):
    """Read out at every step."""

    def validate(self, workload: Workload) -> None:
        """Refuse neurons that see later steps: theirs is no answer that could be given early.

        Raises
        ------
        UnsupportedError
            If the neuron is not causal.
        """
        row = workload.registry.neurons[workload.cell.neuron]
        if not row.capabilities.causal:
            raise UnsupportedError(f"over_time stops before the end; {row.name} reads later steps at earlier ones")

    def run(self, workload: Workload) -> Answer:
        """Count the errors of every step."""
        wrong = missed_over_time(trained_method(workload), workload)
        size, errors = wrong.shape[1], wrong.sum(1).tolist()
        T = len(errors)
        late = [step for step, missed in enumerate(errors) if missed > errors[-1] + POINT * size]
        figures = {
            "error_fraction": share_missed(errors[-1], size),
            "half_error_fraction": share_missed(errors[(T - 1) // 2], size),
            "mean_error_fraction": Measurement(sum(errors) / (T * size), n=size),
            "steps_within_a_point": Measurement(float(late[-1] + 2 if late else 1), n=size),
        }
        points = tuple((float(step), missed / size) for step, missed in enumerate(errors, start=1))
        series = Series(x="T", x_unit="time steps", y="error_fraction", y_unit="fraction", points=points)
        return Answer(figures, {"error_over_steps": series}, {"steps": T})


def missed_over_time(method: TrainingMethod, workload: Workload) -> Tensor:
    """Return which test samples are missed after each step, ``[T, N]``.

    Raises
    ------
    UnsupportedError
        If the method's own read-out is not the mean over the steps.
    """
    test = limited(workload.split.test, workload.budget.test_limit)
    wrong = []
    method.network.eval()
    try:
        with torch.no_grad():
            for x, labels in batches(test, EVALUATION_BATCH, workload, None):
                summed = method.network.run(x).logits.cumsum(0)
                if not _same_classes(method.predict(x), summed[-1]):
                    raise UnsupportedError(
                        f"over_time averages the read-outs of the steps, and {workload.cell.method} reads out otherwise"
                    )
                wrong.append((summed.argmax(2) != labels).cpu())
    finally:
        method.network.train()
    return torch.cat(wrong, dim=1)


def _same_classes(own: Tensor, summed: Tensor) -> bool:
    """Whether two read-outs choose the same classes, but for ties within rounding."""
    differ = own.argmax(1) != summed.argmax(1)
    return bool(differ.double().mean() <= 0.01)
