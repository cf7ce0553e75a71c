"""A chain of layers as an ANN, and as the integrate-and-fire network that stands for it.

Weights are shared: the spiking form has thresholds, a start and spikes as high as their threshold, so that no weight
has to be rescaled; `weight_form` writes the same network with binary spikes and thresholds of 1. Must not know how
either is trained.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from reference_impls.conversion.burst import BurstIF
from reference_impls.network import Network, over_time

__all__ = [
    "affine",
    "ann_layers",
    "ann_logits",
    "become_spiking",
    "put_bursts",
    "refuse_unless_convertible",
    "residuals",
    "spike_rates",
    "time_mean",
    "weight_form",
]

Activation = Callable[[int, Tensor], Tensor]
"""(layer, pre-activation) -> what the ANN's layer sends on."""


def refuse_unless_convertible(network: Network, who: str) -> None:
    """Refuse all but a chain of IF neurons with soft reset: what a count of spikes stands for is a sum of input.

    Raises
    ------
    ValueError
        If the network is another one; the message says what is wanted.
    """
    if network.structure != "chain":
        raise ValueError(f"{who} converts a chain of layers; this network's structure is {network.structure!r}")
    for neuron in network.neurons():
        if not (getattr(neuron, "decay", 0.0) == 1 and getattr(neuron, "reset_mode", None) == "soft"):
            raise ValueError(f"{who} converts to IF neurons with soft reset (no leak); this is {neuron}")


def put_bursts(network: Any, most: int) -> None:
    """Replace the IF neurons of a chain by those that may emit up to `most` spikes a step (1: they stay)."""
    if most > 1:
        for block in network.layers():
            block.neuron = BurstIF(most).to(next(block.synapse.parameters()))


def time_mean(x: Tensor) -> Tensor:
    """Return what an ANN sees of ``x[T, B, ...]``: the mean over time, ``[B, ...]`` (of equal frames: one of them)."""
    return x[0] if x.shape[0] == 1 or x.stride(0) == 0 else x.mean(0)


def ann_layers(network: Any, frame: Tensor, activation: Activation) -> tuple[list[Tensor], Tensor]:
    """Return the activations of every layer of a chain on ``frame[B, ...]``, and the logits ``[B, C]``."""
    z, found = frame, []
    for layer, block in enumerate(network.layers()):
        z = activation(layer, block.synapse(z))
        found.append(z)
    logits: Tensor = network.readout(z)
    return found, logits


def ann_logits(network: Any, frame: Tensor, activation: Activation) -> Tensor:
    """Return the logits ``[B, C]`` of a chain with `activation` in the place of its neurons."""
    return ann_layers(network, frame, activation)[1]


def become_spiking(network: Any, thresholds: Sequence[float], start: float) -> None:
    """Give every layer its threshold, a start of `start` thresholds, and spikes as high as the threshold."""
    for block, threshold in zip(network.layers(), thresholds, strict=True):
        neuron = block.neuron
        neuron.v_threshold = neuron.reset_amount = threshold
        neuron.v_init = start * threshold
        block.scale = threshold


@torch.no_grad()
def spike_rates(network: Any, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Return each layer's mean output over ``x[T, B, ...]``, ``threshold count / T``, and its last membrane."""
    z, rates, membranes = x, [], []
    for block in network.layers():
        out = block.neuron.run(over_time(block.synapse, z))
        z = block.passed_on(out.spikes)
        rates.append(z.mean(0))
        membranes.append(out.state.v)
    return rates, membranes


@torch.no_grad()
def residuals(network: Any, x: Tensor, activation: Activation, most: int = 1) -> dict[str, list[float]]:
    """Return, for each layer, which share of its outputs cannot be what the ANN's are.

    ``clipped``: the ANN's activation is more than `most` spikes a step. ``unsettled``: the neuron fired too many spikes
    (its membrane ended below 0, though it fired) or owes some that it could have fired (unevenness).
    """
    wanted, _ = ann_layers(network, time_mean(x), activation)
    rates, membranes = spike_rates(network, x)
    clipped, unsettled = [], []
    for block, a, rate, v in zip(network.layers(), wanted, rates, membranes, strict=True):
        threshold = block.neuron.v_threshold
        too_many, owed = (v < 0) & (rate > 0), (v >= threshold) & (a <= most * threshold)
        clipped.append(float((a > most * threshold).double().mean()))
        unsettled.append(float((too_many | owed).double().mean()))
    return {"clipped": clipped, "unsettled": unsettled}


def weight_form(network: Any, thresholds: Sequence[float], start: float = 0.5) -> Any:
    """Return a copy with binary spikes and thresholds of 1: W_l theta_{l-1} / theta_l, b_l / theta_l.

    Its read-out is not divided by anything, so logits are those of the given network; its spikes are the same.
    """
    folded = copy.deepcopy(network)
    maps = [*[block.synapse for block in folded.layers()], folded.readout]
    before = [1.0, *thresholds]
    after = [*thresholds, 1.0]
    with torch.no_grad():
        for module, below, own in zip(maps, before, after, strict=True):
            for name, parameter in affine(module).named_parameters(recurse=False):
                parameter.mul_((below if name == "weight" else 1.0) / own)
    become_spiking(folded, [1.0] * len(thresholds), start)
    return folded


def affine(module: nn.Module) -> nn.Module:
    """Return the one part of a linear map that has parameters (beside it: pooling, flattening)."""
    found = [part for part in module.modules() if list(part.parameters(recurse=False))]
    if len(found) != 1:
        raise ValueError(f"a map with one weight can be rescaled, this has {len(found)}: {module}")
    return found[0]
