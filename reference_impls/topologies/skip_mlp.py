"""skip-mlp: fully connected layers with concatenating and adding skips at any place of their blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from reference_impls.api import NeuronFactory
from reference_impls.topologies._skip import SkipBlock, SkipNetwork
from reference_impls.topologies._wiring import Wiring, read_wiring

CARD = {
    "name": "skip-mlp",
    "kind": "topology",
    "version": 1,
    "title": "Perceptron with skips, concatenated everywhere",
    "summary": (
        "A first layer and blocks of fully connected layers in which any layer may also receive the spikes of earlier "
        "ones: concatenated (DSC, DenseNet-like) or added to those of the layer before (ASC, ResNet-like). Which, is "
        "an adjacency matrix for each block, and what `spikeboard search` looks for."
    ),
    "equations": (
        "z_0: spikes of the layer before the block; input_j = concat(z_{j-1} + sum over ASC i of P_ij z_i, z_i for "
        "every DSC i); z_j = neuron(W_j input_j + b_j); P_ij: identity, or linear without bias where widths differ"
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
    "capabilities": {"structure": "skip", "sample_dims": [1, 2, 3], "sized_as": "skip-mlp"},
    "defaults": {"hidden": [32, 32, 32, 32], "skips": "dsc"},
    "variants": {
        "skip-mlp-asc": {
            "title": "Perceptron with skips, added everywhere",
            "params": {"skips": "asc"},
        },
        "skip-mlp-plain": {
            "title": "Perceptron with skips, without any",
            "summary": "The plain network of the same layers, which a search of skips is to beat.",
            "params": {"skips": "none"},
        },
    },
    "divergences": [
        "Only the paper's abstract could be read: position, type and number of skips are searched there as here; the "
        "matrix form, the projections and adding spikes before (not currents after) the linear map are our definition.",
        "The paper adapts ResNet-18, DenseNet-121 and MobileNetV2; these are small networks of the same two skips.",
    ],
}


class SkipMLP(SkipNetwork):
    """Fully connected network with skips.

    Parameters
    ----------
    sample_shape : shape of one sample at one step; flattened.
    classes : read-out units.
    neuron : called once a layer.
    hidden : neurons of each layer; the first layer feeds the first block.
    skips : ``none``, ``dsc`` or ``asc`` everywhere, or for each block its adjacency matrix: entry (i, j), i < j - 1,
        is 0, 1 (DSC) or 2 (ASC) for the skip from layer i to layer j, layer 0 being the block's input.
    depths : layers of each block; None: what the matrices say, or one block.

    Raises
    ------
    ValueError
        If the blocks do not make up the layers, or a matrix is no adjacency.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        classes: int,
        neuron: NeuronFactory,
        hidden: Sequence[int] = (32, 32, 32, 32),
        skips: Wiring = "dsc",
        depths: Sequence[int] | None = None,
    ) -> None:
        if not hidden or min(hidden) < 1:
            raise ValueError(f"hidden must list at least one layer of at least one neuron, got {list(hidden)}")
        blocks = []
        for layer, arriving in enumerate(read_wiring(skips, len(hidden), depths)):
            before = hidden[layer - 1] if layer else math.prod(sample_shape)
            widths = [before, *(hidden[layer - distance] for distance in arriving.concatenated)]
            main, *taps = _shares(nn.Linear(sum(widths), hidden[layer]), widths)
            added = [(distance, _projection(hidden[layer - distance], before)) for distance in arriving.added]
            synapse = nn.Sequential(nn.Flatten(), main) if layer == 0 and len(sample_shape) != 1 else main
            tapped = list(zip(arriving.concatenated, taps, strict=True))
            blocks.append(SkipBlock(synapse, neuron(shape=(hidden[layer],)), added, tapped))
        super().__init__(blocks, nn.Linear(hidden[-1], classes))


def _projection(before: int, after: int) -> nn.Module:
    return nn.Identity() if before == after else nn.Linear(before, after, bias=False)


def _shares(whole: nn.Linear, widths: Sequence[int]) -> list[nn.Linear]:
    """Cut a map over a concatenation into one for each part, with its initial values; the first keeps the bias."""
    shares = [nn.utils.skip_init(nn.Linear, width, whole.out_features, bias=not i) for i, width in enumerate(widths)]
    with torch.no_grad():
        for share, weight in zip(shares, whole.weight.split(list(widths), dim=1), strict=True):
            share.weight.copy_(weight)
        shares[0].bias.copy_(whole.bias)
    return shares
