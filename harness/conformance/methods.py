"""The contract of a training method that learns classes, clause by clause, on a small network that it trains.

Must not know any method by name: what a method promises stands in the capabilities of its card.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from harness.catalogue.cards import Registry, Row
from harness.conformance import Check, CheckFailedError, require
from harness.conformance.vectors import cases_about, check_cases
from harness.golden import VECTORS, Case
from harness.measure.memory import saved_bytes, slope_over_steps
from reference_impls.api import Network, TrainingMethod, build_method, build_network, build_neuron
from reference_impls.card import Card
from reference_impls.neuron import plain_attributes
from reference_impls.structures import STRUCTURES, StructureName

__all__ = ["METHOD_CHECKS", "MethodSubject"]

STEPS, BATCH, FEATURES, CLASSES = 6, 8, 12, 3
IMAGE = (1, 3, 4)
"""The same features as an image, for topologies that take nothing else."""
WIDTH_OF = {"hidden": 16, "channels": 8}
"""Units of a layer, by the keyword with which a topology takes its layers."""
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
    registry: Registry
    vectors: Path = VECTORS
    """Folder of golden vectors."""

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample at one step, as the topology wants it."""
        return (FEATURES,) if 1 in self.registry.topologies[self.topology].capabilities.sample_dims else IMAGE

    def batch(self, T: int = STEPS) -> tuple[Tensor, Tensor]:
        """Return a constant sequence ``[T, B, ...]`` of separable classes, and the classes."""
        generator = torch.Generator().manual_seed(SEED)
        target = torch.arange(BATCH) % CLASSES
        centres = 2 * torch.rand(CLASSES, FEATURES, generator=generator)
        x = centres[target] + 0.1 * torch.randn(BATCH, FEATURES, generator=generator)
        x = x.view(BATCH, *self.sample_shape)
        return x.unsqueeze(0).expand(T, *x.shape), target

    def network(self, T: int = STEPS, layers: int | None = None) -> Network:
        """Build the network, seeded, with so many layers or stages (None: as few as show every connection)."""
        torch.manual_seed(SEED)
        neuron_row = self.registry.neurons[self.neuron]
        assert isinstance(self.row.card, Card)
        params = dict(self.row.card.recipe.get("neuron", {}))
        if neuron_row.capabilities.needs_T:
            params["T"] = T
        make = functools.partial(build_neuron, self.neuron, **params)
        keyword = "hidden" if self.sample_shape == (FEATURES,) else "channels"
        structure: StructureName = self.registry.topologies[self.topology].capabilities.structure
        size = {keyword: [WIDTH_OF[keyword]] * (layers or STRUCTURES[structure].least_layers)}
        return build_network(self.topology, self.sample_shape, CLASSES, make, **size)

    def method(self, network: Network, learning_rate: float | None = None) -> TrainingMethod:
        """Build the method and let it prepare `network`."""
        method = build_method(self.row.name)
        optimizer = None if learning_rate is None else functools.partial(torch.optim.Adam, lr=learning_rate)
        method.prepare(network, optimizer)
        return method

    def golden_cases(self) -> list[Case]:
        """Return the vectors that this row's file and the topology's answer for (variants leave them to it)."""
        topology = self.registry.topologies[self.topology].card
        assert isinstance(topology, Card)
        if self.row.name != self.row.card.name:
            return []
        own = cases_about("training", self.row.card.name, self.vectors)
        return own + cases_about("topology", topology.name, self.vectors)


def check_gradients(subject: MethodSubject) -> None:
    network = subject.network()
    method, (x, target) = subject.method(network), subject.batch()
    before = {name: parameter.clone() for name, parameter in network.named_parameters()}
    gradients = method.gradients(x, target)
    require(set(gradients) == set(before), "gradients() does not name every parameter")
    for name, gradient in gradients.items():
        require(torch.isfinite(gradient).all(), f"gradient of {name} is not finite")
        require(torch.equal(before[name], dict(network.named_parameters())[name]), f"gradients() changed {name}")
    require(any(gradient.any() for gradient in gradients.values()), "every gradient is zero")


def check_deterministic(subject: MethodSubject) -> None:
    x, target = subject.batch()
    runs = []
    for _ in range(2):
        method = subject.method(subject.network())
        torch.manual_seed(SEED)
        runs.append(method.gradients(x, target))
    same = all(torch.equal(first, second) for first, second in zip(runs[0].values(), runs[1].values(), strict=True))
    require(same, "the same network, batch and seed give other gradients")


def check_update(subject: MethodSubject) -> None:
    network = subject.network()
    method, (x, target) = subject.method(network, 0.01), subject.batch()
    before = {name: parameter.clone() for name, parameter in network.named_parameters()}
    report = method.update(x, target)
    require(report.updates >= 1, "update() made no optimizer step")
    require(torch.isfinite(torch.tensor(report.loss)), f"loss is {report.loss}")
    moved = [name for name, parameter in network.named_parameters() if not torch.equal(before[name], parameter)]
    require(moved, "update() moved no parameter")


def check_prediction(subject: MethodSubject) -> None:
    method, (x, _) = subject.method(subject.network()), subject.batch()
    logits = method.predict(x)
    require(logits.shape == (BATCH, CLASSES), f"predict() gave {tuple(logits.shape)}, not {(BATCH, CLASSES)}")
    require(not logits.requires_grad, "predict() keeps a graph")


def check_learns(subject: MethodSubject) -> None:
    network = subject.network()
    method, (x, target) = subject.method(network, 0.02), subject.batch()
    first = method.update(x, target).loss
    for _ in range(LEARNING_UPDATES):
        last = method.update(x, target).loss
    correct = float((method.predict(x).argmax(1) == target).double().mean())
    require(
        last < first, f"the loss of one batch did not fall in {LEARNING_UPDATES} updates: {first:.3f} to {last:.3f}"
    )
    require(correct == 1.0, f"one small batch of separable classes is not learned: {correct:.0%} right")


def check_state(subject: MethodSubject) -> None:
    method, (x, target) = subject.method(subject.network(), 0.02), subject.batch()
    method.pretrain(lambda: [(x, target)], 4)
    method.update(x, target)
    fresh = subject.method(subject.network())
    fresh.load_state_dict({name: value.clone() for name, value in method.state_dict().items()})
    for each in (method, fresh):
        each.network.eval()  # as whoever asks for a prediction does: dropout would draw
    require(torch.equal(fresh.predict(x), method.predict(x)), "a state dict does not carry all that predict() needs")
    for each in (method, fresh):
        each.network.train()
    losses = []
    for each in (method, fresh):
        torch.manual_seed(SEED)
        losses.append(each.accumulate(x, target).loss)
    require(losses[0] == losses[1], "a state dict does not carry all that the loss needs")


def check_pretraining(subject: MethodSubject) -> None:
    method, (x, target), epochs = subject.method(subject.network(), 0.02), subject.batch(), 40
    calls: list[int] = []

    def epoch() -> list[tuple[Tensor, Tensor]]:
        calls.append(len(calls))
        return [(x, target)] * 3

    report = method.pretrain(epoch, epochs)
    if report is None:
        raise CheckFailedError("declared to pretrain, but pretrain() does nothing")
    require(0 < report.epochs < epochs, f"takes {report.epochs} of {epochs} epochs: some, but not all, are its own")
    require(len(calls) == report.epochs, f"reports {report.epochs} epochs and went {len(calls)} times through the data")
    require(report.updates >= 1, "reports no update")
    require(report.losses[-1] < report.losses[0], f"the loss did not fall: {report.losses[0]} to {report.losses[-1]}")
    require(torch.isfinite(method.predict(x)).all(), "predict() is not finite afterwards")
    require(method.pretrain(epoch, 1) is not None, "does not report a budget of one epoch")


def check_counts(subject: MethodSubject) -> None:
    method, (x, target) = subject.method(subject.network()), subject.batch()
    method.count_spikes = True
    stages = method.accumulate(x, target).stages
    if subject.row.capabilities.converts and not stages:
        return  # its updates are an ANN's
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
        method, (x, target) = subject.method(subject.network(T)), subject.batch(T)
        kept.append(saved_bytes(functools.partial(method.gradients, x, target)).peak_bytes)
    growth = slope_over_steps(FLAT_STEPS, kept).per_step / max(kept[0], 1)
    seen = ", ".join(f"{count} at T = {T}" for T, count in zip(FLAT_STEPS, kept, strict=True))
    require(growth < FLAT, f"declared O(1) in T, but the bytes kept grow by {growth:.1%} a step: {seen}")


def check_keeps_neuron(subject: MethodSubject) -> None:
    network = subject.network()
    method, (x, target) = subject.method(network, learning_rate=0.05), subject.batch()
    before = [plain_attributes(neuron) for neuron in network.neurons()]
    for _ in range(3):
        method.update(x, target)
    after = [plain_attributes(neuron) for neuron in network.neurons()]
    require(before == after, "an update changed a plain attribute of a neuron; declare keeps_neuron false")


def check_anytime(subject: MethodSubject) -> None:
    """One run read several times says what each of the shorter runs does."""
    method, (x, target) = subject.method(subject.network(), 0.02), subject.batch()
    for _ in range(3):
        method.update(x, target)
    steps = (1, 2, STEPS)
    several = method.read_outs(x, steps)
    require(several.shape == (len(steps), BATCH, CLASSES), f"read_outs() gave {tuple(several.shape)}")
    require(not several.requires_grad, "read_outs() keeps a graph")
    for count, found in zip(steps, several, strict=True):
        alone = method.predict(x[:count])
        require(torch.allclose(found, alone, rtol=1e-5, atol=1e-5), f"read_outs() at step {count} is not predict()")


def check_ann(subject: MethodSubject) -> None:
    method, (x, target) = subject.method(subject.network(), 0.02), subject.batch()
    method.pretrain(lambda: [(x, target)] * 15, 8)
    logits = method.predict_ann(x)
    require(logits.shape == (BATCH, CLASSES), f"predict_ann() gave {tuple(logits.shape)}, not {(BATCH, CLASSES)}")
    require(not logits.requires_grad, "predict_ann() keeps a graph")
    correct = float((logits.argmax(1) == target).double().mean())
    require(correct == 1.0, f"the ANN does not learn one small batch of separable classes: {correct:.0%} right")


def check_golden(subject: MethodSubject) -> None:
    check_cases(subject.golden_cases())


METHOD_CHECKS: tuple[Check[MethodSubject], ...] = (
    Check("gradients", "gradients() is finite, names every parameter and changes none.", check_gradients),
    Check("deterministic", "The same network, batch and seed give the same gradients.", check_deterministic),
    Check("update", "update() steps the optimizer and moves parameters.", check_update),
    Check("prediction", "predict() gives logits [B, C] without a graph.", check_prediction),
    Check("learns", "A small batch of separable classes is learned.", check_learns),
    Check("state", "A state dict carries all that prediction and loss need.", check_state),
    Check(
        "pretraining",
        "Pretraining learns, reports what it took of the budget and leaves some of it.",
        check_pretraining,
        lambda subject: subject.row.capabilities.pretraining,
    ),
    Check(
        "anytime",
        "One run that is read at several steps says what shorter runs say.",
        check_anytime,
        lambda subject: subject.row.capabilities.anytime,
    ),
    Check(
        "ann",
        "The ANN that the network is made of learns in pretraining.",
        check_ann,
        lambda subject: subject.row.capabilities.converts,
    ),
    Check("counts", "Every stage counts its spikes, within what is possible.", check_counts),
    Check(
        "flat-memory",
        "Bytes saved for the backward pass do not grow with T.",
        check_flat_memory,
        lambda subject: subject.row.capabilities.memory_in_T == "O(1)",
    ),
    Check(
        "keeps-neuron",
        "Updates leave a neuron's plain attributes as they are.",
        check_keeps_neuron,
        lambda subject: subject.row.capabilities.keeps_neuron,
    ),
    Check(
        "golden",
        "Gradients, spikes and updates equal the authors' own code.",
        check_golden,
        lambda subject: bool(subject.golden_cases()),
    ),
)
