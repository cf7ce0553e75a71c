"""The contract of a network: a topology filled with neurons.

A training method sees a network only through this contract, the counters of synaptic operations too. Must not
know of training methods.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from reference_impls.neuron import Neuron, State
from reference_impls.structures import StructureName

__all__ = ["Apply", "FeedForward", "Fire", "Join", "Network", "NetworkOutput", "Signal", "Synapse", "over_time"]

Signal = Any
"""What travels between layers: spikes, or whatever a training method sends in their place (a trace beside them).

It can be multiplied by a number and handed to an `Apply`; a topology asks no more of it.
"""
Fire = Callable[[int, Tensor], Signal]
"""(layer, its input current) -> what the layer's neurons send on."""
Apply = Callable[[nn.Module, Signal], Tensor]
"""(linear map, signal) -> the current that the map gives."""


class Synapse(NamedTuple):
    """A linear map of a network, as the counters of synaptic operations see it."""

    name: str
    module: nn.Module
    source: str
    """``input``: fed by the encoded sample. ``spikes``: fed by neurons. ``rates``: fed by an average of spikes (or by a
    current). ``mixed``: fed by spikes to which a linear map of others is added; every entry is what it then is."""
    amplitude: float = 1.0
    """Height of one spike at the synapse's input."""


class Join(NamedTuple):
    """Which layers a synapse joins, in the order of `Network.neurons`."""

    senders: tuple[int, ...]
    """Layers whose spikes it reads; empty: it reads the sample."""
    receiver: int | None
    """Layer that it feeds; None: it is the read-out."""


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

    structure: ClassVar[StructureName]
    """What a training method may assume about the connections; see :mod:`reference_impls.structures`."""

    @abstractmethod
    def run(self, x: Tensor, states: tuple[State | None, ...] | None = None) -> NetworkOutput:
        """Process ``x[T, B, ...]``, at rest or from the `states` of an earlier output."""

    @abstractmethod
    def neurons(self) -> tuple[Neuron, ...]:
        """Return the neuron layers in order, first to last."""

    @abstractmethod
    def synapses(self) -> tuple[Synapse, ...]:
        """Return the linear maps in order, the read-out last."""

    def joins(self) -> tuple[Join, ...] | None:
        """Return which layers each of `synapses` joins; None: what a network of this structure always joins."""
        return None

    @contextmanager
    def observed_by(self, observer: Callable[[int, Tensor], None]) -> Iterator[None]:
        """Call ``observer(layer, spikes[T, B, ...])`` for whatever the neurons emit inside the block."""
        with ExitStack() as stack:
            for layer, neuron in enumerate(self.neurons()):
                stack.enter_context(neuron.observed_by(functools.partial(observer, layer)))
            yield

    def wire(self, x: Signal, fire: Fire, apply: Apply, fed_back: Signal = None) -> tuple[Tensor, Signal]:
        """Send `x` through the connections: the topology's graph, and nothing of what travels along it.

        Who gives spikes as signals over all T has a forward pass; who gives one step's spikes with their traces has
        an online method, for every topology that writes this.

        Parameters
        ----------
        x : what the input map is applied to.
        fire : called for the layers in the order of `neurons`.
        apply : called for the linear maps of `synapses`.
        fed_back : signal of the last layer one step earlier, for a network that feeds it back (None: the first step).

        Returns
        -------
        The read-out, and the last layer's signal.

        Raises
        ------
        NotImplementedError
            If the topology does not say how it is wired.
        """
        raise NotImplementedError(f"{type(self).__name__} does not write wire(): it cannot be walked step by step")

    def refuse_other_batch(self, x: Tensor, states: State) -> None:
        """Refuse `states` that are not of the batch of ``x[T, B, ...]``: what is fed back would be broadcast.

        Parameters
        ----------
        x : the sequence that is to be processed.
        states : of tensors ``[B, ...]``, in any nesting (None: at rest).

        Raises
        ------
        ValueError
            If a tensor begins with another number.
        """
        for part in _tensors(states):
            if part.shape[0] != x.shape[1]:
                raise ValueError(
                    f"{type(self).__name__}: the states are of a batch of {part.shape[0]}, this input of {x.shape[1]}; "
                    "go on with sequences of the same batch, or from rest (states None)"
                )

    def begin_batch(self) -> None:
        """Renew what lives for one training batch (power iterations, probes); most networks have nothing."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x[T, B, ...]`` to the logits of every step, ``[T, B, C]``."""
        return self.run(x).logits

    @property
    def auxiliary_weight(self) -> float:
        """Share of the total loss that the auxiliary losses take (that of the layer which asks for most)."""
        return max((neuron.auxiliary_weight for neuron in self.neurons()), default=0.0)


class FeedForward(Network):
    """A network without loops, so that each layer can take all T steps before the next; a subclass writes `wire`."""

    def run(self, x: Tensor, states: tuple[State | None, ...] | None = None) -> NetworkOutput:
        """Process ``x[T, B, ...]`` layer by layer."""
        neurons = self.neurons()
        losses: list[Tensor] = []
        after: list[State | None] = [None] * len(neurons)

        def fire(layer: int, current: Tensor) -> Tensor:
            out = neurons[layer].run(current, None if states is None else states[layer])
            after[layer] = out.state
            if out.auxiliary_loss is not None:
                losses.append(out.auxiliary_loss)
            return out.spikes

        logits, _ = self.wire(x, fire, over_time)
        return NetworkOutput(logits, tuple(after), sum(losses[1:], losses[0]) if losses else None)


def _tensors(state: State) -> Iterator[Tensor]:
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, tuple):
        for part in state:
            yield from _tensors(part)


def over_time(module: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """Apply a map that knows no time to every step of its inputs, each ``[T, B, ...]``.

    Inputs that are constant over time (a broadcast: stride 0) are processed once and broadcast again, which is
    what "direct encoding" costs on any machine that keeps the product.
    """
    steps, batch = inputs[0].shape[:2]
    if steps > 1 and all(x.stride(0) == 0 for x in inputs):
        once = module(*(x[0] for x in inputs))
        return once.unsqueeze(0).expand(steps, *once.shape)
    return module(*(x.flatten(0, 1) for x in inputs)).unflatten(0, (steps, batch))
