"""mlp: fully connected layers of neurons and a linear read-out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from reference_impls.api import NeuronFactory
from reference_impls.synapses import ScaledWSLinear
from reference_impls.topologies._chain import POST_SPIKE_SCALE, Block, Chain

CARD = {
    "name": "mlp",
    "kind": "topology",
    "version": 1,
    "title": "Multi-layer perceptron",
    "summary": "Fully connected layers, each followed by neurons, and a linear read-out without neurons.",
    "equations": "I_l[t] = W_l s_{l-1}[t] + b_l; O[t] = W_o s_L[t] + b_o",
    "citations": [],
    "capabilities": {"structure": "chain", "sample_dims": [1, 2, 3]},
    "defaults": {"hidden": [128]},
    "variants": {
        "mlp-depth-2": {
            "title": "Multi-layer perceptron, 2 hidden layers",
            "summary": "Two layers, each as wide as the first layer that the task gives mlp.",
            "params": {"depth": 2},
            "capabilities": {"sized_as": "mlp"},
        },
        "mlp-depth-4": {
            "title": "Multi-layer perceptron, 4 hidden layers",
            "summary": "Four layers, each as wide as the first layer that the task gives mlp.",
            "params": {"depth": 4},
            "capabilities": {"sized_as": "mlp"},
        },
        "mlp-depth-8": {
            "title": "Multi-layer perceptron, 8 hidden layers",
            "summary": "Eight layers, each as wide as the first layer that the task gives mlp.",
            "params": {"depth": 8},
            "capabilities": {"sized_as": "mlp"},
        },
    },
}


class MLP(Chain):
    """Fully connected network.

    Parameters
    ----------
    sample_shape : shape of one sample at one step; flattened.
    classes : read-out units.
    neuron : called once a layer.
    hidden : neurons of each layer.
    depth : how many layers, each as wide as the first of `hidden`; None: those of `hidden`.
    weight_standardisation : scaled weight standardisation and post-spike scale, as in OTTT's networks.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        classes: int,
        neuron: NeuronFactory,
        hidden: Sequence[int] = (128,),
        depth: int | None = None,
        weight_standardisation: bool = False,
    ) -> None:
        if not hidden or min(hidden) < 1:
            raise ValueError(f"hidden must list at least one layer of at least one neuron, got {list(hidden)}")
        if depth is not None:
            if depth < 1:
                raise ValueError(f"depth must be at least 1 layer, got {depth}")
            hidden = [hidden[0]] * depth
        linear = ScaledWSLinear if weight_standardisation else nn.Linear
        scale = POST_SPIKE_SCALE if weight_standardisation else 1.0
        sizes = [math.prod(sample_shape), *hidden]
        blocks = []
        for index, (before, after) in enumerate(pairwise(sizes)):
            synapse: nn.Module = linear(before, after)
            if index == 0 and len(sample_shape) != 1:
                synapse = nn.Sequential(nn.Flatten(), synapse)
            blocks.append(Block(synapse, neuron(shape=(after,)), scale))
        super().__init__(blocks, nn.Linear(sizes[-1], classes))
