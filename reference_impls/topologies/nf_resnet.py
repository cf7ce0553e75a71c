"""nf-resnet: residual blocks without batch norm, carrying currents around the neurons: OTTT's ImageNet network."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from reference_impls.api import Apply, FeedForward, Fire, LayerShape, Neuron, NeuronFactory, Signal, Synapse
from reference_impls.synapses import ScaledWSConv2d
from reference_impls.topologies._chain import POST_SPIKE_SCALE

CARD = {
    "name": "nf-resnet",
    "kind": "topology",
    "version": 1,
    "title": "Normaliser-free residual network (NF-ResNet)",
    "summary": (
        "Pre-activation residual blocks of two neuron layers and two convolutions with scaled weight standardisation; "
        "the path around a block carries its input current, so nothing needs the statistics of a batch."
    ),
    "equations": (
        "o = 2.74 sn1(r / beta); r' = alpha g conv2(2.74 sn2(conv1(o))) + (conv1x1(o) if the shape changes else r); "
        "g learned, from 0; beta^2 = 1 before the first block, 1 + alpha^2 after one that changes the shape, else "
        "beta^2 + alpha^2; O[t] = W_o mean_space(r) + b_o"
    ),
    "citations": [
        {
            "authors": "M. Xiao, Q. Meng, Z. Zhang, D. He, Z. Lin",
            "title": "Online Training Through Time for Spiking Neural Networks",
            "venue": "NeurIPS",
            "year": 2022,
            "arxiv": "2210.04195",
            "code": "https://github.com/pkuxmq/OTTT-SNN",
        },
        {
            "authors": "A. Brock, S. De, S. L. Smith",
            "title": "Characterizing signal propagation to close the performance gap in unnormalized ResNets",
            "venue": "ICLR",
            "year": 2021,
            "arxiv": "2101.08692",
        },
    ],
    "capabilities": {"structure": "residual", "sample_dims": [3]},
    "defaults": {"channels": [16, 32], "depth": 1, "stem_kernel": 3, "stem_stride": 1, "alpha": 0.2},
    "divergences": [
        "The published network is NF-ResNet-34 for ImageNet: channels 64, 128, 256, 512, depth 3, 4, 6, 3, a 7 x 7 "
        "stem of stride 2 and average pooling by 3 (stem_kernel=7, stem_stride=2, stem_pool=True). The defaults are "
        "for images of 8 to 32 pixels.",
    ],
}


class NFBlock(nn.Module):
    """A residual block.

    Parameters
    ----------
    entering : shape of the current that comes in, ``(C, H, W)``; its first neurons are fed with it.
    after : channels of the second layer and of the current that goes out.
    stride : of the first convolution.
    neuron : called for both layers.
    alpha, beta : weight of the branch, and the square root of the variance that the input is expected to have.
    """

    def __init__(
        self, entering: LayerShape, after: int, stride: int, neuron: NeuronFactory, alpha: float, beta: float
    ) -> None:
        super().__init__()
        before = entering[0]
        self.leaving: LayerShape = (after, *(-(-side // stride) for side in entering[1:]))
        self.neurons = nn.ModuleList([neuron(shape=entering), neuron(shape=self.leaving)])
        self.conv1 = ScaledWSConv2d(before, after, 3, padding=1, stride=stride)
        self.conv2 = ScaledWSConv2d(after, after, 3, padding=1)
        changes = stride != 1 or before != after
        self.shortcut = ScaledWSConv2d(before, after, 1, stride=stride) if changes else None
        self.gain = nn.Parameter(torch.zeros(()))
        self.alpha = alpha
        self.beta = beta

    def wire(self, r: Tensor, first_layer: int, fire: Fire, apply: Apply) -> tuple[Tensor, Signal]:
        """Send the current `r` through and around the block, whose neurons are `first_layer` and the next."""
        outer = fire(first_layer, r / self.beta) * POST_SPIKE_SCALE
        inner = fire(first_layer + 1, apply(self.conv1, outer)) * POST_SPIKE_SCALE
        around = r if self.shortcut is None else apply(self.shortcut, outer)
        return self.alpha * self.gain * apply(self.conv2, inner) + around, inner


class NFResNet(FeedForward):
    """Normaliser-free residual network.

    Parameters
    ----------
    sample_shape : ``(channels, height, width)``.
    classes : read-out units; the read-out starts at 0 and sees the last current, averaged over space.
    neuron : called twice a block.
    channels : of each stage; a stage after the first begins with a block of stride 2.
    depth : blocks of each stage (one number: of all).
    stem_kernel, stem_stride : of the first convolution.
    stem_pool : average pooling 3 x 3 of stride 2 behind it.
    alpha : weight of a block's branch.
    """

    structure = "residual"

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        classes: int,
        neuron: NeuronFactory,
        channels: Sequence[int] = (16, 32),
        depth: int | Sequence[int] = 1,
        stem_kernel: int = 3,
        stem_stride: int = 1,
        stem_pool: bool = False,
        alpha: float = 0.2,
    ) -> None:
        super().__init__()
        if len(sample_shape) != 3:
            raise ValueError(f"nf-resnet needs samples of shape (channels, height, width), got {tuple(sample_shape)}")
        depths = [depth] * len(channels) if isinstance(depth, int) else list(depth)
        if not channels or len(depths) != len(channels) or min(depths) < 1:
            raise ValueError(f"depth must give at least one block for each of {len(channels)} stages, got {depth}")
        if stem_kernel % 2 == 0:
            raise ValueError(f"stem_kernel must be odd, so that the padding keeps the size; got {stem_kernel}")
        stem = ScaledWSConv2d(sample_shape[0], channels[0], stem_kernel, padding=stem_kernel // 2, stride=stem_stride)
        self.stem = stem
        self.stem_pool = nn.AvgPool2d(3, 2, 1) if stem_pool else None
        shrinks = [stem_stride, *[2] * stem_pool]
        sides = [functools.reduce(lambda side, by: -(-side // by), shrinks, side) for side in sample_shape[1:]]
        current: LayerShape = (channels[0], *sides)
        blocks, variance = [], 1.0
        for stage, (after, many) in enumerate(zip(channels, depths, strict=True)):
            for index in range(many):
                stride = 2 if stage > 0 and index == 0 else 1
                block = NFBlock(current, after, stride, neuron, alpha, variance**0.5)
                variance = (variance if block.shortcut is None else 1.0) + alpha**2
                blocks.append(block)
                current = block.leaving
        self.blocks = nn.ModuleList(blocks)
        readout = nn.Linear(current[0], classes)
        nn.init.zeros_(readout.weight)
        nn.init.zeros_(readout.bias)
        self.readout = nn.Sequential(nn.AvgPool2d((current[1], current[2])), nn.Flatten(), readout)

    def wire(self, x: Signal, fire: Fire, apply: Apply, fed_back: Signal = None) -> tuple[Tensor, Signal]:
        """Send `x` through stem and blocks; the read-out gets the current behind the last one."""
        current, last = apply(self.stem, x), None
        if self.stem_pool is not None:
            current = apply(self.stem_pool, current)
        for index, block in enumerate(self._blocks()):
            current, last = block.wire(current, 2 * index, fire, apply)
        return apply(self.readout, current), last

    def neurons(self) -> tuple[Neuron, ...]:
        """Return the two layers of every block."""
        return tuple(layer for block in self._blocks() for layer in block.neurons if isinstance(layer, Neuron))

    def synapses(self) -> tuple[Synapse, ...]:
        """Return stem, convolutions and read-out; a ``shortcut`` leaves the same layer as the map before it."""
        found = [Synapse("stem", self.stem, "input")]
        for index, block in enumerate(self._blocks(), start=1):
            found.append(Synapse(f"block{index}.conv1", block.conv1, "spikes", POST_SPIKE_SCALE))
            if block.shortcut is not None:
                found.append(Synapse(f"block{index}.shortcut", block.shortcut, "spikes", POST_SPIKE_SCALE))
            found.append(Synapse(f"block{index}.conv2", block.conv2, "spikes", POST_SPIKE_SCALE))
        return (*found, Synapse("readout", self.readout, "rates"))

    def _blocks(self) -> tuple[NFBlock, ...]:
        return tuple(block for block in self.blocks if isinstance(block, NFBlock))
