"""spike_times: what a network says whose neurons fire once, in continuous time, and how long it takes to say it.

A suite of its own, on the weights that the accuracy cell left. Must not know which code the times are in: a method
that passes times returns them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from harness.results.record import Series
from harness.suites.common.base import Answer, Measurement, Suite, share_missed
from harness.suites.common.train import EVALUATION_BATCH, batches, limited
from harness.suites.common.weights import trained_method
from harness.tasks.common.base import Samples
from harness.tasks.common.encoding import stretched
from harness.workload import Workload
from reference_impls.card import TrainingCapabilities

CARD = {
    "name": "spike_times",
    "kind": "suite",
    "version": 1,
    "title": "Spike times",
    "summary": (
        "Reads a network that passes spike times on the test split, in continuous time: error, spikes, logits beside "
        "its ANN's, and its latency, the windows of all layers one after the other. On a grid of 1 to 256 steps a "
        "window it says how many steps an answer takes."
    ),
    "exclusive": False,
    "timeout_seconds": 7200.0,
    "typical_seconds": 2.0,
    "asks": ["passes_times"],
    "metrics": {
        "error_fraction": {
            "short": "error",
            "title": "test error in continuous time",
            "unit": "fraction",
            "direction": "lower",
        },
        "ann_error_fraction": {
            "short": "ANN's error",
            "title": "test error of the ANN that was converted",
            "unit": "fraction",
            "direction": "lower",
        },
        "ann_difference": {
            "short": "off its ANN",
            "title": "largest difference of a logit from the ANN's, relative to the ANN's largest",
            "unit": "ratio",
            "direction": "lower",
        },
        "spikes_per_neuron": {
            "short": "spikes/neuron",
            "title": "spikes per neuron and sample, 1 at most",
            "unit": "spikes",
            "direction": "lower",
        },
        "input_spikes_per_entry": {
            "title": "input spikes per entry of a sample, 1 at most",
            "unit": "spikes",
            "direction": "lower",
        },
        "early_fraction": {
            "title": "neurons that would have fired before their window",
            "unit": "fraction",
            "direction": "lower",
        },
        "latency_windows": {
            "short": "latency",
            "title": "time to the answer, in windows of the input",
            "unit": "windows",
            "direction": "lower",
        },
        "latency_steps": {
            "short": "latency, within a point",
            "title": "time steps, over all windows, at which the error is within a point of the ANN's (or its own)",
            "unit": "time steps",
            "direction": "lower",
        },
    },
}

STEPS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Steps of one window."""
POINT = 0.01


class SpikeTimesSuite(Suite):
    """Read spike times."""

    def run(self, workload: Workload) -> Answer:
        """Read the cell's trained network."""
        method: Any = trained_method(workload)
        able = workload.registry.methods[workload.cell.method].capabilities
        test = limited(workload.split.test, workload.budget.test_limit)
        method.network.eval()
        try:
            read = _read(method, test, workload, able)
        finally:
            method.network.train()
        return Answer(read.figures(), read.series(), read.details())


@dataclass
class _Read:
    """Sums over the test split."""

    samples: int = 0
    latency: float = 0.0
    """Windows of the input until the answer, summed over samples."""
    errors: int = 0
    ann_errors: int | None = None
    difference: float = 0.0
    largest: float = 0.0
    fired: list[int] = field(default_factory=list)
    """Spikes of the input, and of every layer."""
    neurons: list[int] = field(default_factory=list)
    early: int = 0
    on_grid: list[int] = field(default_factory=list)
    """Errors by steps of a window; empty for a network that cannot be read so."""

    def add(self, times: Any, read_outs: Tensor | None, target: Tensor, ann: Tensor | None) -> None:
        """Add what a batch says."""
        self.samples += len(target)
        self.latency += float(times.latency.double().sum())
        self.errors += int((times.logits.argmax(1) != target).sum())
        if ann is not None:
            self.ann_errors = (self.ann_errors or 0) + int((ann.argmax(1) != target).sum())
            self.difference = max(self.difference, float((times.logits - ann).abs().max()))
            self.largest = max(self.largest, float(ann.abs().max()))
        fired = [int((share < 1).sum()) for share in times.shares]
        self.fired = [a + b for a, b in zip(self.fired or [0] * len(fired), fired, strict=True)]
        self.neurons = [share[0].numel() for share in times.shares]
        self.early += sum(int(part.sum()) for part in times.early)
        if read_outs is not None:
            missed = (read_outs.argmax(-1) != target).sum(1)
            self.on_grid = [a + int(b) for a, b in zip(self.on_grid or [0] * len(STEPS), missed, strict=True)]

    @property
    def latencies(self) -> Sequence[int]:
        """Return how many steps an answer takes, by the steps of one window."""
        return [len(self.fired) * steps for steps in STEPS]

    def figures(self) -> dict[str, Measurement]:
        """Return the figures of the whole split."""
        hidden = self.samples * sum(self.neurons[1:])
        reference = self.errors if self.ann_errors is None else self.ann_errors
        late = [i for i, errors in enumerate(self.on_grid) if errors > reference + POINT * self.samples]
        values = {
            "spikes_per_neuron": sum(self.fired[1:]) / hidden,
            "input_spikes_per_entry": self.fired[0] / (self.samples * self.neurons[0]),
            "early_fraction": self.early / hidden,
            "latency_windows": self.latency / self.samples,
        }
        if self.on_grid and (not late or late[-1] + 1 < len(STEPS)):
            values["latency_steps"] = float(self.latencies[late[-1] + 1 if late else 0])
        found = {name: Measurement(value, n=self.samples) for name, value in values.items()}
        found["error_fraction"] = share_missed(self.errors, self.samples)
        if self.ann_errors is not None:
            found["ann_error_fraction"] = share_missed(self.ann_errors, self.samples)
            found["ann_difference"] = Measurement(self.difference / max(self.largest, 1e-12), n=self.samples)
        return found

    def series(self) -> Mapping[str, Series]:
        """Return the error against the steps to the answer, where there is a grid."""
        if not self.on_grid:
            return {}
        errors = [missed / self.samples for missed in self.on_grid]
        points = tuple(zip(map(float, self.latencies), errors, strict=True))
        curve = Series(x="latency", x_unit="time steps", y="error_fraction", y_unit="fraction", points=points)
        return {"error_over_latency": curve}

    def details(self) -> Mapping[str, Any]:
        """Return spikes layer by layer, the input's first."""
        return {
            "spikes_per_neuron_by_layer": [
                fired / (self.samples * neurons) for fired, neurons in zip(self.fired, self.neurons, strict=True)
            ],
        }


@torch.no_grad()
def _read(method: Any, test: Samples, workload: Workload, able: TrainingCapabilities) -> _Read:
    found = _Read()
    for x, target in batches(test, EVALUATION_BATCH, workload, None):
        ann = method.predict_ann(x) if able.converts else None
        read_outs = method.read_outs(stretched(x, STEPS[-1]), STEPS) if able.anytime else None
        found.add(method.spike_times(x), read_outs, target, ann)
    return found
