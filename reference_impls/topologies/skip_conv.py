"""skip-conv: convolutions with concatenating and adding skips at any place of their blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from reference_impls.api import NeuronFactory
from reference_impls.topologies._skip import SkipBlock, SkipNetwork
from reference_impls.topologies._wiring import Wiring, read_wiring

CARD = {
    "name": "skip-conv",
    "kind": "topology",
    "version": 1,
    "title": "Convolutions with skips, concatenated everywhere",
    "summary": (
        "As skip-mlp, with padded convolutions: concatenation (DSC) and addition (ASC) are along the channels. A skip "
        "across a pooling is pooled on its way (DSC), or strides with its 1 x 1 convolution (ASC)."
    ),
    "equations": (
        "input_j = concat(pool(z_{j-1} + sum over ASC i of P_ij * z_i), pool(z_i) for every DSC i); z_j = "
        "neuron(K_j * input_j + b_j); P_ij: identity, or 1 x 1, strided, without bias where the shapes differ"
    ),
    "citations": [
        {
            "authors": "H. Benmeziane, A. Z. Ounnoughene, I. Hamzaoui, Y. Bouhadjar",
            "title": "Skip Connections in Spiking Neural Networks: An Analysis of Their Effect on Network Training",
            "venue": "IPDPS Workshops",
            "year": 2023,
            "arxiv": "2303.13563",
            "doi": "10.1109/IPDPSW59300.2023.00132",
        }
    ],
    "capabilities": {"structure": "skip", "sample_dims": [3], "sized_as": "skip-conv"},
    "defaults": {"channels": [8, 8, 8, 8], "pools": [2, 1, 1, 2], "kernel_size": 3, "skips": "dsc"},
    "variants": {
        "skip-conv-asc": {
            "title": "Convolutions with skips, added everywhere",
            "params": {"skips": "asc"},
        },
        "skip-conv-plain": {
            "title": "Convolutions with skips, without any",
            "summary": "The plain network of the same layers, which a search of skips is to beat.",
            "params": {"skips": "none"},
        },
    },
    "divergences": [
        "Only the paper's abstract could be read: position, type and number of skips are searched there as here; the "
        "matrix form, the projections and adding spikes before (not currents after) the linear map are our definition.",
        "The paper adapts ResNet-18, DenseNet-121 and MobileNetV2; these are small networks of the same two skips, "
        "without batch norm.",
    ],
}


class SkipConv(SkipNetwork):
    """Convolutional network with skips.

    Parameters
    ----------
    sample_shape : ``(channels, height, width)``.
    classes : read-out units.
    neuron : called once a layer.
    channels : output channels of each layer; the first layer feeds the first block.
    pools : side of the average pooling of each layer's spikes (1: none). It counts as part of the linear map that
        reads them; spikes are added before it, at their own size.
    kernel_size : odd; the padding keeps the size.
    skips, depths : as in ``skip-mlp``.

    Raises
    ------
    ValueError
        If the blocks do not make up the layers, a matrix is no adjacency, the poolings leave nothing of the image, or
        an added skip crosses a pooling that leaves a remainder.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        classes: int,
        neuron: NeuronFactory,
        channels: Sequence[int] = (8, 8, 8, 8),
        pools: Sequence[int] = (2, 1, 1, 2),
        kernel_size: int = 3,
        skips: Wiring = "dsc",
        depths: Sequence[int] | None = None,
    ) -> None:
        sides = _sides(sample_shape, channels, pools, kernel_size)
        blocks = []
        for layer, arriving in enumerate(read_wiring(skips, len(channels), depths)):
            before = channels[layer - 1] if layer else sample_shape[0]
            widths = [before, *(channels[layer - distance] for distance in arriving.concatenated)]
            whole = nn.Conv2d(sum(widths), channels[layer], kernel_size, padding=kernel_size // 2)
            main, *taps = _shares(whole, widths)
            added = []
            for distance in arriving.added:
                i = layer - distance
                stride = math.prod(pools[i : layer - 1])
                _check_divides(sides[i], stride, i, layer)
                added.append((distance, _projection(channels[i], before, stride)))
            tapped = [
                (distance, _pooled(pools[layer - distance : layer], tap))
                for distance, tap in zip(arriving.concatenated, taps, strict=True)
            ]
            synapse = _pooled(pools[layer - 1 : layer], main)
            blocks.append(SkipBlock(synapse, neuron(shape=(channels[layer], *sides[layer])), added, tapped))
        readout = nn.Linear(channels[-1] * math.prod(sides[-1]), classes)
        super().__init__(blocks, nn.Sequential(*_poolings(pools[-1:]), nn.Flatten(), readout))


def _sides(
    sample_shape: tuple[int, ...], channels: Sequence[int], pools: Sequence[int], kernel_size: int
) -> list[tuple[int, int]]:
    """Return height and width of each layer's spikes, and behind the last pooling."""
    if len(sample_shape) != 3:
        raise ValueError(f"skip-conv needs samples of shape (channels, height, width), got {tuple(sample_shape)}")
    if not channels or len(pools) != len(channels) or min(*channels, *pools) < 1:
        raise ValueError(
            f"channels and pools must give one positive number for each layer, got {list(channels)} and {list(pools)}"
        )
    if kernel_size % 2 == 0:
        raise ValueError(f"kernel_size must be odd, so that the padding keeps the size; got {kernel_size}")
    sides = [(sample_shape[1], sample_shape[2])]
    for pool in pools:
        sides.append((sides[-1][0] // pool, sides[-1][1] // pool))
    if min(sides[-1]) < 1:
        raise ValueError(f"poolings by {list(pools)} leave nothing of a {sample_shape[1:]} image; use fewer")
    return sides


def _check_divides(sides: tuple[int, int], stride: int, i: int, j: int) -> None:
    if any(side % stride for side in sides):
        raise ValueError(
            f"the added skip from layer {i + 1} to layer {j + 1} strides by {stride} over {sides[0]} x {sides[1]} "
            "spikes, which leaves a remainder; pool elsewhere, or concatenate"
        )


def _projection(before: int, after: int, stride: int) -> nn.Module:
    return nn.Identity() if (before, stride) == (after, 1) else nn.Conv2d(before, after, 1, stride, bias=False)


def _poolings(pools: Sequence[int]) -> list[nn.Module]:
    return [nn.AvgPool2d(pool) for pool in pools if pool > 1]


def _pooled(pools: Sequence[int], weight: nn.Conv2d) -> nn.Module:
    poolings = _poolings(pools)
    return nn.Sequential(*poolings, weight) if poolings else weight


def _shares(whole: nn.Conv2d, widths: Sequence[int]) -> list[nn.Conv2d]:
    """Cut a convolution over concatenated channels into one for each part; the first keeps the bias."""
    size, padding = whole.kernel_size[0], whole.kernel_size[0] // 2
    shares = [
        nn.utils.skip_init(nn.Conv2d, width, whole.out_channels, size, padding=padding, bias=not i)
        for i, width in enumerate(widths)
    ]
    with torch.no_grad():
        for share, weight in zip(shares, whole.weight.split(list(widths), dim=1), strict=True):
            share.weight.copy_(weight)
        if whole.bias is not None and shares[0].bias is not None:
            shares[0].bias.copy_(whole.bias)
    return shares
