"""The contract of a training method that learns signals, clause by clause, on a small pool.

Must not know any method by name: what a method promises stands in the capabilities of its card.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from harness.catalogue.cards import Row
from harness.conformance import Check, require
from harness.conformance.vectors import cases_about
from harness.golden import VECTORS, Case
from reference_impls.api import Network, TrainingMethod, build_method, build_network, build_neuron

__all__ = ["SIGNAL_CHECKS", "SignalSubject"]

STEPS, SIZE, TRIALS = 150, 30, 6
SEED = 11


@dataclass(frozen=True, slots=True)
class SignalSubject:
    """A training method row with the neuron and the topology it is judged on."""

    row: Row
    neuron: str
    topology: str
    vectors: Path = VECTORS
    """Folder of golden vectors."""

    def method(self, seed: int = SEED) -> TrainingMethod:
        """Build the method and let it prepare a pool; `seed` draws both."""
        torch.manual_seed(seed)
        method = build_method(self.row.name)
        method.prepare(self.network(), functools.partial(torch.optim.Adam, lr=0.01))
        return method

    def network(self) -> Network:
        """Build the pool."""
        make = functools.partial(build_neuron, self.neuron)
        return build_network(self.topology, (1,), 2, make, size=SIZE, input_gain=4.0)

    def golden_cases(self) -> list[Case]:
        """Return the vectors of the authors' code that this row's file answers for (variants leave them to it)."""
        if self.row.name != self.row.card.name:
            return []
        return cases_about("training", self.row.card.name, self.vectors)


def trial() -> tuple[Tensor, Tensor]:
    """Return a cue ``[T, 1, 1]`` and a signal of two components ``[T, 1, 2]``."""
    t = torch.arange(STEPS) / STEPS
    signal = torch.stack((torch.sin(2 * torch.pi * t), torch.cos(2 * torch.pi * t)), dim=-1)
    return (t < 0.1).to(signal.dtype).view(-1, 1, 1), signal.unsqueeze(1)


def trained(subject: SignalSubject, trials: int = TRIALS) -> tuple[TrainingMethod, list[float]]:
    """Return the method after some trials, and the loss of each."""
    method = subject.method()
    return method, [method.update(*trial()).loss for _ in range(trials)]


def check_deterministic(subject: SignalSubject) -> None:
    first, second = (trained(subject)[0].state_dict() for _ in range(2))
    same = all(torch.equal(first[name], second[name]) for name in first)
    require(same, "the same pool, trials and seed give other weights")


def check_update(subject: SignalSubject) -> None:
    method = subject.method()
    before = {name: parameter.clone() for name, parameter in method.network.named_parameters()}
    made = sum(method.update(*trial()).updates for _ in range(TRIALS))
    require(made >= 1, f"{TRIALS} trials make no update")
    now = dict(method.network.named_parameters())
    require(any(not torch.equal(before[name], now[name]) for name in before), "update() moved no parameter")
    require(all(torch.isfinite(value).all() for value in now.values()), "a parameter is not finite")


def check_prediction(subject: SignalSubject) -> None:
    method, (x, target) = trained(subject, 1)[0], trial()
    output = method.predict(x)
    require(output.shape == target.shape, f"predict() gave {tuple(output.shape)}, not {tuple(target.shape)}")
    require(not output.requires_grad, "predict() keeps a graph")
    require(torch.equal(output, method.predict(x)), "predict() changes what it starts from")


def check_learns(subject: SignalSubject) -> None:
    _, losses = trained(subject)
    require(losses[-1] < losses[0], f"the error did not fall in {TRIALS} trials: {losses[0]:.3f} to {losses[-1]:.3f}")
    require(losses[-1] < 1, f"after {TRIALS} trials the error of {losses[-1]:.3f} is above that of silence")


def check_state(subject: SignalSubject) -> None:
    method, (x, target) = trained(subject)[0], trial()
    fresh = subject.method(SEED + 1)
    fresh.load_state_dict({name: value.clone() for name, value in method.state_dict().items()})
    require(torch.equal(fresh.predict(x), method.predict(x)), "a state dict does not carry all that predict() needs")
    for each in (method, fresh):
        torch.manual_seed(SEED)
        each.update(x, target)
    require(torch.equal(fresh.predict(x), method.predict(x)), "a state dict does not carry all that update() needs")


def check_counts(subject: SignalSubject) -> None:
    method = subject.method()
    method.count_spikes = True
    stages = method.update(*trial()).stages
    require(stages, "no stage is reported")
    for stage in stages:
        counted = list(zip(stage.spikes_per_layer or (), stage.neurons_per_layer or (), strict=True))
        require(counted, f"stage {stage.name} does not count its spikes")
        require(all(0 < spikes <= neurons * stage.steps for spikes, neurons in counted), f"{stage.name}: {counted}")


def check_refuses_gradient(subject: SignalSubject) -> None:
    try:
        subject.method().gradients(*trial())
    except TypeError as error:
        require("gradient" in str(error), f"does not say why there is no gradient: {error}")
        return
    require(False, "declared without gradient, but gradients() gives some")


def check_flat_state(subject: SignalSubject) -> None:
    before = trained(subject, 1)[0].state_dict()
    after = trained(subject, TRIALS)[0].state_dict()
    sizes = [{name: value.numel() for name, value in state.items()} for state in (before, after)]
    require(sizes[0] == sizes[1], "what the method keeps grows with the trials")


def check_golden(subject: SignalSubject) -> None:
    differences = [difference for case in subject.golden_cases() for difference in case.differences()]
    require(not differences, "; ".join(map(str, differences[:3])))


SIGNAL_CHECKS: tuple[Check[SignalSubject], ...] = (
    Check("deterministic", "The same pool, trials and seed give the same weights.", check_deterministic),
    Check("update", "Trials move parameters, which stay finite.", check_update),
    Check("prediction", "predict() gives the signal's shape without a graph, twice the same.", check_prediction),
    Check("learns", "A short signal is followed better than by silence.", check_learns),
    Check("state", "A state dict carries all that prediction and learning need.", check_state),
    Check("counts", "Every stage counts its spikes, within what is possible.", check_counts),
    Check(
        "no-gradient",
        "A method without gradient says so when asked for one.",
        check_refuses_gradient,
        lambda subject: not subject.row.capabilities.gradient,
    ),
    Check(
        "flat-state",
        "What the method keeps does not grow with time.",
        check_flat_state,
        lambda subject: subject.row.capabilities.memory_in_T == "O(1)",
    ),
    Check(
        "golden",
        "Spikes, rates and weights equal the authors' own code.",
        check_golden,
        lambda subject: bool(subject.golden_cases()),
    ),
)
