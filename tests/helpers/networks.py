"""Networks whose spikes and operations can be counted by hand."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from harness.measure.activity import Activity, count_activity
from reference_impls.api import (
    Network,
    NetworkOutput,
    Neuron,
    State,
    Synapse,
    build_network,
    build_neuron,
    over_time,
)


class Maps(Network):
    """Linear maps one after the other, without neurons: what stands in `extra` is not declared."""

    structure = "chain"

    def __init__(
        self, *synapses: Synapse, extra: Callable[[Tensor], Tensor] = lambda y: y, neurons: Sequence[Neuron] = ()
    ) -> None:
        super().__init__()
        self.modules_ = nn.ModuleList({id(synapse.module): synapse.module for synapse in synapses}.values())
        self.declared = synapses
        self.layers = nn.ModuleList(neurons)
        self.extra = extra

    def run(self, x: Tensor, states: tuple[State | None, ...] | None = None) -> NetworkOutput:
        for module in self.modules_:
            x = over_time(module, x)
        for layer in self.layers:
            assert isinstance(layer, Neuron)
            x = layer.run(x).spikes
        return NetworkOutput(self.extra(x))

    def neurons(self) -> tuple[Neuron, ...]:
        return tuple(layer for layer in self.layers if isinstance(layer, Neuron))

    def synapses(self) -> tuple[Synapse, ...]:
        return self.declared


def one_map(module: nn.Module, source: str = "spikes", amplitude: float = 1.0, **options: Any) -> Maps:
    return Maps(Synapse("map", module, source, amplitude), **options)


def count(module: nn.Module, x: Tensor, source: str = "spikes", amplitude: float = 1.0) -> Activity:
    """Count one module on ``x[B, ...]``."""
    return count_activity(one_map(module, source, amplitude), [x.unsqueeze(0)])


def work(module: nn.Module, x: Tensor, source: str = "spikes", amplitude: float = 1.0) -> tuple[int, int]:
    total = count(module, x, source, amplitude).operations()
    return total.accumulates, total.multiply_accumulates


def spikes(*shape: int, rate: float = 0.4, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=generator) < rate).float()


def exact_network(topology: str, neuron: str = "if", **params: Any) -> Network:
    """A network whose arithmetic is exact in every precision: weights in quarters, binary inputs."""
    torch.manual_seed(0)
    network = build_network(topology, (1, 6, 6), 5, functools.partial(build_neuron, neuron), **params)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randint(-2, 4, parameter.shape) / 4)
    return network


NETWORKS = {
    "mlp": functools.partial(exact_network, "mlp", hidden=[12, 7]),
    "conv": functools.partial(exact_network, "conv", channels=[3, 4], pool=2, kernel_size=3),
    "skip": functools.partial(exact_network, "skip-mlp", hidden=[12, 7, 7], skips="asc"),
    "feedback": functools.partial(exact_network, "feedback", hidden=[12, 7], restriction="none"),
    "recurrent": functools.partial(exact_network, "recurrent", hidden=[12, 7]),
    "feedback-conv": functools.partial(exact_network, "feedback", channels=[3, 4], restriction="none"),
}
SAMPLES = spikes(5, 12, 1, 6, 6, rate=0.5)
