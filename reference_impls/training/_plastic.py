"""A layer that competes: thresholds that adapt, inhibition within a step, and weights of a fixed sum.

What STDP and its reward-modulated form share. The weights are those of a network with one hidden layer, whose read-out
only averages spikes by class. Must not know which rule changes the weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from reference_impls.api import Network, OptimizerFactory, SequentialNeuron, TrainingMethod, over_time
from reference_impls.training._traced_layer import linear_map

__all__ = ["CompetingLayer", "Moment", "clamped_trace", "summed_trace"]

EXTRA = "competition."
"""Begins the names of what a state dict holds beside the network."""


class Moment(NamedTuple):
    """One step of a batch."""

    seen: Tensor
    """What arrives, ``[B, I]``, as the rule sees it: the share of a spike, in [0, 1]."""
    spikes: Tensor
    """``[B, N]``."""


def clamped_trace(trace: Tensor, spikes: Tensor, decay: float) -> Tensor:
    """Let `trace` decay; a spike sets it to 1, part of one to at least that part."""
    return torch.maximum(decay * trace, spikes)


def summed_trace(trace: Tensor, spikes: Tensor, decay: float) -> Tensor:
    """Let `trace` decay and add the spikes."""
    return decay * trace + spikes


class CompetingLayer(TrainingMethod):
    """What a method has that changes one layer's weights by what its spikes do.

    Parameters
    ----------
    drive : mean input of a neuron whose inputs all have 1, in thresholds: the sum of its weights.
    inhibition : what one neuron's spike takes from all others within the step, in thresholds.
    threshold_step : what a spike adds to a neuron's threshold, in thresholds; 0: thresholds stay.

    In a neuron whose membrane is linear, a threshold raised by a factor acts as an input that is divided by it.
    The mean over the layer is multiplied back, so that thresholds only differ among neurons and nobody falls silent.
    """

    thresholds: Tensor
    """``[N]``: what spikes have added."""

    def __init__(self, drive: float, inhibition: float, threshold_step: float) -> None:
        for name, value in {"drive": drive, "inhibition": inhibition}.items():
            if not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")
        if threshold_step < 0:
            raise ValueError(f"threshold_step must be at least 0, got {threshold_step}")
        self.drive, self.inhibition, self.threshold_step = float(drive), float(inhibition), float(threshold_step)

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a network of one hidden layer; draw its weights anew, of one sign and with a fixed sum.

        Raises
        ------
        ValueError
            If the network is no chain with one hidden layer of sequential neurons, fully connected.
        """
        name = type(self).__name__
        if network.structure != "chain":
            raise ValueError(f"{name} trains a chain of one layer; this network's structure is {network.structure!r}")
        layers: Any = getattr(network, "layers", tuple)()
        if len(layers) != 1:
            raise ValueError(f"{name} trains one hidden layer; this network has {len(layers)}: give hidden=[N]")
        if not isinstance(linear_map(layers[0].synapse), torch.nn.Linear):
            raise ValueError(f"{name} trains fully connected layers; this one has convolutions")
        if not isinstance(layers[0].neuron, SequentialNeuron):
            raise ValueError(f"{name} goes step by step: the neuron must be sequential")
        super().prepare(network, None)
        del optimizer  # the rule is its own: no gradient, no optimizer
        with torch.no_grad():
            self.weight.copy_(torch.rand_like(self.weight) + 0.01)  # as released: (uniform + 0.01) times a constant
            self.keep_sum()
            for still in (self.map.bias, self.readout.weight, self.readout.bias):
                still.zero_()
        self.thresholds = torch.zeros_like(self.map.bias)

    @property
    def map(self) -> Any:
        """The hidden layer's linear map."""
        return linear_map(self.block.synapse)

    @property
    def weight(self) -> Tensor:
        """The hidden layer's weights ``[N, I]``."""
        weight: Tensor = self.map.weight
        return weight

    @property
    def block(self) -> Any:
        """The hidden layer."""
        network: Any = self.network
        return network.layers()[0]

    @property
    def readout(self) -> Any:
        """The read-out, whose weights say which class a neuron speaks for."""
        network: Any = self.network
        return network.readout

    @property
    def largest(self) -> float:
        """Largest weight: ten times the mean, as published (sum 78.4 of 784 inputs, none above 1)."""
        return 10 * self.drive / self.weight.shape[1]

    @torch.no_grad()
    def keep_sum(self) -> None:
        """Scale every neuron's weights to the sum `drive`."""
        self.weight.mul_(self.drive / self.weight.sum(1, keepdim=True).clamp(min=1e-12))

    @torch.no_grad()
    def moments(self, x: Tensor) -> Iterator[Moment]:
        """Yield every step of ``x[T, B, ...]``, with the present weights and thresholds."""
        neuron = self.block.neuron
        currents = over_time(self.block.synapse, x) * (1 + self.thresholds.mean()) / (1 + self.thresholds)
        state = neuron.init_state(currents[0])
        params = neuron.step_params()
        for seen, current in zip(x.flatten(2).clamp(0, 1), currents, strict=True):
            would, _ = neuron.step(current, state, params)
            spikes, state = neuron.advance(current - self.inhibition * self._inhibited(would, current, state), state)
            yield Moment(seen, spikes)

    def _inhibited(self, would: Tensor, current: Tensor, state: Any) -> Tensor:
        """Return who is inhibited, ``[B, N]``: all but the highest membrane of those that would fire."""
        height = (current + state.v).masked_fill(would == 0, -torch.inf)
        first = functional.one_hot(height.argmax(1), would.shape[1]).to(current.dtype)
        return (1 - first) * would.any(1, keepdim=True)

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return the mean over time of the read-out, ``[B, C]``."""
        spikes = torch.stack([moment.spikes for moment in self.moments(x)])
        return over_time(self.readout, spikes).mean(0)

    def extra_state(self) -> dict[str, Tensor]:
        """Return what is learned beside the network, by name."""
        return {"thresholds": self.thresholds}

    def state_dict(self) -> dict[str, Tensor]:
        """Return the network, thresholds, and what else the rule goes on from."""
        return {**super().state_dict(), **{EXTRA + name: value for name, value in self.extra_state().items()}}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` gave."""
        super().load_state_dict({name: value for name, value in state.items() if not name.startswith(EXTRA)})
        for name, value in self.extra_state().items():
            value.copy_(state[EXTRA + name])
