"""flow: how far from the true end points a network's optical flow lies, after the task's training budget.

The workload is that of `harness.suites.common.dense`: whole networks, trained on the true flow by backpropagation
through all steps of a window, at every scale they answer at. As papers do, what is judged are pixels with an event.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from harness.measure.images import end_point_error, outliers
from harness.suites.common.base import Answer, DivergedError, Measurement, Suite
from harness.suites.common.dense import (
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
    "name": "flow",
    "kind": "suite",
    "version": 1,
    "title": "Optical flow from events",
    "summary": (
        "Trains a network to give the way of every pixel from the beginning of a window of events to its end, with the "
        "mean end-point error at every scale as loss, and judges what it says of pixels that have an event."
    ),
    "exclusive": False,
    "timeout_seconds": 14400.0,
    "typical_seconds": 60.0,
    "targets": ["flow"],
    "metrics": {
        "end_point_error_pixels": {
            "short": "AEE",
            "title": "average end-point error where there are events",
            "unit": "pixels",
            "direction": "lower",
        },
        "everywhere_error_pixels": {
            "short": "AEE everywhere",
            "title": "average end-point error of all pixels",
            "unit": "pixels",
            "direction": "lower",
        },
        "outliers_1px_fraction": {
            "short": "> 1 px",
            "title": "pixels with events whose end point is off by more than 1 pixel",
            "unit": "fraction",
            "direction": "lower",
        },
        "outliers_3px_fraction": {
            "short": "> 3 px",
            "title": "pixels with events whose end point is off by more than 3 pixels",
            "unit": "fraction",
            "direction": "lower",
        },
        "spikes_per_neuron": {
            "short": "spikes/neuron",
            "title": "spikes per neuron and window",
            "unit": "spikes",
            "direction": "lower",
        },
        "firing_rate": {
            "short": "rate",
            "title": "firing rate",
            "unit": "spikes per neuron and step",
            "direction": "lower",
        },
        "deepest_firing_rate": {
            "short": "deepest rate",
            "title": "firing rate of the layer that fires least",
            "unit": "spikes per neuron and step",
            "direction": "none",
        },
        "accumulates_per_sample": {
            "short": "AC",
            "title": "accumulates per window",
            "unit": "operations",
            "direction": "lower",
        },
        "multiply_accumulates_per_sample": {
            "short": "MAC",
            "title": "multiply-accumulates per window",
            "unit": "operations",
            "direction": "lower",
        },
        "synaptic_joules": {
            "short": "energy",
            "title": "energy of the synapses per window",
            "unit": "joules",
            "direction": "lower",
        },
        "parameters": {"title": "parameters", "unit": "parameters", "direction": "lower", "exact": True},
        "updates": {"title": "updates", "unit": "updates", "direction": "none"},
    },
}


class Flow(Suite):
    """Train, then compare with the true flow."""

    def run(self, workload: Workload) -> Answer:
        """Hold the network against its contract, train it and report how far off its end points are."""
        network, run = trained(workload, _loss, _score)
        test = limited(workload.split.test, workload.budget.test_limit)
        check_contract(network, next(windows(limited(test, 3), 3, workload)), capabilities_of(workload).sees_truth)
        where_events, everywhere = [], []
        off: dict[float, list[Tensor]] = {1.0: [], 3.0: []}
        for said, batch in answered(network, test, workload):
            error, there = end_point_error(said, batch.target), _with_events(batch)
            where_events.append(_where(error, there))
            everywhere.append(error.mean((0, -1, -2)))
            for pixels, shares in off.items():
                shares.append(outliers(error, there, pixels).mean(0))
        errors = torch.cat(where_events).double()
        # A window without any event has nothing to be judged by.
        seen = torch.isfinite(errors)
        if not bool(seen.any()) or not math.isfinite(float(torch.cat(everywhere).mean())):
            raise DivergedError("the flow is not finite, or no test window has an event")
        counts, activity = activity_figures(network, test, workload)
        if activity is not None and "firing_rate" in counts:
            counts["deepest_firing_rate"] = Measurement(min(layer.rate for layer in activity.layers))
        figures = {
            "end_point_error_pixels": mean_with_interval(errors[seen].tolist(), "test samples"),
            "everywhere_error_pixels": mean_with_interval(torch.cat(everywhere).tolist(), "test samples"),
            **{
                f"outliers_{pixels:.0f}px_fraction": Measurement(float(torch.cat(shares)[seen].mean()))
                for pixels, shares in off.items()
            },
            "parameters": Measurement(float(sum(parameter.numel() for parameter in network.parameters()))),
            "updates": Measurement(float(run.updates)),
            **counts,
        }
        rates = {} if activity is None else {"layer_rates": [layer.rate for layer in activity.layers]}
        learned = {name: float(value.detach()) for name, value in network.named_parameters() if value.numel() == 1}
        details = summary_of(workload, run, activity) | rates | ({"learned_in_neurons": learned} if learned else {})
        return Answer(figures, details=details)


def _with_events(batch: Windows) -> Tensor:
    """Return which pixels have an event in each window, ``[W, B, H, W]``."""
    steps = batch.x.unflatten(0, (len(batch.target), -1))
    there: Tensor = (steps != 0).any(3).any(1)
    return there


def _where(error: Tensor, there: Tensor) -> Tensor:
    """Return the mean of ``error[W, B, H, W]`` over the pixels that are there, for each sample; nan where none is."""
    return ((error * there).sum((-1, -2)) / there.sum((-1, -2))).mean(0)


def _score(said: Tensor, batch: Windows) -> Tensor:
    return _where(end_point_error(said, batch.target), _with_events(batch))


def _loss(answer: DenseAnswer, batch: Windows) -> Tensor:
    """Return the mean end-point error of all pixels, averaged over the scales; a coarse flow is held against means."""
    windows_ = len(batch.target)
    total = _smooth(at_ends(answer.image, windows_), batch.target)
    for coarse in answer.coarse:
        target = functional.adaptive_avg_pool2d(batch.target.flatten(0, 1), (coarse.shape[-2], coarse.shape[-1]))
        total = total + _smooth(at_ends(coarse, windows_), target.unflatten(0, batch.target.shape[:2]))
    return total / (1 + len(answer.coarse))


def _smooth(flow: Tensor, truth: Tensor) -> Tensor:
    """Return the mean end-point error; its slope is finite where the flow is right."""
    return ((flow - truth).square().sum(-3) + 1e-6).sqrt().mean()
