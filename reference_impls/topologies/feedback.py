"""feedback: a chain of layers whose last one feeds back to the first: the FSNN of IDE and SPIDE."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from reference_impls.api import (
    Apply,
    Fire,
    LayerShape,
    Network,
    NetworkOutput,
    NeuronFactory,
    SequentialNeuron,
    Signal,
    State,
    Synapse,
    over_time,
)
from reference_impls.synapses import restrict

CARD = {
    "name": "feedback",
    "kind": "topology",
    "version": 1,
    "title": "Feedback spiking network (FSNN)",
    "summary": (
        "An input map, a chain of layers and one feedback map from the last layer to the first, one step late; a "
        "linear classifier reads the last layer. Feedback weights are restricted in norm."
    ),
    "equations": (
        "c_1[t] = F(x[t]) + [t > 0] f_N(s_N[t-1]); c_i[t] = f_{i-1}(s_{i-1}[t]); O[t] = classifier(s_N[t]); "
        "no bias in f_N"
    ),
    "citations": [
        {
            "authors": "M. Xiao, Q. Meng, Z. Zhang, Y. Wang, Z. Lin",
            "title": "Training Feedback Spiking Neural Networks by Implicit Differentiation on the Equilibrium State",
            "venue": "NeurIPS",
            "year": 2021,
            "arxiv": "2109.14247",
            "code": "https://github.com/pkuxmq/IDE-FSNN",
        }
    ],
    "capabilities": {"structure": "feedback", "sample_dims": [1, 2, 3]},
    "defaults": {"hidden": [128], "restriction": "spectral", "norm_range": 1.0},
}


class FeedbackNetwork(Network):
    """Feedback spiking network, fully connected or convolutional.

    Parameters
    ----------
    sample_shape : shape of one sample at one step.
    classes : units of the classifier.
    neuron : called once a layer; must be sequential.
    hidden : neurons of each fully connected layer; unused if `channels` is given.
    channels : output channels of each convolution (5 x 5 by default, the first with `stride`); None: fully connected.
    kernel_size, stride : of the convolutions; forward maps after the first keep the size.
    restriction : ``none``, ``spectral`` (IDE) or ``frobenius`` (SPIDE) restriction of the feedback weight.
    norm_range : largest norm the feedback weight may have.
    zero_feedback : start the feedback weight at 0, as OTTT's authors do; needs a restriction that can scale zeros.

    Raises
    ------
    ValueError
        If a shape does not fit, or a weight of zeros is to have its spectral norm restricted.
    TypeError
        If the neuron is not sequential: feedback needs the spikes of step t before step t+1.
    """

    structure = "feedback"

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        classes: int,
        neuron: NeuronFactory,
        hidden: Sequence[int] = (128,),
        channels: Sequence[int] | None = None,
        kernel_size: int = 5,
        stride: int = 2,
        restriction: str = "spectral",
        norm_range: float = 1.0,
        zero_feedback: bool = False,
    ) -> None:
        super().__init__()
        maps, back, shapes = (
            _convolutional(sample_shape, list(channels), kernel_size, stride)
            if channels
            else _dense(sample_shape, list(hidden))
        )
        self.input_map = maps[0]
        self.forward_maps = nn.ModuleList(maps[1:])
        if zero_feedback:
            if restriction == "spectral":
                raise ValueError("a feedback weight of zeros has no spectral direction; use restriction='none'")
            nn.init.zeros_(back.weight)
        self.feedback_map = restrict(back, restriction, norm_range)
        classifier = nn.Linear(math.prod(shapes[-1]), classes)
        self.classifier = nn.Sequential(nn.Flatten(), classifier) if channels else classifier
        layers = [neuron(shape=shape) for shape in shapes]
        for layer in layers:
            if not isinstance(layer, SequentialNeuron):
                raise TypeError(f"{type(layer).__name__} is not sequential: feedback needs its spikes step by step")
        self.layers = nn.ModuleList(layers)

    def neurons(self) -> tuple[SequentialNeuron, ...]:
        """Return the neuron of every layer."""
        return tuple(layer for layer in self.layers if isinstance(layer, SequentialNeuron))

    def synapses(self) -> tuple[Synapse, ...]:
        """Return input map, forward maps, feedback map and classifier."""
        chain = [Synapse(f"forward{i}", module, "spikes") for i, module in enumerate(self.forward_maps, start=1)]
        return (
            Synapse("input", self.input_map, "input"),
            *chain,
            Synapse("feedback", self.feedback_map, "spikes"),
            Synapse("readout", self.classifier, "spikes"),
        )

    def begin_batch(self) -> None:
        """Make one power iteration, or draw new probes, for the restriction of the feedback weight."""
        renew: Any = getattr(self.feedback_map, "renew", None)
        if renew is not None:
            renew()

    def advance(
        self, current: Tensor, states: tuple[State | None, ...], fed_back: Tensor | None
    ) -> tuple[Tensor, tuple[State, ...]]:
        """Take one step of all layers in order.

        Parameters
        ----------
        current : ``F(x[t])``, ``[B, ...]``, what the input map gives.
        states : of every layer (None: at rest).
        fed_back : spikes of the last layer at the step before (None at the first).

        Returns
        -------
        Spikes of the last layer ``[B, ...]``, and the states after the step.
        """
        if fed_back is not None:
            current = current + self.feedback_map(fed_back)
        after, spikes = [], current
        for index, layer in enumerate(self.neurons()):
            drive = current if index == 0 else self.forward_maps[index - 1](spikes)
            state = layer.init_state(drive) if states[index] is None else states[index]
            spikes, state = layer.advance(drive, state)
            after.append(state)
        return spikes, tuple(after)

    def wire(self, x: Signal, fire: Fire, apply: Apply, fed_back: Signal = None) -> tuple[Tensor, Signal]:
        """Send `x` through all layers in order; the feedback map is applied to `fed_back`."""
        current = apply(self.input_map, x)
        if fed_back is not None:
            current = current + apply(self.feedback_map, fed_back)
        signal = fire(0, current)
        for layer, forward_map in enumerate(self.forward_maps, start=1):
            signal = fire(layer, apply(forward_map, signal))
        return apply(self.classifier, signal), signal

    def run(self, x: Tensor, states: tuple[State | None, ...] | None = None) -> NetworkOutput:
        """Process ``x[T, B, ...]`` step by step; `states` ends with the last layer's spikes."""
        self.refuse_other_batch(x, states)
        currents = over_time(self.input_map, x)
        *inner, fed_back = states if states is not None else [None] * (len(self.layers) + 1)
        layer_states: tuple[State | None, ...] = tuple(inner)
        last = []
        for current in currents.unbind(0):
            fed_back, layer_states = self.advance(current, layer_states, fed_back)
            last.append(fed_back)
        return NetworkOutput(over_time(self.classifier, torch.stack(last)), (*layer_states, fed_back))


def _dense(sample_shape: tuple[int, ...], hidden: list[int]) -> tuple[list[nn.Module], nn.Linear, list[LayerShape]]:
    """Return the maps into the layers, the one back from the last to the first, and the layers' shapes."""
    if not hidden or min(hidden) < 1:
        raise ValueError(f"hidden must list at least one layer of at least one neuron, got {hidden}")
    first: nn.Module = nn.Linear(math.prod(sample_shape), hidden[0])
    maps = [first if len(sample_shape) == 1 else nn.Sequential(nn.Flatten(), first)]
    maps += [nn.Linear(before, after) for before, after in pairwise(hidden)]
    return maps, nn.Linear(hidden[-1], hidden[0], bias=False), [(size,) for size in hidden]


def _convolutional(
    sample_shape: tuple[int, ...], channels: list[int], kernel_size: int, stride: int
) -> tuple[list[nn.Module], nn.Conv2d, list[LayerShape]]:
    """As `_dense`; the first map strides, the others keep the size."""
    if len(sample_shape) != 3:
        raise ValueError(f"convolutions need samples of shape (channels, height, width), got {tuple(sample_shape)}")
    padding = kernel_size // 2
    maps: list[nn.Module] = [nn.Conv2d(sample_shape[0], channels[0], kernel_size, stride, padding)]
    maps += [nn.Conv2d(before, after, kernel_size, padding=padding) for before, after in pairwise(channels)]
    height, width = ((side + 2 * padding - kernel_size) // stride + 1 for side in sample_shape[1:])
    back = nn.Conv2d(channels[-1], channels[0], kernel_size, padding=padding, bias=False)
    return maps, back, [(count, height, width) for count in channels]
