"""video: how close to the true frames a network comes that sees events alone, after the task's training budget.

The workload is that of `harness.suites.common.dense`: whole networks, trained on a squared error by backpropagation
through all windows of a sequence. The first window is to settle in, and counts neither in training nor in testing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from harness.measure.images import squared_error, structural_similarity
from harness.results.record import Series
from harness.suites.common.base import Answer, DivergedError, Measurement, Suite
from harness.suites.common.dense import (
    MIDDLE_GREY,
    activity_figures,
    answered,
    capabilities_of,
    check_contract,
    summary_of,
    trained,
    windows,
)
from harness.suites.common.figures import mean_with_interval
from harness.suites.common.train import limited
from harness.workload import Workload
from reference_impls.dense_network import DenseAnswer, Windows, at_ends

CARD = {
    "name": "video",
    "kind": "suite",
    "version": 1,
    "title": "Video from events",
    "summary": (
        "Trains a network to give the intensity of every pixel at the end of each window of events, with a squared "
        "error, and holds what it says of the test part against the true frames. The first window is to settle in."
    ),
    "exclusive": False,
    "timeout_seconds": 14400.0,
    "typical_seconds": 60.0,
    "targets": ["frames"],
    "metrics": {
        "mean_squared_error": {
            "short": "MSE",
            "title": "mean squared error",
            "unit": "squared intensity",
            "direction": "lower",
            "bounds": [0.0, None],
        },
        "structural_similarity": {
            "short": "SSIM",
            "title": "structural similarity",
            "unit": "1",
            "direction": "higher",
            "bounds": [-1.0, 1.0],
        },
        "spikes_per_neuron": {
            "short": "spikes/neuron",
            "title": "spikes per neuron and sequence",
            "unit": "spikes",
            "direction": "lower",
        },
        "firing_rate": {
            "short": "rate",
            "title": "firing rate",
            "unit": "spikes per neuron and step",
            "direction": "lower",
        },
        "accumulates_per_sample": {
            "short": "AC",
            "title": "accumulates per sequence",
            "unit": "operations",
            "direction": "lower",
        },
        "multiply_accumulates_per_sample": {
            "short": "MAC",
            "title": "multiply-accumulates per sequence",
            "unit": "operations",
            "direction": "lower",
        },
        "synaptic_joules": {
            "short": "energy",
            "title": "energy of the synapses per sequence",
            "unit": "joules",
            "direction": "lower",
        },
        "parameters": {"title": "parameters", "unit": "parameters", "direction": "lower", "exact": True},
        "updates": {"title": "updates", "unit": "updates", "direction": "none"},
    },
}

SETTLING_WINDOWS = 1


class Video(Suite):
    """Train, then compare with the true frames."""

    def run(self, workload: Workload) -> Answer:
        """Hold the network against its contract, train it and report the errors of its frames."""
        network, run = trained(workload, _loss, _score)
        test = limited(workload.split.test, workload.budget.test_limit)
        check_contract(network, next(windows(limited(test, 3), 3, workload)), capabilities_of(workload).sees_truth)
        errors, likenesses, over_windows = [], [], []
        for said, batch in answered(network, test, workload):
            shown, truth = _shown(said), _shown(batch.target)
            per_window = squared_error(shown, truth)
            errors.append(per_window[SETTLING_WINDOWS:].mean(0))
            likenesses.append(structural_similarity(shown, truth)[SETTLING_WINDOWS:].mean(0))
            over_windows.append(per_window)
        error = torch.cat(errors).double()
        if not math.isfinite(float(error.mean())):
            raise DivergedError(f"the squared error is {float(error.mean())}")
        counts, activity = activity_figures(network, test, workload)
        figures = {
            "mean_squared_error": mean_with_interval(error.tolist(), "test samples"),
            "structural_similarity": mean_with_interval(torch.cat(likenesses).tolist(), "test samples"),
            "parameters": Measurement(float(sum(parameter.numel() for parameter in network.parameters()))),
            "updates": Measurement(float(run.updates)),
            **counts,
        }
        by_window = torch.cat(over_windows, dim=1).double().mean(1)
        points = tuple((float(index), float(value)) for index, value in enumerate(by_window, start=1))
        curve = Series(x="window", x_unit="windows", y="mean_squared_error", y_unit="squared intensity", points=points)
        return Answer(figures, {"mean_squared_error_over_windows": curve}, summary_of(workload, run, activity))


def _shown(image: Tensor) -> Tensor:
    """Return intensities, from black 0 to white 1."""
    return (image + MIDDLE_GREY).clamp(0.0, 1.0)


def _loss(answer: DenseAnswer, batch: Windows) -> Tensor:
    said = at_ends(answer.image, len(batch.target))
    return squared_error(said, batch.target)[SETTLING_WINDOWS:].mean()


def _score(said: Tensor, batch: Windows) -> Tensor:
    return squared_error(_shown(said), _shown(batch.target))[SETTLING_WINDOWS:].mean(0)
