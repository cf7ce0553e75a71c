"""spike-driven-transformer: attention that only adds and masks, between blocks that hand on currents."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from reference_impls.api import Apply, Neuron, NeuronFactory, Synapse, over_time
from reference_impls.topologies._attention import (
    AttentionNetwork,
    Patches,
    Send,
    SpikeProduct,
    coincidences,
    mapped,
    refuse_shapes,
)
from reference_impls.topologies._normalised import NormalisedConv2d

CARD = {
    "name": "spike-driven-transformer",
    "kind": "topology",
    "version": 1,
    "title": "Spike-driven transformer",
    "summary": (
        "Convolutions make tokens of an image. Attention counts, channel by channel, where keys and values fire "
        "together; where the count fires, the queries' spikes pass. Blocks add currents, so that every map is fed with "
        "single spikes."
    ),
    "equations": (
        "u = c_P + BN(conv(SN(c_P))), c_P the pooled currents of the patches; s = SN(u); Q, K, V = SN(BN(W s)); "
        "g = SN(sum_tokens K V); u <- u + BN(W_p (g Q)); u <- u + BN(W_2 SN(BN(W_1 SN(u)))); "
        "O[t] = W_o SN(mean_tokens u[t]) + b_o; BN over batch, tokens and steps, folded into the weights for inference"
    ),
    "citations": [
        {
            "authors": "M. Yao, J. Hu, Z. Zhou, L. Yuan, Y. Tian, B. Xu, G. Li",
            "title": "Spike-driven Transformer",
            "venue": "NeurIPS",
            "year": 2023,
            "arxiv": "2307.01694",
            "code": "https://github.com/BICLab/Spike-Driven-Transformer (commit 3faa822)",
        }
    ],
    "capabilities": {"structure": "delayed", "sample_dims": [3], "sized_as": "conv"},
    "defaults": {
        "channels": [16, 32],
        "kernel_size": 3,
        "pool": 2,
        "stride": 1,
        "depth": 1,
        "mlp_ratio": 4.0,
    },
    "divergences": [
        "The authors' networks have 256 to 768 channels, 2 to 10 blocks and four convolutions of D/8, D/4, D/2 and D "
        "channels. Sizes here are those that a task gives conv, every convolution but the first is pooled, and there "
        "is one block.",
        "Attention is taken channel by channel, so the number of heads, which the release takes, changes nothing.",
        "The authors' LIF decays its input (tau 2), and the one that counts coincidences has half the threshold: there "
        "and with lif here, which does neither, one coincidence fires. Another neuron decides by itself.",
        "The release's pooling of keys, values and what is attended to (for event cameras) is not here.",
        "Of several equal maxima in a pooling all share the gradient; the release's takes the first.",
        "Its structure is called delayed: while training, a current depends on other steps of the batch.",
        "A sum over coincidences counts one addition for each; masks, sums of currents, the maximum in the patches and "
        "the mean over tokens before the last neurons are in no count.",
        "No golden vectors: the tests restate the equations in numpy.",
    ],
}


class SpikeDrivenBlock(nn.Module):
    """Spike-driven self-attention (SDSA) and two layers, both added as currents.

    Parameters
    ----------
    width, hidden : channels of a token, and of the hidden layer.
    shape : how the tokens lie, ``(H, W)``.
    neuron : called once for each layer.
    """

    def __init__(self, width: int, hidden: int, shape: Sequence[int], neuron: NeuronFactory) -> None:
        super().__init__()
        self.entering = neuron(shape=(width, *shape))
        self.query, self.key, self.value = (mapped(width, width, shape, neuron) for _ in range(3))
        self.coincidences = SpikeProduct(coincidences)
        self.gate = neuron(shape=(width, 1, 1))
        self.projection = NormalisedConv2d(width, width, 1)
        self.before = neuron(shape=(width, *shape))
        self.first = mapped(width, hidden, shape, neuron)
        self.second = NormalisedConv2d(hidden, width, 1)

    def wire(self, u: Tensor, send: Send, apply: Apply) -> Tensor:
        """Return the current ``[T, B, D, H, W]`` after the block."""
        s = send(self.entering, u)
        q, k, v = (send(block.neuron, apply(block.synapse, s)) for block in (self.query, self.key, self.value))
        gate = send(self.gate, self.coincidences.over(k, v))
        u = u + apply(self.projection, gate * q)
        hidden = send(self.first.neuron, apply(self.first.synapse, send(self.before, u)))
        return u + apply(self.second, hidden)

    def neurons(self) -> tuple[Neuron, ...]:
        """Return the neurons in the order in which they fire."""
        attending = (block.neuron for block in (self.query, self.key, self.value))
        return (self.entering, *attending, self.gate, self.before, self.first.neuron)

    def synapses(self, name: str) -> tuple[Synapse, ...]:
        """Return the maps and the product of spikes."""
        found: dict[str, nn.Module] = {
            "query": self.query.synapse,
            "key": self.key.synapse,
            "value": self.value.synapse,
            "coincidences": self.coincidences,
            "projection": self.projection,
            "layer1": self.first.synapse,
            "layer2": self.second,
        }
        return tuple(Synapse(f"{name}.{key}", module, "spikes") for key, module in found.items())


class SpikeDrivenTransformer(AttentionNetwork):
    """Spike-driven transformer for images.

    Parameters
    ----------
    sample_shape : ``(channels, height, width)``.
    classes : read-out units.
    neuron : called once for each layer.
    channels, kernel_size, pool, stride : of the patches, see :class:`Patches`; the last channels are a token's width.
    depth : blocks.
    mlp_ratio : width of a block's hidden layer, relative to a token's.

    The authors' ``SpikeDrivenTransformer`` (MS_SPS, MS_SSA_Conv, MS_MLP_Conv) without its event-camera mode, any size,
    any neuron.
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
        depth: int = 1,
        mlp_ratio: float = 4.0,
    ) -> None:
        super().__init__()
        refuse_shapes("spike-driven-transformer", sample_shape, channels, 1, kernel_size, depth)
        width = channels[-1]
        self.patches = Patches(sample_shape, neuron, channels, kernel_size, pool, stride, membrane=True)
        hidden, shape = max(1, round(mlp_ratio * width)), self.patches.shape
        self.blocks = nn.ModuleList(SpikeDrivenBlock(width, hidden, shape, neuron) for _ in range(depth))
        self.mean = nn.Sequential(nn.AvgPool2d(shape), nn.Flatten())
        self.last = neuron(shape=(width,))
        self.readout = nn.Linear(width, classes)

    def encoder_blocks(self) -> tuple[SpikeDrivenBlock, ...]:
        """Return the blocks, first to last."""
        return tuple(block for block in self.blocks if isinstance(block, SpikeDrivenBlock))

    def wired(self, x: Tensor, send: Send, apply: Apply) -> tuple[Tensor, Tensor]:
        """Return the read-out and the last neurons' spikes."""
        u = self.patches.wire(x, send, apply)
        for block in self.encoder_blocks():
            u = block.wire(u, send, apply)
        spikes = send(self.last, over_time(self.mean, u))
        return apply(self.readout, spikes), spikes

    def neurons(self) -> tuple[Neuron, ...]:
        """Return the neurons in the order in which they fire."""
        inner = (neuron for block in self.encoder_blocks() for neuron in block.neurons())
        return (*self.patches.neurons(), *inner, self.last)

    def synapses(self) -> tuple[Synapse, ...]:
        """Return patches, maps and products of the blocks, and the read-out."""
        blocks = enumerate(self.encoder_blocks(), start=1)
        inner = (synapse for i, block in blocks for synapse in block.synapses(f"block{i}"))
        return (*self.patches.synapses(), *inner, Synapse("readout", self.readout, "spikes"))
