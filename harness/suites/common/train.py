"""The training loop that every suite shares: same data, order, budget and choice of epoch for every method.

The epoch is chosen on the validation split; the test split is looked at but never chooses. Must not know which method
it drives.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from harness.suites.common.base import Answer, DivergedError, Measurement
from harness.tasks.common.base import Samples
from harness.workload import Workload
from reference_impls.api import PretrainingReport, TrainingMethod, UpdateReport

__all__ = [
    "Epoch",
    "Evaluation",
    "Pretraining",
    "Stages",
    "TrainingRun",
    "batches",
    "evaluated",
    "to_target",
    "train",
]

EVALUATION_BATCH = 500
T = TypeVar("T")


class Timed(Protocol):
    """Does what it is given and returns what came of it; a clock may run meanwhile."""

    def __call__(self, work: Callable[[], T], /) -> T:
        """Do `work`."""
        ...


def untimed(work: Callable[[], T], /) -> T:
    """Do `work`; nobody asks how long it takes."""
    return work()


class Stages(NamedTuple):
    """What times the stages of a training; evaluation belongs to none."""

    pretraining: Timed = untimed
    updates: Timed = untimed
    """A call for each update, the encoding of its batch included."""


UNTIMED = Stages()


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch ended with."""

    train_loss: float
    validation_errors: int
    test_errors: int
    updates: int
    """Optimizer updates since the beginning, those of a pretraining included."""
    samples: int
    """Training samples seen since the beginning, those of a pretraining included."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a method says of every sample of a part, on the CPU."""

    labels: Tensor
    """``[N]``"""
    classes: Tensor
    """Predicted classes ``[N]``."""
    margins: Tensor
    """Logit of the true class minus the largest of the others, ``[N]``."""

    @property
    def errors(self) -> int:
        """Return how many samples were missed."""
        return int((self.classes != self.labels).sum())


@dataclass(frozen=True, slots=True)
class Pretraining:
    """What a method took of the budget before its first update, and what that alone gave."""

    report: PretrainingReport
    test_errors: int
    """On the test split, before the first update."""


@dataclass
class TrainingRun:
    """A finished training."""

    epochs: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0
    """Index of the epoch with the fewest validation errors (the first of several)."""
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    """What the method had learned by then."""
    best_test: Evaluation | None = None
    """What it said of the test split then; None before the first epoch."""
    updates: int = 0
    """Those of `pretraining` not included."""
    pretraining: Pretraining | None = None
    """None for a method that has no such stage."""
    validation_size: int = 0
    test_size: int = 0

    @property
    def pretraining_epochs(self) -> int:
        """Return the epochs of the budget that are not in `epochs`."""
        return self.pretraining.report.epochs if self.pretraining else 0

    def reached(self, target: float) -> Epoch | None:
        """Return the first epoch whose validation error is at most `target`, a fraction; None if there is none yet."""
        allowed = target * self.validation_size
        return next((epoch for epoch in self.epochs if allowed >= epoch.validation_errors), None)

    def add(self, epoch: Epoch, method: TrainingMethod, test: Evaluation) -> None:
        """Append an epoch; keep its weights and what it said of the test split if it is the best so far."""
        self.epochs.append(epoch)
        if len(self.epochs) == 1 or epoch.validation_errors < self.epochs[self.best_epoch].validation_errors:
            self.best_epoch, self.best_test = len(self.epochs) - 1, test
            self.best_weights = {key: value.detach().clone() for key, value in method.state_dict().items()}


def batches(
    samples: Samples, size: int, workload: Workload, shuffle: torch.Generator | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (sequence ``[T, B, ...]``, classes ``[B]``) on the workload's device; the last batch may be smaller."""
    count = len(samples)
    order = torch.arange(count) if shuffle is None else torch.randperm(count, generator=shuffle)
    for chosen in order.split(size):
        inputs = samples.inputs[chosen].to(workload.device, workload.dtype)
        yield workload.task.encode(inputs), samples.labels[chosen].to(workload.device)


def limited(samples: Samples, limit: int | None) -> Samples:
    """Return the first `limit` samples (None: all)."""
    return samples if limit is None else Samples(samples.inputs[:limit], samples.labels[:limit])


def evaluated(method: TrainingMethod, samples: Samples, workload: Workload) -> Evaluation:
    """Return what `method` reads out for every sample, in evaluation mode."""
    classes, margins = [], []
    method.network.eval()
    try:
        for x, labels in batches(samples, EVALUATION_BATCH, workload, None):
            logits = method.predict(x).detach()
            true = labels[:, None]
            others = logits.scatter(1, true, -math.inf).amax(1)
            classes.append(logits.argmax(1).cpu())
            margins.append((logits.gather(1, true)[:, 0] - others).cpu())
    finally:
        method.network.train()
    return Evaluation(samples.labels, torch.cat(classes), torch.cat(margins))


def train(
    workload: Workload, stages: Stages = UNTIMED, until: float | None = None
) -> tuple[TrainingMethod, TrainingRun]:
    """Train the cell's network with its method for the budget's epochs.

    Parameters
    ----------
    stages : what times the training.
    until : stop after the first epoch whose validation error is at most this fraction; None: use the whole budget.

    Returns
    -------
    The method with the weights of the best validation epoch, and what happened.

    Raises
    ------
    DivergedError
        If a loss or a parameter stops being finite; how far it had come is in the error's answer.
    """
    budget, split = workload.budget, workload.split
    method = workload.method()
    method.prepare(workload.network(), workload.optimizer)
    training = limited(split.train, budget.train_limit)
    validation, test = (limited(part, budget.test_limit) for part in (split.validation, split.test))
    run = TrainingRun(validation_size=len(validation), test_size=len(test))
    order = torch.Generator().manual_seed(workload.cell.seed)
    run.pretraining = _pretrain(method, training, test, workload, order, stages.pretraining)
    before = run.pretraining.report.updates if run.pretraining else 0
    for index in range(run.pretraining_epochs, budget.epochs):
        loss, data = 0.0, _told(batches(training, budget.batch_size, workload, order), len(training), index, workload)
        for _ in range(0, len(training), budget.batch_size):
            report, size = stages.updates(functools.partial(_update, method, data))
            if not math.isfinite(report.loss):
                raise DivergedError(f"the loss became {report.loss} in epoch {index + 1}", _so_far(run))
            loss += report.loss * size
            run.updates += report.updates
        _check_parameters(method, index, run)
        on_validation, on_test = (evaluated(method, part, workload) for part in (validation, test))
        seen = (before + run.updates, (index + 1) * len(training))
        run.add(Epoch(loss / len(training), on_validation.errors, on_test.errors, *seen), method, on_test)
        workload.progress((index + 1) / budget.epochs, f"epoch {index + 1}/{budget.epochs}")
        if until is not None and run.reached(until):
            break
    method.load_state_dict(run.best_weights)
    return method, run


def to_target(run: TrainingRun, target: float) -> dict[str, Measurement]:
    """Return what it took until the validation error was `target`; nothing if it never was."""
    epoch = run.reached(target)
    if epoch is None:
        return {}
    return {
        "updates_to_target": Measurement(float(epoch.updates)),
        "samples_to_target": Measurement(float(epoch.samples)),
    }


def _update(method: TrainingMethod, data: Iterator[tuple[Tensor, Tensor]]) -> tuple[UpdateReport, int]:
    """Encode the next batch and learn from it; return what the method says and the size of the batch."""
    x, target = next(data)
    return method.update(x, target), len(target)


def _told(
    data: Iterator[tuple[Tensor, Tensor]], samples: int, epoch: int, workload: Workload
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches of an epoch, telling the optimizers with each how much of the budget came before it."""
    seen = epoch * samples
    for x, target in data:
        workload.course.fraction = seen / (samples * workload.budget.epochs)
        yield x, target
        seen += len(target)


def _pretrain(
    method: TrainingMethod, training: Samples, test: Samples, workload: Workload, order: torch.Generator, timed: Timed
) -> Pretraining | None:
    """Let the method take its share of the budget first; it encodes what it learns from, like any epoch."""
    epochs = workload.budget.epochs
    begun = itertools.count(1)

    def epoch() -> Iterator[tuple[Tensor, Tensor]]:
        done = next(begun)
        workload.progress((done - 1) / epochs, f"pretraining, epoch {done}/{epochs}")
        return _told(batches(training, workload.budget.batch_size, workload, order), len(training), done - 1, workload)

    report = timed(lambda: method.pretrain(epoch, epochs))
    if report is None:
        return None
    bad = next((index for index, loss in enumerate(report.losses, start=1) if not math.isfinite(loss)), None)
    if bad is not None:
        raise DivergedError(f"the loss became {report.losses[bad - 1]} in epoch {bad}, pretraining")
    if report.epochs:
        _check_parameters(method, report.epochs - 1, TrainingRun())
    return Pretraining(report, evaluated(method, test, workload).errors)


def _check_parameters(method: TrainingMethod, index: int, run: TrainingRun) -> None:
    """Raise DivergedError if a parameter is not finite: a spike hides a nan, the loss may never show it."""
    for name, parameter in method.network.named_parameters():
        if not torch.isfinite(parameter).all():
            raise DivergedError(f"{name} stopped being finite in epoch {index + 1}", _so_far(run))


def _so_far(run: TrainingRun) -> Answer:
    details: dict[str, Any] = {"epochs_before": len(run.epochs), "updates_before": run.updates}
    return Answer({}, details=details)
