"""Whole training steps of one network in every library: forward, loss, backward, Adam.

The network is given by its weights: fully connected layers with a LIF layer between each two, and a read-out whose mean
over time is the logits. Every library runs it in its own layout, all steps of a layer before the next, with torch's own
linear map and Adam as torch has it; ours is the topology ``mlp`` under the training method ``bptt``. Must not know how
anything is timed or judged.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from reference_impls.api import LayerShape, Neuron, UnsupportedError
from reference_impls.events import event_driven
from reference_impls.peer import Layer, Peer, TorchPeer
from reference_impls.peers.spikeboard import SpikeboardLIF
from reference_impls.peers.spikeboard_events import SpikeboardEvents
from reference_impls.topologies.mlp import MLP
from reference_impls.training.bptt import BPTT

__all__ = ["Maps", "OwnStep", "StepRun", "StepTask", "Stepped", "prepare_step"]


class Maps(NamedTuple):
    """The linear maps of a network in order, the read-out last."""

    weights: tuple[Tensor, ...]
    """Each ``[out, in]``."""
    biases: tuple[Tensor, ...]
    """Each ``[out]``."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Return the widths of input, layers and read-out."""
        return (self.weights[0].shape[1], *(weight.shape[0] for weight in self.weights))

    def cloned(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """Return copies, weight and bias of every map."""
        return tuple((w.detach().clone(), b.detach().clone()) for w, b in zip(*self, strict=True))


@dataclass(frozen=True)
class StepTask:
    """What every library is given."""

    x: Tensor
    """``[T, B, N]``: spikes, counts or currents."""
    target: Tensor
    """Classes ``[B]``."""
    maps: Maps
    learning_rate: float = 0.0
    """0: everything is computed and nothing moves, so that a step that is timed a thousand times stays the same."""

    def to(self, dtype: torch.dtype) -> StepTask:
        """Return the same in another number format."""
        weights, biases = (tuple(one.to(dtype) for one in part) for part in self.maps)
        return replace(self, x=self.x.to(dtype), maps=Maps(weights, biases))


class Stepped(NamedTuple):
    """What a step finds before its optimizer acts."""

    loss: float
    """Cross-entropy of the logits' mean over time, mean over the batch."""
    gradients: tuple[Tensor, ...]
    """Of weight and bias of every map in order, ``[out, in]`` and ``[out]``."""


class StepRun(ABC):
    """A network of one library with one batch, in the library's own layout."""

    @abstractmethod
    def train(self) -> object:
        """Make one step; done when it returns (on a GPU: queued)."""

    @abstractmethod
    def answer(self) -> Stepped:
        """Return what a step computes, without making it."""


def prepare_step(peer: Peer, task: StepTask) -> StepRun:
    """Build the network of `task` out of the layers of `peer`.

    Raises
    ------
    UnsupportedError
        If it is not known how this library's network is trained; the message says which are.
    """
    if isinstance(peer, SpikeboardLIF | SpikeboardEvents):
        layer: Any = peer.layer(task.x)
        return OwnStep(layer, task, is_event_driven=isinstance(peer, SpikeboardEvents))
    if isinstance(peer, TorchPeer):
        return _TorchStep(peer, task)
    raise UnsupportedError(
        f"no training step of {type(peer).__name__} is written: it does not compute with torch, and a network in its "
        "own framework has to be; its layer alone is measured by the suite libraries"
    )


class OwnStep(StepRun):
    """Our network: ``mlp`` of one neuron without parameters, which serves every layer, under ``bptt``."""

    def __init__(self, neuron: Neuron, task: StepTask, *, is_event_driven: bool = False) -> None:
        def same(*, shape: LayerShape) -> Neuron:
            return neuron

        self.x, self.target = task.x, task.target
        inputs, *hidden, classes = task.maps.sizes
        self.network = MLP((inputs,), classes, same, hidden).to(task.x.device, task.x.dtype)
        self.maps = [module for module in self.network.modules() if isinstance(module, nn.Linear)]
        for module, (weight, bias) in zip(self.maps, task.maps.cloned(), strict=True):
            module.weight.data, module.bias.data = weight, bias
        if is_event_driven:
            event_driven(self.network)
        self.method = BPTT()
        fused = True if is_event_driven else None  # None: as torch chooses
        self.method.prepare(
            self.network, lambda parameters: torch.optim.Adam(parameters, lr=task.learning_rate, fused=fused)
        )

    def train(self) -> object:
        """Make one update of the training method."""
        return self.method.update(self.x, self.target)

    def answer(self) -> Stepped:
        """Return what an update starts from."""
        self.network.zero_grad(set_to_none=True)
        report = self.method.accumulate(self.x, self.target)
        gradients = _gradients(self.maps)
        self.network.zero_grad(set_to_none=True)
        return Stepped(report.loss, gradients)

    def learned(self) -> Maps:
        """Return the weights as they are now."""
        return Maps(
            tuple(one.weight.detach().clone() for one in self.maps),
            tuple(one.bias.detach().clone() for one in self.maps),
        )

    def rates(self) -> tuple[float, ...]:
        """Return the share of entries of every layer that are spikes, on this batch."""
        found: dict[int, float] = {}

        def note(layer: int, spikes: Tensor) -> None:
            found[layer] = float(spikes.mean())

        with self.network.observed_by(note):
            self.method.predict(self.x)
        return tuple(found[layer] for layer in sorted(found))


class _TorchStep(StepRun):
    """The network of a library that works on torch tensors."""

    def __init__(self, peer: TorchPeer, task: StepTask) -> None:
        self.time_axis, self.target = peer.time_axis, task.target
        self.x = task.x.transpose(0, peer.time_axis).contiguous()
        self.maps: list[nn.Linear] = []
        for (before, after), (weight, bias) in zip(pairwise(task.maps.sizes), task.maps.cloned(), strict=True):
            module = nn.Linear(before, after, device=task.x.device, dtype=task.x.dtype)
            module.weight.data, module.bias.data = weight, bias
            self.maps.append(module)
        self.layers: list[Layer] = [peer.layer(task.x) for _ in self.maps[1:]]
        parameters = [parameter for module in self.maps for parameter in module.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=task.learning_rate)

    def train(self) -> object:
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._loss()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def answer(self) -> Stepped:
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._loss()
        loss.backward()
        gradients = _gradients(self.maps)
        self.optimizer.zero_grad(set_to_none=True)
        return Stepped(loss.item(), gradients)

    def _loss(self) -> Tensor:
        signal = self.x
        for module, layer in zip(self.maps, self.layers, strict=False):
            # Not every library keeps float64: what it makes of its spikes is brought back.
            signal = layer(_over_time(module, signal)).to(self.x.dtype)
        return functional.cross_entropy(_over_time(self.maps[-1], signal).mean(self.time_axis), self.target)


def _over_time(module: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return module(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def _gradients(maps: Sequence[nn.Linear]) -> tuple[Tensor, ...]:
    found = []
    for parameter in (parameter for module in maps for parameter in (module.weight, module.bias)):
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        found.append(gradient.detach().clone())
    return tuple(found)
