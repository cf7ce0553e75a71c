"""EVSNN: events to video with a spiking encoder and decoder, and a potential that never fires as the image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from reference_impls.api import Neuron, State, Synapse
from reference_impls.dense_network import DenseAnswer, DenseNetwork
from reference_impls.systems._image_layers import IMAGE_DEVIATION, Potential, check_divides
from reference_impls.systems._image_trunk import Trunk

CARD = {
    "name": "evsnn",
    "kind": "system",
    "version": 1,
    "title": "EVSNN: spiking event-to-video network",
    "summary": (
        "A U-Net of LIF layers reads a signed bin of events at each step; a leaky integrator that never fires, the MP "
        "neuron, is the image."
    ),
    "equations": (
        "layers: h = v + (x - v) / 2, s = 1 if h >= 1, v = h - s; x = BN(K * input), decoder inputs concatenated and "
        "doubled in size first; image: u[t] = u[t-1] + (BN(W [decoder, head]) - u[t-1]) / 2"
    ),
    "citations": [
        {
            "authors": "L. Zhu, X. Wang, Y. Chang, J. Li, T. Huang, Y. Tian",
            "title": "Event-Based Video Reconstruction via Potential-Assisted Spiking Neural Network",
            "venue": "CVPR",
            "year": 2022,
            "arxiv": "2201.10943",
            "code": "https://github.com/LinZhu111/EVSNN (commit 9404c0a)",
        }
    ],
    "capabilities": {"answers": "frames", "spiking": True, "learns": True, "input_channels": 1, "divides": 8},
    "defaults": {"base": 32, "neuron": "lif", "shared_state": True},
    "variants": {
        "evsnn-ann": {
            "title": "EVSNN's network without spikes",
            "summary": "The same convolutions with rectifiers; only the MP read-out remembers.",
            "params": {"neuron": "relu"},
            "capabilities": {"spiking": False},
        },
        "evsnn-two-nodes": {
            "title": "EVSNN, a neuron for each current of the residual block",
            "summary": "As evsnn, but the two layers of its residual block have membranes of their own.",
            "params": {"shared_state": False},
        },
    },
    "divergences": [
        "In the authors' code the residual block uses one LIF object twice a step, so that its membrane takes the "
        "inner and the outer current in turn; evsnn does so too, evsnn-two-nodes does not.",
        "Batch norm's statistics in training are those of all steps of a batch together (of each step in the residual "
        "block's second one); how the authors trained is not public.",
        "The image begins with a deviation of 0.1, about that of what it has to show; the authors keep torch's values.",
        "Trained here with a squared error on generated scenes, not with LPIPS and temporal consistency on COCO.",
    ],
}


class EVSNN(DenseNetwork):
    """U-Net of spiking layers with an MP read-out.

    Parameters
    ----------
    sample_shape : ``(1, height, width)``, multiples of 8.
    components : of the image, 1 for intensity.
    base : channels of the first layer (published: 32); the encoder doubles them three times.
    neuron : of every layer that fires; ``relu`` makes it an ANN.
    shared_state : whether the residual block's two currents feed one membrane.

    With 32 channels it has the 4,408,546 parameters of the authors' code.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        components: int,
        base: int = 32,
        neuron: str = "lif",
        shared_state: bool = True,
    ) -> None:
        super().__init__()
        check_divides("evsnn", sample_shape, 8)
        self.trunk = Trunk(sample_shape, base, neuron, shared_state)
        self.image = Potential(2 * base, components)
        # Frames span a few tenths about the middle grey; a picture of deviation 1 would have to be unlearned first.
        nn.init.constant_(self.image.conv.norm.weight, IMAGE_DEVIATION)

    def answer(self, x: Tensor, states: Sequence[State | None] | None = None) -> DenseAnswer:
        """Process ``x[T, B, 1, H, W]``."""
        self.refuse_other_batch(x, tuple(states) if states is not None else None)
        *of_trunk, before = states if states is not None else [None] * (Trunk.LAYERS + 1)
        features, after = self.trunk.run(x, of_trunk)
        image, potential = self.image.run(torch.cat([features["u3"], features["head"]], dim=2), before)
        return DenseAnswer(image, (*after, potential))

    def neurons(self) -> tuple[Neuron, ...]:
        """Return the layers that fire."""
        return self.trunk.neurons()

    def synapses(self) -> tuple[Synapse, ...]:
        """Return the convolutions; behind a bilinear doubling a spike is no spike any more, so those are mixed."""
        return (*self.trunk.synapses(), Synapse("image", self.image.conv.map, self.trunk.sent))
