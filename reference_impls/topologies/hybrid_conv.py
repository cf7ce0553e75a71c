"""hybrid-conv: spiking convolutions, an accumulator, and an ANN that reads what was added up."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from reference_impls.api import NeuronFactory
from reference_impls.topologies._chain import Block
from reference_impls.topologies._hybrid import Accumulator, Hybrid

CARD = {
    "name": "hybrid-conv",
    "kind": "topology",
    "version": 1,
    "title": "Hybrid SNN-ANN, convolutional",
    "summary": (
        "Spiking convolutions read events, an accumulator adds up the last layer's spikes over windows of a few steps, "
        "and an ANN of convolutions reads each window's sums. The parts talk in spikes; one gradient goes through both."
    ),
    "equations": (
        "I_l[t] = K_l s_{l-1}[t], without a bias; A_k = sum_{t in window k} leak^(t_end - t) s_L[t]; "
        "O[t_end] = W mean(relu(K relu(K A_k + b) + b)) + b, O[t] = 0 at other steps"
    ),
    "citations": [
        {
            "authors": "A. Kugele, T. Pfeil, M. Pfeiffer, E. Chicca",
            "title": "Hybrid SNN-ANN: Energy-Efficient Classification and Object Detection for Event-Based Vision",
            "venue": "DAGM GCPR, LNCS 13024",
            "year": 2021,
            "arxiv": "2112.03423",
        },
        {
            "authors": "V. Fischer, J. Koehler, T. Pfeil",
            "title": "The streaming rollout of deep networks - towards fully model-parallel execution",
            "venue": "NeurIPS",
            "year": 2018,
        },
    ],
    "capabilities": {"structure": "delayed", "sample_dims": [3]},
    "defaults": {
        "channels": [32, 64, 64, 128],
        "strides": [2, 2, 1, 2],
        "kernel_size": 3,
        "window": 5,
        "leak": 1.0,
        "cleared": True,
        "head": [64, 64],
    },
    "divergences": [
        "A re-implementation of the concept: neither the paper's text nor code of its authors could be read. What is "
        "certain of it (spiking layers on events, binary spikes added up for an ANN head, trained as one) is here; "
        "widths, windows, neuron and training are choices of this project.",
        "The head has no batch norm: a sample's answer would depend on the others of its batch, and a window's on how "
        "the sequence was cut, which truncated and checkpointed BPTT do.",
        "Several answers of one sample share one loss through the method's read-out: their mean under BPTT, each by "
        "itself under bptt-tet. The head reads counts, not divided by the window.",
        "Additions of the accumulator, one for each spike that arrives, and the head's ReLUs are in no count of "
        "operations; the suite streaming gives the spikes that arrive.",
    ],
}


class HybridConv(Hybrid):
    """Spiking convolutions ``32-64-64-128`` and a head ``64-64``, global average and a linear map, with its defaults.

    Parameters
    ----------
    sample_shape : ``(channels, height, width)``.
    classes : read-out units.
    neuron : called once a spiking layer.
    channels : output channels of each spiking convolution.
    strides : of each of them; what they leave of a side is rounded up.
    kernel_size : of every convolution; odd: the padding keeps the size.
    window : time steps after which the head reads; a sequence of T steps has T // window answers.
    leak : what a step leaves of the accumulator (1: it counts).
    cleared : whether each window begins with an empty accumulator. Membranes are never cleared.
    head : output channels of the ANN's convolutions; none: its linear map reads the sums.

    Raises
    ------
    ValueError
        If there is no spiking layer, a stride for each is missing, or the kernel is even.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        classes: int,
        neuron: NeuronFactory,
        channels: Sequence[int] = (32, 64, 64, 128),
        strides: Sequence[int] = (2, 2, 1, 2),
        kernel_size: int = 3,
        window: int = 5,
        leak: float = 1.0,
        cleared: bool = True,
        head: Sequence[int] = (64, 64),
    ) -> None:
        if len(sample_shape) != 3:
            raise ValueError(f"hybrid-conv needs samples of shape (channels, height, width), got {tuple(sample_shape)}")
        if not channels or len(strides) != len(channels) or min(*channels, *strides) < 1:
            raise ValueError(
                f"channels and strides must give one positive number for each spiking layer, got {list(channels)} and "
                f"{list(strides)}"
            )
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, so that the padding keeps the size; got {kernel_size}")
        height, width = sample_shape[1:]
        blocks = []
        for (before, after), stride in zip(pairwise((sample_shape[0], *channels)), strides, strict=True):
            height, width = -(-height // stride), -(-width // stride)
            synapse = nn.Conv2d(before, after, kernel_size, stride, kernel_size // 2, bias=False)
            nn.init.kaiming_normal_(synapse.weight)
            blocks.append(Block(synapse, neuron(shape=(after, height, width))))
        maps: list[nn.Module] = []
        for before, after in pairwise((channels[-1], *head)):
            convolution = nn.Conv2d(before, after, kernel_size, padding=kernel_size // 2)
            nn.init.kaiming_normal_(convolution.weight)
            maps.append(convolution)
        readout = nn.Linear([channels[-1], *head][-1], classes)
        maps.append(nn.Sequential(nn.AvgPool2d((height, width)), nn.Flatten(), readout))
        super().__init__(blocks, Accumulator(window, leak, cleared), maps, (classes,))
