"""hybrid-detector: the network of ``hybrid-conv`` with a head that says at every place of a grid which box is there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from reference_impls.api import Neuron, State, Synapse
from reference_impls.dense_network import DenseAnswer, DenseNetwork
from reference_impls.systems._image_layers import ANN, neuron_of
from reference_impls.topologies._chain import Block
from reference_impls.topologies._hybrid import Accumulator, Hybrid

CARD = {
    "name": "hybrid-detector",
    "kind": "system",
    "version": 1,
    "title": "Hybrid SNN-ANN detector",
    "summary": (
        "Spiking convolutions read events, an accumulator adds up the last layer's spikes over each window, and an ANN "
        "of convolutions says at every place of a grid whether a box has its centre there, and which."
    ),
    "equations": (
        "I_l[t] = K_l s_{l-1}[t], without a bias; A_k = sum_{t in window k} leak^(t_end - t) s_L[t]; "
        "answer[t_end] = W relu(K A_k + b) + b at every place"
    ),
    "citations": [
        {
            "authors": "A. Kugele, T. Pfeil, M. Pfeiffer, E. Chicca",
            "title": "Hybrid SNN-ANN: Energy-Efficient Classification and Object Detection for Event-Based Vision",
            "venue": "DAGM GCPR, LNCS 13024",
            "year": 2021,
            "arxiv": "2112.03423",
        },
    ],
    "capabilities": {"answers": "boxes", "spiking": True, "learns": True},
    "defaults": {
        "channels": [32, 64, 64, 128],
        "strides": [2, 2, 1, 2],
        "window": 5,
        "leak": 1.0,
        "head": [64],
        "neuron": "lif",
        "gain": 3.0,
    },
    "variants": {
        "hybrid-detector-ann": {
            "title": "The hybrid detector without spikes",
            "summary": "The same network with rectifiers in place of its spiking layers: numbers are added up.",
            "params": {"neuron": "relu", "gain": 1.0},
            "capabilities": {"spiking": False},
        },
    },
    "divergences": [
        "A re-implementation of the concept, as hybrid-conv: neither the paper's text nor code of its authors could be "
        "read. Its head is thought to be like SSD's, with default boxes on two scales; here a place tells one box by "
        "centre and size, on one scale, for objects differ in size by a factor of two.",
        "The backbone is that of hybrid-conv, so only the head differs between classification and detection; its "
        "weights begin `gain` times as large as He's, without which few neurons of a sparse input fire.",
    ],
}

RARE = 0.02
"""Share of places that an untrained head believes to hold a box, so that the many without do not drown the few."""


class HybridDetector(DenseNetwork):
    """A hybrid whose head answers on a grid, at the end of each of its windows; elsewhere its answer is 0.

    Parameters
    ----------
    sample_shape : ``(channels, height, width)``.
    components : numbers for each place: a box, its centre and size, and a logit for each class.
    channels, strides : of the spiking convolutions; the product of the strides is a place's side.
    window : time steps after which the head reads.
    leak : what a step leaves of the accumulator (1: it counts).
    head : output channels of the ANN's convolutions before the last one.
    neuron : of the spiking layers; ``relu`` makes an ANN of them.
    gain : by which their weights are larger than He's to begin with.

    Raises
    ------
    ValueError
        If a stride for each layer is missing.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        components: int,
        channels: Sequence[int] = (32, 64, 64, 128),
        strides: Sequence[int] = (2, 2, 1, 2),
        window: int = 5,
        leak: float = 1.0,
        head: Sequence[int] = (64,),
        neuron: str = "lif",
        gain: float = 3.0,
    ) -> None:
        super().__init__()
        if not channels or len(strides) != len(channels) or min(*channels, *strides) < 1:
            raise ValueError(
                f"channels and strides must give one positive number for each spiking layer, got {list(channels)} and "
                f"{list(strides)}"
            )
        self.sends_numbers = neuron == ANN
        height, width = sample_shape[1:]
        blocks = []
        for (before, after), stride in zip(pairwise((sample_shape[0], *channels)), strides, strict=True):
            height, width = -(-height // stride), -(-width // stride)
            synapse = nn.Conv2d(before, after, 3, stride, 1, bias=False)
            nn.init.kaiming_normal_(synapse.weight)
            with torch.no_grad():
                synapse.weight.mul_(gain)
            blocks.append(Block(synapse, neuron_of(neuron, (after, height, width), {})))
        maps: list[nn.Module] = [nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise((channels[-1], *head))]
        last = nn.Conv2d([channels[-1], *head][-1], components, 1)
        assert last.bias is not None
        with torch.no_grad():
            last.weight.mul_(0.1)
            last.bias.zero_()
            last.bias[0] = math.log(RARE / (1 - RARE))
        self.hybrid = Hybrid(blocks, Accumulator(window, leak), [*maps, last], (components, height, width))

    def answer(self, x: Tensor, states: Sequence[State | None] | None = None) -> DenseAnswer:
        """Process ``x[T, B, channels, H, W]``."""
        out = self.hybrid.run(x, None if states is None else tuple(states))
        return DenseAnswer(out.logits, out.states)

    def neurons(self) -> tuple[Neuron, ...]:
        """Return the layers that fire."""
        return self.hybrid.neurons()

    def synapses(self) -> tuple[Synapse, ...]:
        """Return the maps of the spiking layers and of the head."""
        found = self.hybrid.synapses()
        if not self.sends_numbers:
            return found
        return tuple(one._replace(source="rates") if one.source == "spikes" else one for one in found)
