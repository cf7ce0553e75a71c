"""What IDE and SPIDE share: the spiking simulation of a feedback network that keeps rates and nothing else.

Memory does not depend on the number of steps. Must not know how the gradient at the equilibrium is found.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor

from reference_impls.api import Network, State, Synapse
from reference_impls.topologies.feedback import FeedbackNetwork

__all__ = [
    "Rates",
    "average_input",
    "decay_of",
    "feedback_network",
    "geometric_sum",
    "is_constant",
    "rate_fed_synapses",
    "simulate",
    "threshold_of",
]


class Rates(NamedTuple):
    """What is left of a simulation."""

    weighted: tuple[Tensor, ...]
    """Leak-weighted average firing rate of each layer, ``[B, ...]`` (IF: the plain mean)."""
    plain: tuple[Tensor, ...]
    """Spikes divided by steps, of each layer."""


def geometric_sum(decay: float, steps: int) -> float:
    """Return ``sum_{t<steps} decay^t``."""
    return float(steps) if decay == 1 else (1 - decay**steps) / (1 - decay)


def feedback_network(network: Network, method: str) -> FeedbackNetwork:
    """Return `network` as the feedback network that IDE and SPIDE need.

    Raises
    ------
    ValueError
        If it is not one, or its neurons do not share one decay, one threshold and a soft reset.
    """
    if not isinstance(network, FeedbackNetwork):
        raise ValueError(f"{method} needs the feedback topology; this network's structure is {network.structure!r}")
    kinds = {
        (getattr(neuron, "decay", None), getattr(neuron, "v_threshold", None), getattr(neuron, "reset_mode", None))
        for neuron in network.neurons()
    }
    decay, v_threshold, reset_mode = next(iter(kinds))
    if len(kinds) != 1 or decay is None or v_threshold is None or reset_mode != "soft":
        raise ValueError(f"{method} needs IF or LIF neurons of one decay and one threshold with a soft reset")
    return network


def rate_fed_synapses(network: FeedbackNetwork) -> tuple[Synapse, ...]:
    """Return the network's linear maps; its classifier reads average rates, once a sample."""
    *inner, readout = network.synapses()
    return (*inner, readout._replace(source="rates"))


def decay_of(network: FeedbackNetwork) -> float:
    """Return the decay that all its neurons share (1 for IF)."""
    return cast("float", network.neurons()[0].decay)


def threshold_of(network: FeedbackNetwork) -> float:
    """Return the threshold that all its neurons share."""
    return cast("float", network.neurons()[0].v_threshold)


def is_constant(x: Tensor) -> bool:
    """Whether ``x[T, B, ...]`` is one step, or one broadcast over time (stride 0)."""
    return x.shape[0] == 1 or x.stride(0) == 0


def average_input(x: Tensor, decay: float) -> Tensor:
    """Return the leak-weighted mean over time of ``x[T, B, ...]``: the constant input with the same equilibrium."""
    if is_constant(x):
        return x[0]
    steps = x.shape[0]
    if decay == 1:
        return x.mean(0)
    exponents = torch.arange(steps - 1, -1, -1, device=x.device, dtype=x.dtype)
    return torch.tensordot(decay**exponents, x, dims=1) / geometric_sum(decay, steps)


@torch.no_grad()
def simulate(network: FeedbackNetwork, x: Tensor) -> Rates:
    """Run the network over ``x[T, B, ...]`` and return the average rates of its layers."""
    decay, steps = decay_of(network), x.shape[0]
    weighted: list[Tensor | float] = [0.0] * len(network.neurons())
    count: list[Tensor | float] = [0.0] * len(network.neurons())

    def keep(layer: int, spikes: Tensor) -> None:
        weighted[layer] = decay * weighted[layer] + spikes[0]
        count[layer] = count[layer] + spikes[0]

    constant = network.input_map(x[0]) if is_constant(x) else None
    states: tuple[State | None, ...] = (None,) * len(network.neurons())
    fed_back: Tensor | None = None
    with network.observed_by(keep):
        for x_t in x.unbind(0):
            current = network.input_map(x_t) if constant is None else constant
            fed_back, states = network.advance(current, states, fed_back)
    scale = geometric_sum(decay, steps)
    return Rates(
        tuple(torch.as_tensor(total) / scale for total in weighted),
        tuple(torch.as_tensor(total) / steps for total in count),
    )
