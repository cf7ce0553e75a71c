"""The contract of a training method: it owns time, gradient and optimizer steps of a whole batch.

The methods of the field agree on nothing finer: OTTT steps the optimizer while it simulates, SPIDE simulates again
after the loss, IDE calls a solver. So `update` takes a batch and does all of it. Must not know how anything is
measured; the counts in a report are the method's own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from reference_impls.network import Network, Synapse

__all__ = [
    "Epoch",
    "OptimizerFactory",
    "PretrainingReport",
    "SpikeCounts",
    "StageReport",
    "TrainingMethod",
    "UpdateReport",
]

OptimizerFactory = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
Epoch = Callable[[], Iterable[tuple[Tensor, Tensor]]]
"""Goes once through the training data: encoded batches ``x[T, B, ...]`` with targets, in a new order at each call."""


@dataclass(frozen=True, slots=True)
class StageReport:
    """One simulation inside an update: SPIDE has two, most methods one."""

    name: str
    steps: int
    spikes_per_layer: tuple[int, ...] | None = None
    """Events summed over batch and time (a -1 is one, a burst of n is n); None unless `count_spikes` is set."""
    neurons_per_layer: tuple[int, ...] | None = None
    """Neurons of one sample; None unless `count_spikes` is set."""
    ternary: bool = False


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """What one call of `TrainingMethod.update` did."""

    loss: float
    updates: int = 0
    stages: tuple[StageReport, ...] = ()
    counters: Mapping[str, float] = field(default_factory=dict)
    """The method's own figures: solver iterations, residual, saturated fraction, ..."""


@dataclass(frozen=True, slots=True)
class PretrainingReport:
    """What `TrainingMethod.pretrain` took of the budget."""

    epochs: int
    updates: int
    losses: tuple[float, ...] = ()
    """Mean loss of each epoch."""


class SpikeCounts:
    """Events and neurons of each layer, counted on the device while a simulation runs."""

    def __init__(self, layers: int) -> None:
        self._spikes: list[Tensor | float] = [0] * layers
        self._neurons = [0] * layers

    def add(self, layer: int, spikes: Tensor) -> None:
        """Count the events of ``spikes[T, B, ...]``: an entry of n spikes is n of them, part of one is one."""
        self._spikes[layer] = self._spikes[layer] + spikes.detach().abs().ceil().sum(dtype=torch.float64)
        self._neurons[layer] = spikes.shape[2:].numel()

    def report(self, name: str, steps: int, ternary: bool = False) -> StageReport:
        """Close the count as a stage."""
        return StageReport(name, steps, tuple(int(n) for n in self._spikes), tuple(self._neurons), ternary)


class TrainingMethod(ABC):
    """Owns the weight update of a whole batch.

    `prepare` is called once, `pretrain` once after it by whoever trains to the end; `update` makes zero, one or T
    optimizer steps; `gradients` does the same work without stepping. Inputs are encoded, ``x[T, B, ...]``;
    targets are class indices ``[B]``.
    """

    count_spikes: bool = False
    """Whether reports count spikes per layer (it costs a reduction per layer and step)."""

    bptt_loss: Mapping[str, Any] = MappingProxyType({"loss": "rate_ce"})
    """Keywords of ``bptt`` that give it this method's loss (or the nearest): what its gradients are compared with."""

    network: Network
    optimizer: torch.optim.Optimizer | None = None

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over `network`; `optimizer` builds the optimizer from its parameters (None: no updates).

        Raises
        ------
        ValueError
            If the method cannot train this network; the message says why.
        """
        self.network = network
        if optimizer is not None:
            self.optimizer = optimizer(network.parameters())

    def pretrain(self, epoch: Epoch, epochs: int) -> PretrainingReport | None:
        """Learn from training data before the first update: nothing here, None.

        A method that starts from something trained (an ANN that it converts) takes it from the same budget: of the
        `epochs` that there are it uses some, at least one fewer than all, and reports them; the rest is for `update`.
        What has not been pretrained can be updated all the same, so that a single step can be timed and weighed.

        Parameters
        ----------
        epoch : call it once for each epoch.
        epochs : of the whole budget.
        """
        return None

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that was learned: the network, and what else the method needs to go on (a teacher)."""
        return self.network.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` of the same method on a network of the same shape gave."""
        self.network.load_state_dict(state)

    @abstractmethod
    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Add this batch's gradient to the ``.grad`` of the parameters, without stepping; ``updates`` stays 0."""

    @abstractmethod
    def predict(self, x: Tensor) -> Tensor:
        """Return the method's own read-out of ``x[T, B, ...]``, logits ``[B, C]``, without gradients."""

    def read_outs(self, x: Tensor, steps: Sequence[int]) -> Tensor:
        """Return what `predict` would say after each number of `steps` of ``x[T, B, ...]``, ``[len(steps), B, C]``.

        `steps` grows, and its last is at most T. A method that can read one simulation several times writes this anew.
        """
        return torch.stack([self.predict(x[:count]) for count in steps])

    def predict_ann(self, x: Tensor) -> Tensor:
        """Return the logits ``[B, C]`` of the ANN that the network was made of, without gradients.

        Raises
        ------
        NotImplementedError
            If the method converts nothing (its card says so).
        """
        raise NotImplementedError(f"{type(self).__name__} has no ANN: nothing is converted")

    def conversion_residuals(self, x: Tensor) -> Mapping[str, Sequence[float]]:
        """Return what keeps the network from its ANN on ``x[T, B, ...]``: a share for each layer, by its name."""
        return {}

    def synapses(self) -> tuple[Synapse, ...]:
        """Return the network's linear maps with what they are fed with when this method predicts."""
        return self.network.synapses()

    def update(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Learn from one batch: here, one gradient and one optimizer step."""
        optimizer = self._require_optimizer()
        optimizer.zero_grad(set_to_none=True)
        report = self.accumulate(x, target)
        optimizer.step()
        return UpdateReport(report.loss, 1, report.stages, report.counters)

    def gradients(self, x: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the gradient that `update` would use, by parameter name, and leave the parameters alone."""
        self.network.zero_grad(set_to_none=True)
        self.accumulate(x, target)
        found = {
            name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.detach().clone()
            for name, parameter in self.network.named_parameters()
        }
        self.network.zero_grad(set_to_none=True)
        return found

    def _require_optimizer(self) -> torch.optim.Optimizer:
        if self.optimizer is None:
            raise RuntimeError(
                f"{type(self).__name__} has no optimizer: call prepare(network, optimizer=...) before update()"
            )
        return self.optimizer

    @contextmanager
    def _stage(self, name: str, steps: int) -> Iterator[list[StageReport]]:
        """Count the spikes that the network's neurons emit inside the block; the report is appended at its end."""
        reports: list[StageReport] = []
        if not self.count_spikes:
            yield reports
            reports.append(StageReport(name, steps))
            return
        counts = SpikeCounts(len(self.network.neurons()))
        with self.network.observed_by(counts.add):
            yield reports
        reports.append(counts.report(name, steps))
