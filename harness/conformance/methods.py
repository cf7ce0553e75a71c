"""The contract of a training method, clause by clause, on a small network of the topology that it trains.

Must not know any method by name: what a method promises stands in the capabilities of its card.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from harness.cards import Row, Rows
from harness.conformance import Check
from harness.conformance.neurons import require
from harness.conformance.vectors import cases_about, check_cases
from harness.golden import VECTORS, Case
from harness.measure.memory import saved_bytes, slope_over_steps
from reference_impls.api import Network, TrainingMethod, build_method, build_network, build_neuron
from reference_impls.card import Card

__all__ = ["METHOD_CHECKS", "MethodSubject"]

STEPS, BATCH, FEATURES, CLASSES, HIDDEN = 6, 8, 12, 3, [16]
SEED = 11
LEARNING_UPDATES = 60
FLAT = 0.01
"""Growth of the saved bytes per time step, relative to those at T = 2, that still counts as flat."""
FLAT_STEPS = (2, 16, 256)


@dataclass(frozen=True, slots=True)
class MethodSubject:
    """A training method row with the neuron and the topology it is judged on."""

    row: Row
    neuron: str
    topology: str
    rows: Rows
    vectors: Path = VECTORS
    """Folder of golden vectors."""

    def network(self, T: int = STEPS) -> Network:
        """Build the network, seeded."""
        torch.manual_seed(SEED)
        neuron_row = self.rows.neurons[self.neuron]
        assert isinstance(self.row.card, Card)
        params = dict(self.row.card.recipe.get("neuron", {}))
        if neuron_row.capabilities.needs_T:
            params["T"] = T
        make = functools.partial(build_neuron, self.neuron, **params)
        return build_network(self.topology, (FEATURES,), CLASSES, make, hidden=HIDDEN)

    def method(self, network: Network, learning_rate: float | None = None) -> TrainingMethod:
        """Build the method and let it prepare `network`."""
        method = build_method(self.row.name)
        optimizer = None if learning_rate is None else functools.partial(torch.optim.Adam, lr=learning_rate)
        method.prepare(network, optimizer)
        return method

    def golden_cases(self) -> list[Case]:
        """Return the vectors of the authors' code that this row's file answers for (variants leave them to it)."""
        if self.row.name != self.row.card.name:
            return []
        return cases_about("training", self.row.card.name, self.vectors)


def batch(T: int = STEPS) -> tuple[Tensor, Tensor]:
    """Return a constant sequence ``[T, B, F]`` of separable classes, and the classes."""
    generator = torch.Generator().manual_seed(SEED)
    target = torch.arange(BATCH) % CLASSES
    centres = 2 * torch.rand(CLASSES, FEATURES, generator=generator)
    x = centres[target] + 0.1 * torch.randn(BATCH, FEATURES, generator=generator)
    return x.unsqueeze(0).expand(T, *x.shape), target


def check_gradients(subject: MethodSubject) -> None:
    network = subject.network()
    method, (x, target) = subject.method(network), batch()
    before = {name: parameter.clone() for name, parameter in network.named_parameters()}
    gradients = method.gradients(x, target)
    require(set(gradients) == set(before), "gradients() does not name every parameter")
    for name, gradient in gradients.items():
        require(torch.isfinite(gradient).all(), f"gradient of {name} is not finite")
        require(torch.equal(before[name], dict(network.named_parameters())[name]), f"gradients() changed {name}")
    require(any(gradient.any() for gradient in gradients.values()), "every gradient is zero")


def check_deterministic(subject: MethodSubject) -> None:
    x, target = batch()
    runs = []
    for _ in range(2):
        method = subject.method(subject.network())
        torch.manual_seed(SEED)
        runs.append(method.gradients(x, target))
    same = all(torch.equal(first, second) for first, second in zip(runs[0].values(), runs[1].values(), strict=True))
    require(same, "the same network, batch and seed give other gradients")


def check_update(subject: MethodSubject) -> None:
    network = subject.network()
    method, (x, target) = subject.method(network, 0.01), batch()
    before = {name: parameter.clone() for name, parameter in network.named_parameters()}
    report = method.update(x, target)
    require(report.updates >= 1, "update() made no optimizer step")
    require(torch.isfinite(torch.tensor(report.loss)), f"loss is {report.loss}")
    moved = [name for name, parameter in network.named_parameters() if not torch.equal(before[name], parameter)]
    require(moved, "update() moved no parameter")


def check_prediction(subject: MethodSubject) -> None:
    method, (x, _) = subject.method(subject.network()), batch()
    logits = method.predict(x)
    require(logits.shape == (BATCH, CLASSES), f"predict() gave {tuple(logits.shape)}, not {(BATCH, CLASSES)}")
    require(not logits.requires_grad, "predict() keeps a graph")


def check_learns(subject: MethodSubject) -> None:
    network = subject.network()
    method, (x, target) = subject.method(network, 0.02), batch()
    first = method.update(x, target).loss
    for _ in range(LEARNING_UPDATES):
        last = method.update(x, target).loss
    correct = float((method.predict(x).argmax(1) == target).double().mean())
    require(
        last < first, f"the loss of one batch did not fall in {LEARNING_UPDATES} updates: {first:.3f} to {last:.3f}"
    )
    require(correct == 1.0, f"one small batch of separable classes is not learned: {correct:.0%} right")


def check_counts(subject: MethodSubject) -> None:
    method, (x, target) = subject.method(subject.network()), batch()
    method.count_spikes = True
    stages = method.accumulate(x, target).stages
    require(stages, "no stage is reported")
    for stage in stages:
        counted = list(zip(stage.spikes_per_layer or (), stage.neurons_per_layer or (), strict=True))
        require(counted, f"stage {stage.name} does not count its spikes")
        for spikes, neurons in counted:
            most = neurons * BATCH * stage.steps
            require(0 <= spikes <= most, f"stage {stage.name}: {spikes} spikes where {most} are possible")
    require(sum(sum(stage.spikes_per_layer or ()) for stage in stages) > 0, "no layer ever fires")


def check_flat_memory(subject: MethodSubject) -> None:
    """Bytes kept for the backward pass must not grow with T."""
    kept = []
    for T in FLAT_STEPS:
        method, (x, target) = subject.method(subject.network(T)), batch(T)
        kept.append(saved_bytes(functools.partial(method.gradients, x, target)).peak_bytes)
    growth = slope_over_steps(FLAT_STEPS, kept).per_step / max(kept[0], 1)
    seen = ", ".join(f"{count} at T = {T}" for T, count in zip(FLAT_STEPS, kept, strict=True))
    require(growth < FLAT, f"declared O(1) in T, but the bytes kept grow by {growth:.1%} a step: {seen}")


def check_golden(subject: MethodSubject) -> None:
    check_cases(subject.golden_cases())


METHOD_CHECKS: tuple[Check[MethodSubject], ...] = (
    Check("gradients", "gradients() is finite, names every parameter and changes none.", check_gradients),
    Check("deterministic", "The same network, batch and seed give the same gradients.", check_deterministic),
    Check("update", "update() steps the optimizer and moves parameters.", check_update),
    Check("prediction", "predict() gives logits [B, C] without a graph.", check_prediction),
    Check("learns", "A small batch of separable classes is learned.", check_learns),
    Check("counts", "Every stage counts its spikes, within what is possible.", check_counts),
    Check(
        "flat-memory",
        "Bytes saved for the backward pass do not grow with T.",
        check_flat_memory,
        lambda subject: subject.row.capabilities.memory_in_T == "O(1)",
    ),
    Check(
        "golden",
        "Gradients, spikes and updates equal the authors' own code.",
        check_golden,
        lambda subject: bool(subject.golden_cases()),
    ),
)
