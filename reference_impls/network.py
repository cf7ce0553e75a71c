"""The contract of a network: a topology filled with neurons.

A training method sees a network only through this contract, the counters of synaptic operations too. Must not
know of training methods.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from reference_impls.neuron import Neuron, State

__all__ = ["Network", "NetworkOutput", "Synapse", "over_time"]


class Synapse(NamedTuple):
    """A linear map of a network, as the counters of synaptic operations see it."""

    name: str
    module: nn.Module
    source: str
    """``input``: fed by the encoded sample. ``spikes``: fed by a neuron. ``rates``: fed by an average of spikes."""
    amplitude: float = 1.0
    """Height of one spike at the synapse's input."""


class NetworkOutput(NamedTuple):
    """What a network gives for a sequence."""

    logits: Tensor
    """``[T, B, C]``: the read-out of every step."""
    states: tuple[State | None, ...] = ()
    """What `Network.run` needs to go on from here."""
    auxiliary_loss: Tensor | None = None
    """Sum of the neurons' auxiliary losses, or None if no layer has one."""


class Network(nn.Module, ABC):
    """A topology filled with neurons. Subclasses live in ``topologies/``."""

    structure: ClassVar[str]
    """``chain``, ``feedback`` or ``recurrent``: what a training method may assume about the connections."""

    @abstractmethod
    def run(self, x: Tensor, states: tuple[State | None, ...] | None = None) -> NetworkOutput:
        """Process ``x[T, B, ...]``, at rest or from the `states` of an earlier output."""

    @abstractmethod
    def neurons(self) -> tuple[Neuron, ...]:
        """Return the neuron layers in order, first to last."""

    @abstractmethod
    def synapses(self) -> tuple[Synapse, ...]:
        """Return the linear maps in order, the read-out last."""

    @contextmanager
    def observed_by(self, observer: Callable[[int, Tensor], None]) -> Iterator[None]:
        """Call ``observer(layer, spikes[T, B, ...])`` for whatever the neurons emit inside the block."""
        with ExitStack() as stack:
            for layer, neuron in enumerate(self.neurons()):
                stack.enter_context(neuron.observed_by(functools.partial(observer, layer)))
            yield

    def begin_batch(self) -> None:
        """Renew what lives for one training batch (power iterations, probes); most networks have nothing."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x[T, B, ...]`` to the logits of every step, ``[T, B, C]``."""
        return self.run(x).logits

    @property
    def auxiliary_weight(self) -> float:
        """Share of the total loss that the auxiliary losses take (that of the layer which asks for most)."""
        return max((neuron.auxiliary_weight for neuron in self.neurons()), default=0.0)


def over_time(module: nn.Module, x: Tensor) -> Tensor:
    """Apply a module that knows no time to every step of ``x[T, B, ...]``.

    An input that is constant over time (a broadcast: stride 0) is processed once and broadcast again, which is
    what "direct encoding" costs on any machine that keeps the product.
    """
    if x.shape[0] > 1 and x.stride(0) == 0:
        once: Tensor = module(x[0])
        return once.unsqueeze(0).expand(x.shape[0], *once.shape)
    y: Tensor = module(x.flatten(0, 1))
    return y.unflatten(0, x.shape[:2])
