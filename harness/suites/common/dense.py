"""The workload of suites with dense targets: a whole network, its training on windows, and its contract.

A `Workload` fills a topology with a cell's neuron and hands it to a training method that learns classes. Networks of
dense targets are systems: they bring their own neurons, answer with an image at every step and are trained here, so of
the workload only task, split, budget, device and optimizer are used. Must not know what is answered: a suite gives the
loss and the figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from harness.conformance import CheckFailedError
from harness.conformance.images import answers_in_shape, each_alone, goes_on, same_again, sees_no_truth
from harness.measure.activity import Activity, count_activity
from harness.measure.energy import FP32_45NM
from harness.optimizers import make_optimizer
from harness.suites.common.base import Answer, DivergedError, Measurement
from harness.suites.common.train import limited
from harness.tasks.common.base import Samples
from harness.workload import Workload
from reference_impls.card import SystemCapabilities
from reference_impls.dense_network import DenseAnswer, DenseBaseline, DenseNetwork, Windows, build_dense

__all__ = [
    "MIDDLE_GREY",
    "DenseRun",
    "activity_figures",
    "answered",
    "capabilities_of",
    "check_contract",
    "dense_network",
    "summary_of",
    "trained",
    "windows",
]

COUNTED = 8
"""Test samples on which spikes and operations are counted."""
EVALUATION_BATCH = 20
MIDDLE_GREY = 0.5
CLIP = 1.0
"""Largest norm of a gradient: through tens of steps of spikes a rare one is hundreds of times the usual."""

Loss = Callable[[DenseAnswer, Windows], Tensor]
Score = Callable[[Tensor, Windows], Tensor]
"""(what was answered at the end of each window, the batch) -> an error for each sample, lower is better, ``[B]``."""


@dataclass
class DenseRun:
    """A finished training."""

    losses: list[float] = field(default_factory=list)
    """Mean loss of each epoch."""
    validation: list[float] = field(default_factory=list)
    """Mean error of the validation part after each epoch."""
    best_epoch: int = 0
    """Index of the epoch with the least; the network has its weights."""
    updates: int = 0


def capabilities_of(workload: Workload) -> SystemCapabilities:
    """Return what the card of the cell's network says of it."""
    able = workload.registry.systems[workload.cell.neuron].capabilities
    assert isinstance(able, SystemCapabilities)
    return able


def dense_network(workload: Workload) -> DenseNetwork:
    """Build the cell's network with weights drawn from its seed, on its device."""
    torch.manual_seed(workload.cell.seed)
    row, card = workload.registry.systems[workload.cell.neuron], workload.task_card
    sizes = workload.registry.network(card.name, row.name) or {}
    network = build_dense(row.card.name, card.sample_shape, card.classes, **{**row.params, **sizes})
    return network.to(workload.device, workload.dtype)


def windows(
    samples: Samples, size: int, workload: Workload, shuffle: torch.Generator | None = None
) -> Iterator[Windows]:
    """Yield batches on the workload's device; the last may be smaller.

    Labels of frames begin with the one before the first window, and are told from the middle grey, so that a network
    which says nothing yet shows a grey picture and not a black one.
    """
    count = len(samples)
    order = torch.arange(count) if shuffle is None else torch.randperm(count, generator=shuffle)
    for chosen in order.split(size):
        x = workload.task.encode(samples.inputs[chosen].to(workload.device, workload.dtype))
        labels = samples.labels[chosen].to(workload.device, workload.dtype).transpose(0, 1).contiguous()
        if workload.task_card.target == "frames":
            labels = labels - MIDDLE_GREY
            yield Windows(x, labels[1:], labels[:-1])
        else:
            yield Windows(x, labels, None)


def trained(workload: Workload, loss: Loss, score: Score) -> tuple[DenseNetwork, DenseRun]:
    """Train (or fit) the cell's network for the budget's epochs.

    Returns
    -------
    The network with the weights of the best validation epoch, and what happened.

    Raises
    ------
    DivergedError
        If a loss or a parameter stops being finite; how far it had come is in the error's answer.
    """
    network, budget = dense_network(workload), workload.budget
    training = limited(workload.split.train, budget.train_limit)
    validation = limited(workload.split.validation, budget.test_limit)
    run = DenseRun()
    if isinstance(network, DenseBaseline):
        network.fit(windows(training, EVALUATION_BATCH, workload))
        run.validation.append(_mean_score(network, validation, workload, score))
        return network, run
    settings = replace(workload.optimizer_settings, schedule="cosine", clip_norm=CLIP)
    optimizer = make_optimizer(network.parameters(), settings, workload.course)
    order = torch.Generator().manual_seed(workload.cell.seed)
    best: dict[str, Tensor] = {}
    for epoch in range(budget.epochs):
        run.losses.append(_epoch(network, optimizer, training, workload, order, loss, run, epoch))
        run.validation.append(_mean_score(network, validation, workload, score))
        if not best or run.validation[-1] < run.validation[run.best_epoch]:
            run.best_epoch = epoch
            best = {name: value.detach().clone() for name, value in network.state_dict().items()}
        workload.progress((epoch + 1) / budget.epochs, f"epoch {epoch + 1}/{budget.epochs}")
    network.load_state_dict(best)
    return network, run


def _epoch(
    network: DenseNetwork,
    optimizer: torch.optim.Optimizer,
    training: Samples,
    workload: Workload,
    order: torch.Generator,
    loss: Loss,
    run: DenseRun,
    epoch: int,
) -> float:
    """Go once through the training part; return the mean loss."""
    network.train()
    budget, total, seen = workload.budget, 0.0, 0
    for batch in windows(training, budget.batch_size, workload, order):
        workload.course.fraction = (epoch + seen / len(training)) / budget.epochs
        optimizer.zero_grad(set_to_none=True)
        value = loss(network.answer(batch.x), batch)
        if not bool(torch.isfinite(value)):
            raise DivergedError(f"the loss became {float(value.detach())} in epoch {epoch + 1}", _so_far(run))
        value.backward()
        optimizer.step()
        size = batch.x.shape[1]
        total, seen = total + float(value.detach()) * size, seen + size
        run.updates += 1
    for name, parameter in network.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise DivergedError(f"{name} stopped being finite in epoch {epoch + 1}", _so_far(run))
    return total / seen


def _so_far(run: DenseRun) -> Answer:
    return Answer({}, details={"epochs_before": len(run.validation), "updates_before": run.updates})


def _mean_score(network: DenseNetwork, samples: Samples, workload: Workload, score: Score) -> float:
    values = torch.cat([score(said, batch) for said, batch in answered(network, samples, workload)])
    mean = float(values.nanmean())
    if not math.isfinite(mean):
        raise DivergedError(f"the error of the validation part is {mean}")
    return mean


def answered(network: DenseNetwork, samples: Samples, workload: Workload) -> Iterator[tuple[Tensor, Windows]]:
    """Yield what the network says at the end of every window, in evaluation mode, with the batch it says it of."""
    network.eval()
    for batch in windows(samples, EVALUATION_BATCH, workload):
        with torch.no_grad():
            said = network.at_windows(batch)
        yield said, batch


def check_contract(network: DenseNetwork, batch: Windows, sees_truth: bool = False) -> None:
    """Hold a trained network against its contract before anything is measured on it; the gate of suites of images.

    The clauses are those of `harness.conformance.images` that a whole system is judged by before it is trained.

    Raises
    ------
    DivergedError
        If one of these does not hold; the message says which.
    """
    network.eval()
    try:
        for clause in (answers_in_shape, same_again, each_alone, goes_on):
            clause(network, batch)
        if not sees_truth:
            sees_no_truth(network, batch)
    except CheckFailedError as broken:
        raise DivergedError(f"the network's contract is not kept: it {broken}") from broken


def activity_figures(
    network: DenseNetwork, test: Samples, workload: Workload
) -> tuple[dict[str, Measurement], Activity | None]:
    """Count spikes and operations of an answer to one sample, over all its steps; nothing of what has no synapses."""
    if not network.synapses():
        return {}, None
    some = limited(test, COUNTED)
    batches = (batch.x for batch in windows(some, COUNTED, workload))
    activity = count_activity(
        network, batches, input_kind="mixed" if workload.task_card.input_kind == "analog" else "events"
    )
    work, cost = activity.operations("recomputed"), FP32_45NM
    joules = work.accumulates * cost.accumulate_joules + work.multiply_accumulates * cost.multiply_accumulate_joules
    figures = {
        "accumulates_per_sample": Measurement(work.accumulates / activity.samples),
        "multiply_accumulates_per_sample": Measurement(work.multiply_accumulates / activity.samples),
        "synaptic_joules": Measurement(joules / activity.samples),
    }
    if capabilities_of(workload).spiking:
        figures["spikes_per_neuron"] = Measurement(activity.spikes_per_neuron)
        figures["firing_rate"] = Measurement(activity.firing_rate)
    return figures, activity


def summary_of(workload: Workload, run: DenseRun, activity: Activity | None) -> dict[str, Any]:
    """Return what else a record says: everything that training rests on, and what a reader of counts must know."""
    settings = workload.optimizer_settings
    return {
        "split_digest": workload.split.digest,
        "epochs": len(run.losses),
        "best_epoch": run.best_epoch + 1,
        "losses": run.losses,
        "validation": run.validation,
        "optimizer": f"{settings.name}, learning rate {settings.learning_rate:g} along a cosine, norm at most {CLIP}",
        "batch_size": workload.budget.batch_size,
        "counting": [*activity.problems()] if activity is not None and capabilities_of(workload).spiking else [],
    }
