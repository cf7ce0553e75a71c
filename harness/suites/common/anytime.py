"""One trained network read after 1, 2, 4, ..., 256 steps: errors, spikes and operations, its ANN beside it.

A network that was converted from an ANN, or trained to be right early, is one network for every number of steps; one
error at one T hides what it trades. Must not know which method it asks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.measure.activity import Activity, count_activity
from harness.results.record import Series
from harness.suites.common.base import Measurement, share_missed
from harness.suites.common.train import batches, limited
from harness.tasks.common.base import Samples
from harness.tasks.common.encoding import stretched
from harness.workload import Workload
from reference_impls.anytime import gap_thresholds, stop_early
from reference_impls.api import TrainingMethod

__all__ = ["STEPS", "Anytime", "anytime"]

STEPS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
NAMED = (8, 64)
"""Steps whose error is a figure of its own; the others stand in the series."""
BATCH = 100
COUNTED, COUNTED_BATCH = 100, 50
"""Test samples on which spikes and operations are counted, nine times over."""
POINT = 0.01
"""What a conversion may lose before it has to be explained."""


@dataclass(frozen=True)
class Anytime:
    """What a record holds of it."""

    figures: Mapping[str, Measurement]
    series: Mapping[str, Series]
    details: Mapping[str, Any]


@dataclass(frozen=True)
class _Said:
    """Read-outs of a split: at every number of steps ``[K, N, C]``, and the ANN's classes ``[N]``, on the CPU."""

    read_outs: Tensor
    labels: Tensor
    ann: Tensor | None

    @property
    def errors(self) -> list[int]:
        """Return how many samples are missed after each number of steps."""
        return [int(missed) for missed in (self.read_outs.argmax(-1) != self.labels).sum(1)]

    @property
    def ann_errors(self) -> int | None:
        """Return how many the ANN misses; None if there is none."""
        return None if self.ann is None else int((self.ann != self.labels).sum())


def anytime(method: TrainingMethod, workload: Workload) -> Anytime:
    """Read the trained `method` after every number of `STEPS`; a task's samples are repeated or cut to so many."""
    converts: bool = workload.registry.methods[workload.cell.method].capabilities.converts
    limit = workload.budget.test_limit
    validation, test = (limited(part, limit) for part in (workload.split.validation, workload.split.test))
    method.network.eval()
    try:
        told, said = (_asked(method, part, workload, converts) for part in (validation, test))
        counts = [_counted(method, limited(test, COUNTED), workload, steps) for steps in STEPS]
        residuals = _residuals(method, test, workload) if converts else {}
    finally:
        method.network.train()
    size, errors = len(test), said.errors
    figures = {f"error_t{T}_fraction": share_missed(errors[STEPS.index(T)], size) for T in NAMED}
    figures |= _early(told, said) | _beside_ann(said, counts)
    details = {
        "anytime_samples_counted": counts[0].samples,
        **_explained(said, residuals),
    }
    return Anytime(figures, _series(said, counts), details)


def _asked(method: TrainingMethod, samples: Samples, workload: Workload, converts: bool) -> _Said:
    read_outs, ann = [], []
    for x, _ in batches(samples, BATCH, workload, None):
        read_outs.append(method.read_outs(stretched(x, STEPS[-1]), STEPS).cpu())
        if converts:
            ann.append(method.predict_ann(x).argmax(1).cpu())
    return _Said(torch.cat(read_outs, dim=1), samples.labels, torch.cat(ann) if ann else None)


def _counted(method: TrainingMethod, samples: Samples, workload: Workload, steps: int) -> Activity:
    return count_activity(
        method.network,
        (stretched(x, steps) for x, _ in batches(samples, COUNTED_BATCH, workload, None)),
        method.predict,
        method.synapses(),
        workload.task_card.input_kind,
    )


def _residuals(method: TrainingMethod, test: Samples, workload: Workload) -> Mapping[str, Sequence[float]]:
    x, _ = next(batches(limited(test, BATCH), BATCH, workload, None))
    found = method.conversion_residuals(stretched(x, NAMED[-1]))
    return {name: [float(value) for value in values] for name, values in found.items()}


def _early(told: _Said, said: _Said) -> dict[str, Measurement]:
    """Stop each test sample where its two best classes are so far apart that enough validation samples stayed right.

    Enough: those that stop are wrong no more often than all of them at the last step.
    """
    accepted = told.errors[-1] / len(told.labels)
    stopped = stop_early(said.read_outs, gap_thresholds(told.read_outs, told.labels, accepted))
    errors = int((stopped.logits.argmax(1) != said.labels).sum())
    steps = torch.tensor(STEPS)[stopped.steps - 1].double()
    return {
        "early_error_fraction": share_missed(errors, len(said.labels)),
        "early_steps": Measurement(float(steps.mean()), n=len(said.labels)),
    }


def _beside_ann(said: _Said, counts: Sequence[Activity]) -> dict[str, Measurement]:
    """Return the ANN's error and work, and the first number of steps from which on the network is as good."""
    if said.ann_errors is None:
        return {}
    size = len(said.labels)
    allowed = said.ann_errors + POINT * size
    figures = {
        "ann_error_fraction": share_missed(said.ann_errors, size),
        "ann_operations_per_sample": Measurement(float(_dense(counts[0])), n=counts[0].samples),
    }
    late = [index for index, errors in enumerate(said.errors) if errors > allowed]
    if not late or late[-1] + 1 < len(STEPS):
        figures["steps_within_a_point"] = Measurement(float(STEPS[late[-1] + 1 if late else 0]), n=size)
    return figures


def _dense(activity: Activity) -> int:
    """Return the multiply-accumulates of one dense pass over one sample."""
    return sum(synapse.connections for synapse in activity.synapses)


def _operations(activity: Activity) -> float:
    work = activity.operations()
    return (work.accumulates + work.multiply_accumulates) / activity.samples


def _series(said: _Said, counts: Sequence[Activity]) -> dict[str, Series]:
    size = len(said.labels)
    errors = [missed / size for missed in said.errors]
    operations = [_operations(activity) for activity in counts]
    spikes = [activity.spikes_per_neuron for activity in counts]
    found = {
        "error_over_steps": _over_steps("error_fraction", "fraction", errors),
        "spikes_over_steps": _over_steps("spikes_per_neuron", "spikes", spikes),
        "operations_over_steps": _over_steps("operations_per_sample", "operations", operations),
        "error_over_operations": _over_operations("error_fraction", zip(operations, errors, strict=True)),
    }
    if said.ann_errors is not None:
        ann = said.ann_errors / size
        found["ann_error_over_steps"] = _over_steps("ann_error_fraction", "fraction", [ann] * len(STEPS))
        found["ann_error_over_operations"] = _over_operations("ann_error_fraction", [(_dense(counts[0]), ann)])
    return {name: series for name, series in found.items() if all(math.isfinite(y) for _, y in series.points)}


def _over_steps(y: str, unit: str, values: Sequence[float]) -> Series:
    points = tuple(zip(map(float, STEPS), values, strict=True))
    return Series(x="T", x_unit="time steps", y=y, y_unit=unit, points=points)


def _over_operations(y: str, pairs: Any) -> Series:
    points = tuple((float(x), float(error)) for x, error in pairs)
    return Series(x="operations", x_unit="operations", y=y, y_unit="fraction", points=points)


def _explained(said: _Said, residuals: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Say what conversion lost at `NAMED` steps, and why where that is more than a point."""
    if said.ann_errors is None:
        return {}
    size = len(said.labels)
    lost = {T: (said.errors[STEPS.index(T)] - said.ann_errors) / size for T in NAMED}
    details: dict[str, Any] = {
        "conversion_loss_fraction": {str(T): value for T, value in lost.items()},
        "conversion_residuals": dict(residuals),
    }
    if max(lost.values()) > POINT:
        parts = [f"{100 * value:.1f} points at T = {T}" for T, value in lost.items() if value > POINT]
        seen = [
            f"{name.replace('_', ' ')} {', '.join(f'{value:.1%}' for value in values)}"
            for name, values in residuals.items()
        ]
        why = f"; layer by layer at T = {NAMED[-1]}, {'; '.join(seen)}" if seen else ""
        details["conversion_loss"] = f"The network errs more than its ANN by {' and '.join(parts)}{why}."
    return details
