"""frontier: which accuracy a trained network keeps as its neurons fire less, and what it costs at matched accuracy.

The currents of all neurons are scaled by one factor, the drive, which is the same as scaling every threshold the other
way round; the weights take it in, so it costs nothing. One curve a row instead of one point: rows are compared where
they make the same error, not where their defaults happen to put them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.measure.activity import Activity, count_activity
from harness.measure.energy import estimate_energy
from harness.measure.neuron_work import NeuronWork
from harness.results.record import Series
from harness.suites.common.base import Answer, Measurement, Suite
from harness.suites.common.train import EVALUATION_BATCH, batches, limited
from harness.suites.common.weights import trained_method
from harness.suites.spikes import fed, neuron_works
from harness.tasks.common.base import Samples
from harness.workload import Workload
from reference_impls.api import Network, State, TrainingMethod, UnsupportedError

CARD = {
    "name": "frontier",
    "kind": "suite",
    "version": 1,
    "title": "Energy at matched accuracy",
    "summary": (
        "Scales the currents of the trained network's neurons by eleven factors from 0.4 to 2 (a threshold would do "
        "the same the other way round) and counts errors and energy on the validation part. The cheapest factor whose "
        "validation error is at most the task's target is counted again on the test part; no figure if none is."
    ),
    "exclusive": False,
    "timeout_seconds": 7200.0,
    "typical_seconds": 6.0,
    "metrics": {
        "joules_to_target": {
            "short": "energy at target",
            "title": "arithmetic energy of an inference at the task's target error",
            "unit": "joules",
            "direction": "lower",
        },
        "spikes_to_target": {
            "short": "spikes at target",
            "title": "spikes per neuron and sample at the task's target error",
            "unit": "spikes",
            "direction": "lower",
        },
        "error_fraction": {
            "title": "test error there",
            "unit": "fraction",
            "direction": "lower",
            "judged": False,
        },
        "drive": {
            "title": "factor on the neurons' currents there",
            "unit": "ratio",
            "direction": "none",
        },
    },
}

DRIVES = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.35, 1.6, 2.0)


@dataclass(frozen=True, slots=True)
class Operating:
    """What a network does under one drive, on one part of the data."""

    drive: float
    errors: int
    samples: int
    joules: float
    activity: Activity

    @property
    def error_fraction(self) -> float:
        """Return the share of samples that it misses."""
        return self.errors / self.samples


class Frontier(Suite):
    """Turn the drive down, and up."""

    def run(self, workload: Workload) -> Answer:
        """Count at every drive on the validation part, at the chosen one on the test part."""
        method, target = trained_method(workload), workload.budget.target_error
        assert target is not None, "the registry gives every budget a target"
        works = neuron_works(method, workload.task_card.T)
        validation, test = (
            limited(part, workload.budget.test_limit) for part in (workload.split.validation, workload.split.test)
        )
        points = [operating(workload, method, works, validation, drive) for drive in DRIVES]
        if len({point.activity.events for point in points}) == 1 and points[0].activity.events:
            raise UnsupportedError(
                f"{workload.cell.method} reads its network out past the neurons' run(): their currents cannot be scaled"
            )
        good = [point for point in points if point.error_fraction <= target]
        details: dict[str, Any] = {
            "target_error_fraction": target,
            "validation": [
                {"drive": p.drive, "error_fraction": p.error_fraction, "energy_joules": p.joules} for p in points
            ],
        }
        series = {
            "validation_error_fraction": Series(
                x="energy_joules",
                x_unit="joules",
                y="validation_error_fraction",
                y_unit="fraction",
                points=tuple(sorted((point.joules, point.error_fraction) for point in points)),
            )
        }
        if not good:
            return Answer({}, series, details)
        cheapest = min(good, key=lambda point: point.joules)
        return Answer(_figures(operating(workload, method, works, test, cheapest.drive)), series, details)


def _figures(found: Operating) -> dict[str, Measurement]:
    figures = {
        "joules_to_target": Measurement(found.joules),
        "error_fraction": Measurement(found.error_fraction, n=found.samples),
        "drive": Measurement(found.drive),
    }
    if not any(layer.graded_entries for layer in found.activity.layers):
        figures["spikes_to_target"] = Measurement(found.activity.spikes_per_neuron)
    return figures


def operating(
    workload: Workload, method: TrainingMethod, works: list[NeuronWork], samples: Samples, drive: float
) -> Operating:
    """Return errors and energy on `samples` with every neuron's current times `drive`."""
    errors: list[Tensor] = []
    labels = iter(samples.labels.split(EVALUATION_BATCH))

    def predicted(x: Tensor) -> None:
        # Draws of stochastic neurons are the same at every drive, so that the curve is the drive's.
        torch.manual_seed(workload.cell.seed)
        errors.append((method.predict(x).argmax(1).cpu() != next(labels)).sum())

    with driven(method.network, drive):
        activity = count_activity(
            method.network,
            (x for x, _ in batches(samples, EVALUATION_BATCH, workload, None)),
            predicted,
            fed(workload, method),
            workload.task_card.input_kind,
        )
    joules = estimate_energy(activity, works).total_joules()
    return Operating(drive, int(sum(errors)), len(samples), joules, activity)


@contextmanager
def driven(network: Network, drive: float) -> Iterator[None]:
    """Multiply the current of every neuron by `drive` inside the block, in sequences and in single steps."""
    for neuron in network.neurons():
        _scale_currents(neuron, drive)
    try:
        yield
    finally:
        for neuron in network.neurons():
            for name in ("run", "advance"):
                vars(neuron).pop(name, None)


def _scale_currents(neuron: Any, drive: float) -> None:
    """Put versions of `run` and `advance` that scale on the instance, in front of the class's."""
    run, advance = neuron.run, getattr(neuron, "advance", None)

    def scaled_run(x: Tensor, state: State | None = None) -> Any:
        return run(drive * x, state)

    neuron.run = scaled_run
    if advance is not None:

        def scaled_advance(x: Tensor, state: State) -> Any:
            return advance(drive * x, state)

        neuron.advance = scaled_advance
