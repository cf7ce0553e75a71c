"""conv: convolutions with average pooling between them and a linear read-out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from reference_impls.api import NeuronFactory
from reference_impls.synapses import ScaledWSConv2d
from reference_impls.topologies._chain import POST_SPIKE_SCALE, Block, Chain

CARD = {
    "name": "conv",
    "kind": "topology",
    "version": 1,
    "title": "Convolutional network",
    "summary": (
        "Padded convolutions, each followed by neurons and average pooling, and a linear read-out. The first may skip "
        "positions, which makes a large image cheap."
    ),
    "equations": "I_l[t] = K_l * pool(s_{l-1}[t]) + b_l; O[t] = W_o pool(s_L[t]) + b_o",
    "citations": [],
    "capabilities": {"structure": "chain", "sample_dims": [3]},
    "defaults": {"channels": [16, 32], "kernel_size": 3, "pool": 2, "stride": 1},
}


class Conv(Chain):
    """Convolutional network, ``16C3-AP2-32C3-AP2-FC`` with its defaults.

    Parameters
    ----------
    sample_shape : ``(channels, height, width)``.
    classes : read-out units.
    neuron : called once a layer.
    channels : output channels of each convolution.
    kernel_size : odd; the padding keeps the size.
    pool : side of the average pooling after each layer's neurons; it counts as part of the next linear map.
    stride : of the first convolution; what it leaves of a side is rounded up.
    weight_standardisation : as in ``mlp``.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        classes: int,
        neuron: NeuronFactory,
        channels: Sequence[int] = (16, 32),
        kernel_size: int = 3,
        pool: int = 2,
        stride: int = 1,
        weight_standardisation: bool = False,
    ) -> None:
        if len(sample_shape) != 3:
            raise ValueError(f"conv needs samples of shape (channels, height, width), got {tuple(sample_shape)}")
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, so that the padding keeps the size; got {kernel_size}")
        if stride < 1:
            raise ValueError(f"stride must be at least 1, got {stride}")
        # Of each layer's spikes, and behind the last pooling.
        first = [-(-side // stride) for side in sample_shape[1:]]
        sides = [(first[0] // pool**i, first[1] // pool**i) for i in range(len(channels) + 1)]
        if min(sides[-1]) < 1:
            raise ValueError(
                f"{len(channels)} poolings by {pool} leave nothing of a {sample_shape[1:]} image at stride {stride}; "
                "use fewer"
            )
        conv = ScaledWSConv2d if weight_standardisation else nn.Conv2d
        scale = POST_SPIKE_SCALE if weight_standardisation else 1.0
        sizes = [sample_shape[0], *channels]
        blocks = []
        for index, (before, after) in enumerate(pairwise(sizes)):
            height, width = sides[index]
            synapse: nn.Module = conv(
                before, after, kernel_size, stride=stride if index == 0 else 1, padding=kernel_size // 2
            )
            if index > 0:
                synapse = nn.Sequential(nn.AvgPool2d(pool), synapse)
            blocks.append(Block(synapse, neuron(shape=(after, height, width)), scale))
        readout = nn.Linear(sizes[-1] * math.prod(sides[-1]), classes)
        super().__init__(blocks, nn.Sequential(nn.AvgPool2d(pool), nn.Flatten(), readout))
