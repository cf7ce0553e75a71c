"""Sequential and streaming rollout: whether an edge of a network costs no time step, or one.

In a sequential rollout every layer sees what the one below sends at the same step, so a step takes as long as all
layers one after the other. In a streaming one it sees what was sent the step before: all layers compute at once, and an
answer comes later by as many steps as the path to it has edges. Any chain or skip network can be run so without being
changed, and so trained, for what is here is a network too. Must not know of training methods.

Source: V. Fischer, J. Koehler, T. Pfeil, "The streaming rollout of deep networks - towards fully model-parallel
execution", NeurIPS 2018 (the terms and the one step an edge; written from what is known of it, not from its text).
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from reference_impls.api import FeedForward, Join, Network, NetworkOutput, Neuron, State, Synapse, over_time
from reference_impls.topologies._skip import SkipNetwork

__all__ = ["Latency", "OnItsWay", "Pipelined", "Streaming", "latency", "one_step_late", "why_no_streaming"]

States = tuple[State | None, ...]


class OnItsWay(NamedTuple):
    """State of a layer in a streaming rollout."""

    neuron: State | None
    sent: Tensor
    """What it sent at the last step, which arrives at the next, ``[B, ...]``."""


class Latency(NamedTuple):
    """Time steps that an output of the streaming rollout is later than its input; a sequential one has none."""

    first: int
    """On the shortest path: from then on an output rests on an input."""
    full: int
    """On the longest path: from then on it rests on all that a sequential rollout would have used."""


class Pipelined(Network):
    """A network that says by itself what its edges cost; one with a sense of time between its layers has to."""

    @abstractmethod
    def rolled_out(self, x: Tensor, states: States | None, streaming: bool) -> NetworkOutput:
        """Process ``x[T, B, ...]``; states of one rollout are not those of the other."""

    @property
    @abstractmethod
    def latency(self) -> Latency:
        """Return how late an output of the streaming rollout is."""


class Streaming(Network):
    """The streaming rollout of `network`, whose modules it shares.

    The first layer sees the input of its own step; every edge from a layer costs one step, a skip as well, whatever its
    length. For a chain at rest whose hidden maps have no bias, ``logits[t + latency.full]`` are those of the sequential
    rollout at t, and what comes before is the read-out of silence. A bias acts from the first step on, so with one
    layers may fire before any input has reached them, and the relation no longer holds.

    Parameters
    ----------
    network : a chain, a skip network or one that is `Pipelined`.

    Raises
    ------
    ValueError
        If there is no streaming rollout of `network`; see `why_no_streaming`.
    """

    structure = "delayed"

    def __init__(self, network: Network) -> None:
        super().__init__()
        reason = why_no_streaming(network)
        if reason is not None:
            raise ValueError(reason)
        self.network = network

    @property
    def latency(self) -> Latency:
        """Return how late its outputs are."""
        return latency(self.network)

    def run(self, x: Tensor, states: States | None = None) -> NetworkOutput:
        """Process ``x[T, B, ...]``, at rest or from the `states` of an earlier output of a streaming rollout."""
        network = self.network
        if isinstance(network, Pipelined):
            return network.rolled_out(x, states, streaming=True)
        walk = _Walk(network.neurons(), states)
        self.refuse_other_batch(x, tuple(state.sent for state in walk.before or ()))
        logits = _through_skips(network, x, walk) if isinstance(network, SkipNetwork) else _along(network, x, walk)
        return walk.ended(logits)

    def neurons(self) -> tuple[Neuron, ...]:
        """Return the network's layers."""
        return self.network.neurons()

    def synapses(self) -> tuple[Synapse, ...]:
        """Return the network's linear maps; what feeds them does not depend on the rollout."""
        return self.network.synapses()

    def joins(self) -> tuple[Join, ...] | None:
        """Return which layers each of `synapses` joins."""
        return self.network.joins()

    def begin_batch(self) -> None:
        """Renew what lives for one training batch."""
        self.network.begin_batch()


def why_no_streaming(network: Network) -> str | None:
    """Return a sentence that says why `network` has no streaming rollout; None if it has."""
    if isinstance(network, Pipelined | SkipNetwork) or (
        isinstance(network, FeedForward) and network.structure == "chain"
    ):
        return None
    return (
        f"There is no streaming rollout of a {type(network).__name__}, a {network.structure!r} network: chains, skip "
        "networks and hybrids have one."
    )


def latency(network: Network) -> Latency:
    """Return how late the streaming rollout of `network` answers.

    Raises
    ------
    ValueError
        If it has none.
    """
    reason = why_no_streaming(network)
    if reason is not None:
        raise ValueError(reason)
    if isinstance(network, Pipelined):
        return network.latency
    layers = len(network.neurons())
    return Latency(_shortest(network.joins(), layers), layers)


def one_step_late(spikes: Tensor, before: Tensor | None) -> Tensor:
    """Return what arrives of ``spikes[T, B, ...]`` if each comes a step later; `before` (None: silence) comes first."""
    first = torch.zeros_like(spikes[0]) if before is None else before
    return torch.cat([first[None], spikes[:-1]])


class _Walk:
    """One pass over the layers of a network: what they send arrives late, and their states are kept."""

    def __init__(self, neurons: Sequence[Neuron], states: States | None) -> None:
        self.neurons = neurons
        self.before = None if states is None else [_of_a_stream(state) for state in states]
        self.after: list[State | None] = [None] * len(neurons)
        self.losses: list[Tensor] = []

    def fire(self, layer: int, current: Tensor) -> Tensor:
        """Run a layer; return what the next ones receive."""
        before = OnItsWay(None, current[0]) if self.before is None else self.before[layer]
        out = self.neurons[layer].run(current, before.neuron)
        self.after[layer] = OnItsWay(out.state, out.spikes[-1])
        if out.auxiliary_loss is not None:
            self.losses.append(out.auxiliary_loss)
        return one_step_late(out.spikes, None if self.before is None else before.sent)

    def ended(self, logits: Tensor) -> NetworkOutput:
        """Return the output of the whole pass."""
        losses = self.losses
        return NetworkOutput(logits, tuple(self.after), sum(losses[1:], losses[0]) if losses else None)


def _of_a_stream(state: State | None) -> OnItsWay:
    if not isinstance(state, OnItsWay):
        raise ValueError(
            f"a streaming rollout goes on from states of its own, and was given {type(state).__name__}; those of a "
            "sequential one hold nothing of what is under way"
        )
    return state


def _along(network: Network, x: Tensor, walk: _Walk) -> Tensor:
    logits, _ = network.wire(x, walk.fire, over_time)
    return logits


def _through_skips(network: SkipNetwork, x: Tensor, walk: _Walk) -> Tensor:
    sent = deque([x])
    for layer, block in enumerate(network.layers()):
        sent.append(walk.fire(layer, over_time(block.current, *(sent[-distance] for distance in block.distances))))
    return over_time(network.readout, sent[-1])


def _shortest(joins: Sequence[Join] | None, layers: int) -> int:
    """Return the edges of the shortest path from the first layer to the read-out; None of `joins` is a chain's."""
    if joins is None:
        return layers
    steps: Mapping[int | None, int] = {0: 0}
    for _ in range(layers + 1):  # edges lead forwards only, so that many rounds reach everything
        found: dict[int | None, int] = {}
        for join in joins:
            for sender in join.senders:
                if sender in steps:
                    known = found.get(join.receiver, steps.get(join.receiver, steps[sender] + 1))
                    found[join.receiver] = min(known, steps[sender] + 1)
        steps = {**steps, **found}
    return steps[None]
