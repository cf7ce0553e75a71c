"""tracking: how far a network's output is from a signal that it makes on its own, after the task's training budget."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from harness.results.record import Series
from harness.suites.common.base import Answer, DivergedError, Measurement, Suite
from harness.suites.common.train import limited
from harness.tasks.common.base import Samples
from harness.workload import Workload
from reference_impls.api import TrainingMethod

CARD = {
    "name": "tracking",
    "kind": "suite",
    "version": 1,
    "title": "Tracking a signal",
    "summary": (
        "Trains on the task's trials one after the other, then lets the network run through the test trials on its own "
        "and without a pause; the first is to settle in. The error is a share of the signal's power: 100 % is what "
        "silence gives."
    ),
    "exclusive": False,
    "timeout_seconds": 7200.0,
    "typical_seconds": 5.0,
    "targets": ["signal"],
    "metrics": {
        "normalised_error_fraction": {
            "short": "norm. error",
            "title": "normalised error on its own",
            "unit": "fraction",
            "direction": "lower",
            "bounds": [0.0, None],
        },
        "mean_squared_error": {
            "title": "mean squared error on its own",
            "unit": "squared signal units",
            "direction": "lower",
        },
        "training_error_fraction": {
            "short": "while learning",
            "title": "normalised error while learning, last trial",
            "unit": "fraction",
            "direction": "lower",
            "bounds": [0.0, None],
        },
        "firing_rate_hertz": {"short": "rate", "title": "firing rate", "unit": "hertz", "direction": "lower"},
        "updates": {"title": "updates", "unit": "updates", "direction": "none"},
        "learning_state_bytes": {
            "short": "learner",
            "title": "what the method keeps beside the network",
            "unit": "bytes",
            "direction": "lower",
            "exact": True,
        },
        "parameters": {"title": "parameters", "unit": "parameters", "direction": "lower", "exact": True},
    },
}

SETTLING_TRIALS = 1


class Tracking(Suite):
    """Train on a signal, then let the network make it."""

    def run(self, workload: Workload) -> Answer:
        """Train the cell's combination and report the error of what it makes on its own."""
        method = workload.method()
        method.prepare(workload.network(), workload.optimizer)
        training = limited(workload.split.train, workload.budget.train_limit)
        errors, updates = _train(workload, method, training)
        test = limited(workload.split.test, workload.budget.test_limit)
        output, target, rate = _on_its_own(workload, method, test)
        squared = (output - target).pow(2)
        error = float(squared.sum() / target.pow(2).sum())
        if not math.isfinite(error):
            raise DivergedError(f"the output is {error} on its own")
        kept = set(method.network.state_dict())
        own = [value for name, value in method.state_dict().items() if name not in kept]
        figures = {
            "normalised_error_fraction": Measurement(error),
            "mean_squared_error": Measurement(float(squared.mean())),
            "training_error_fraction": Measurement(errors[-1]),
            "firing_rate_hertz": Measurement(rate),
            "updates": Measurement(float(updates)),
            "learning_state_bytes": Measurement(float(sum(value.numel() * value.element_size() for value in own))),
            "parameters": Measurement(float(sum(parameter.numel() for parameter in method.network.parameters()))),
        }
        points = tuple((float(index), value) for index, value in enumerate(errors, start=1))
        curve = Series(x="trial", x_unit="trials", y="training_error_fraction", y_unit="fraction", points=points)
        details = {
            "split_digest": workload.split.digest,
            "training_trials": len(errors),
            "test_trials": len(test) - SETTLING_TRIALS,
            "trial_seconds": workload.task_card.T * _step_seconds(workload),
        }
        return Answer(figures, series={"training_error_fraction": curve}, details=details)


def _train(workload: Workload, method: TrainingMethod, training: Samples) -> tuple[list[float], int]:
    """Return the error of every trial and the number of updates."""
    errors: list[float] = []
    updates, count = 0, len(training) * workload.budget.epochs
    for _ in range(workload.budget.epochs):
        for x, target in _trials(workload, training):
            workload.course.fraction = len(errors) / count
            report = method.update(x, target)
            if not math.isfinite(report.loss):
                raise DivergedError(f"the loss became {report.loss} in trial {len(errors) + 1}")
            errors.append(report.loss)
            updates += report.updates
            workload.progress(len(errors) / count, f"trial {len(errors)}/{count}")
    return errors, updates


def _on_its_own(workload: Workload, method: TrainingMethod, test: Samples) -> tuple[Tensor, Tensor, float]:
    """Return output and target ``[T, 1, components]`` after the settling trials, and the firing rate in hertz."""
    x, target = (torch.cat(parts) for parts in zip(*_trials(workload, test), strict=True))
    spikes = neuron_steps = 0

    def count(_layer: int, emitted: Tensor) -> None:
        nonlocal spikes, neuron_steps
        spikes += int(emitted.count_nonzero())
        neuron_steps += emitted.numel()

    with method.network.observed_by(count):
        output = method.predict(x)
    settled = SETTLING_TRIALS * workload.task_card.T
    return output[settled:], target[settled:], spikes / neuron_steps / _step_seconds(workload)


def _trials(workload: Workload, samples: Samples) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (input ``[T, 1, inputs]``, target ``[T, 1, components]``) of one trial after the other."""
    for index in range(len(samples)):
        inputs, signal = samples.inputs[index, None], samples.labels[index, :, None]
        x = workload.task.encode(inputs.to(workload.device, workload.dtype))
        yield x, signal.to(workload.device, workload.dtype)


def _step_seconds(workload: Workload) -> float:
    seconds = workload.task_card.step_seconds
    assert seconds is not None, "a task with a signal says how long a step is"
    return seconds
