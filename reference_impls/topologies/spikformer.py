"""spikformer: tokens of an image that attend to one another through spikes, without softmax."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from reference_impls.api import Apply, Neuron, NeuronFactory, Synapse
from reference_impls.topologies._attention import (
    AttentionNetwork,
    Patches,
    Send,
    SpikeProduct,
    mapped,
    matched,
    of_heads,
    refuse_shapes,
    to_heads,
    weighted,
)
from reference_impls.topologies._chain import Block

CARD = {
    "name": "spikformer",
    "kind": "topology",
    "version": 1,
    "title": "Spiking transformer (Spikformer)",
    "summary": (
        "Convolutions make tokens of an image; blocks of spiking self-attention and of two layers each add their "
        "spikes to the tokens. Queries, keys and values are spikes, so attention adds coincidences, without softmax."
    ),
    "equations": (
        "x = s_P + SN(BN(conv(s_P))), s_P the spikes of the patches; Q, K, V = SN(BN(W x)); A = Q K^T, head by head; "
        "x <- x + SN(BN(W_p SN(scale A V))); x <- x + SN(BN(W_2 SN(BN(W_1 x)))); O[t] = W_o mean_tokens(x[t]) + b_o; "
        "BN over batch, tokens and steps, folded into the weights for inference"
    ),
    "citations": [
        {
            "authors": "Z. Zhou, Y. Zhu, C. He, Y. Wang, S. Yan, Y. Tian, L. Yuan",
            "title": "Spikformer: When Spiking Neural Network Meets Transformer",
            "venue": "ICLR",
            "year": 2023,
            "arxiv": "2209.15425",
            "code": "https://github.com/ZK-Zhou/spikformer (commit 6212689)",
        }
    ],
    "capabilities": {"structure": "delayed", "sample_dims": [3], "sized_as": "conv"},
    "defaults": {
        "channels": [16, 32],
        "kernel_size": 3,
        "pool": 2,
        "stride": 1,
        "depth": 1,
        "heads": 4,
        "mlp_ratio": 4.0,
        "scale": 0.125,
    },
    "divergences": [
        "The authors' networks have 256 to 768 channels, 2 to 12 blocks and four convolutions of D/8, D/4, D/2 and D "
        "channels, of which on CIFAR only the last two are pooled. Sizes here are those that a task gives conv, every "
        "convolution but the first is pooled, and there is one block.",
        "The authors' LIF decays its input (tau 2), and that behind the attention has half the threshold: there and "
        "with lif here, which does neither, a scale of 0.125 lets eight coincidences fire.",
        "Maps begin as torch draws them and not from a normal of deviation 0.02; what is normalised forgets the size.",
        "Of several equal maxima in a pooling all share the gradient; the release's takes the first.",
        "Its structure is called delayed: while training, a current depends on other steps of the batch.",
        "A product of spikes counts as additions: of Q K^T one for each pair of a query's and a key's spike in a "
        "channel, of A V one for each spike of a value and score that is not 0. A token is a sum of spikes, and each "
        "of them counts. The scale, sums of spikes and the maximum over spikes are in no count.",
        "No golden vectors: the tests restate the equations in numpy.",
    ],
}


class SelfAttention(nn.Module):
    """Spiking self-attention (SSA) of D channels in `heads`; tokens lie in `shape`.

    Its five layers are those of Q, K, V, of the attended values and of the projection.
    """

    def __init__(self, width: int, heads: int, shape: Sequence[int], scale: float, neuron: NeuronFactory) -> None:
        super().__init__()
        self.query, self.key, self.value = (mapped(width, width, shape, neuron) for _ in range(3))
        self.attended = neuron(shape=(width, *shape))
        self.projection = mapped(width, width, shape, neuron)
        self.scores, self.sums = SpikeProduct(matched), SpikeProduct(weighted)
        self.heads, self.scale = heads, scale

    def wire(self, x: Tensor, send: Send, apply: Apply) -> Tensor:
        """Return the spikes ``[T, B, D, H, W]`` that are added to the tokens `x`."""
        q, k, v = (
            to_heads(send(block.neuron, apply(block.synapse, x)), self.heads)
            for block in (self.query, self.key, self.value)
        )
        summed = self.sums.over(v, self.scores.over(q, k))
        spikes = send(self.attended, of_heads(self.scale * summed, x))
        return send(self.projection.neuron, apply(self.projection.synapse, spikes))

    def neurons(self) -> tuple[Neuron, ...]:
        """Return the neurons in the order in which they fire."""
        first = (block.neuron for block in (self.query, self.key, self.value))
        return (*first, self.attended, self.projection.neuron)

    def synapses(self, name: str) -> tuple[Synapse, ...]:
        """Return the maps and both products of spikes."""
        maps = {"query": self.query, "key": self.key, "value": self.value, "projection": self.projection}
        products = {"scores": self.scores, "sums": self.sums}
        found = {key: block.synapse for key, block in maps.items()} | products
        return tuple(Synapse(f"{name}.{key}", module, "spikes") for key, module in found.items())


class EncoderBlock(nn.Module):
    """Self-attention and two layers, both added to the tokens as spikes."""

    def __init__(
        self, width: int, heads: int, shape: Sequence[int], scale: float, hidden: int, neuron: NeuronFactory
    ) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads, shape, scale, neuron)
        self.first = mapped(width, hidden, shape, neuron)
        self.second = mapped(hidden, width, shape, neuron)

    def wire(self, x: Tensor, send: Send, apply: Apply) -> Tensor:
        """Return the tokens after the block."""
        x = x + self.attention.wire(x, send, apply)
        signal = x
        for block in self.feed_forward():
            signal = send(block.neuron, apply(block.synapse, signal))
        return x + signal

    def feed_forward(self) -> tuple[Block, Block]:
        """Return the two layers behind the attention."""
        return self.first, self.second

    def neurons(self) -> tuple[Neuron, ...]:
        """Return the neurons in the order in which they fire."""
        return (*self.attention.neurons(), *(block.neuron for block in self.feed_forward()))

    def synapses(self, name: str) -> tuple[Synapse, ...]:
        """Return the maps and products of spikes."""
        layers = enumerate(self.feed_forward(), start=1)
        return (
            *self.attention.synapses(name),
            *(Synapse(f"{name}.layer{i}", block.synapse, "spikes") for i, block in layers),
        )


class Spikformer(AttentionNetwork):
    """Spiking transformer for images.

    Parameters
    ----------
    sample_shape : ``(channels, height, width)``.
    classes : read-out units.
    neuron : called once for each layer.
    channels, kernel_size, pool, stride : of the patches, see :class:`Patches`; the last channels are a token's width.
    depth : blocks.
    heads : of the attention; must divide a token's width.
    mlp_ratio : width of a block's hidden layer, relative to a token's.
    scale : what attended values are multiplied with.

    The authors' ``Spikformer`` for CIFAR-10 (SPS, SSA and MLP), any size, any neuron.
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
        heads: int = 4,
        mlp_ratio: float = 4.0,
        scale: float = 0.125,
    ) -> None:
        super().__init__()
        refuse_shapes("spikformer", sample_shape, channels, heads, kernel_size, depth)
        width = channels[-1]
        self.patches = Patches(sample_shape, neuron, channels, kernel_size, pool, stride, membrane=False)
        hidden, shape = max(1, round(mlp_ratio * width)), self.patches.shape
        self.blocks = nn.ModuleList(EncoderBlock(width, heads, shape, scale, hidden, neuron) for _ in range(depth))
        self.readout = nn.Sequential(nn.AvgPool2d(shape), nn.Flatten(), nn.Linear(width, classes))

    def encoder_blocks(self) -> tuple[EncoderBlock, ...]:
        """Return the blocks, first to last."""
        return tuple(block for block in self.blocks if isinstance(block, EncoderBlock))

    def wired(self, x: Tensor, send: Send, apply: Apply) -> tuple[Tensor, Tensor]:
        """Return the read-out and the last tokens, sums of spikes."""
        tokens = self.patches.wire(x, send, apply)
        for block in self.encoder_blocks():
            tokens = block.wire(tokens, send, apply)
        return apply(self.readout, tokens), tokens

    def neurons(self) -> tuple[Neuron, ...]:
        """Return the neurons in the order in which they fire."""
        return (*self.patches.neurons(), *(neuron for block in self.encoder_blocks() for neuron in block.neurons()))

    def synapses(self) -> tuple[Synapse, ...]:
        """Return patches, maps and products of the blocks, and the read-out, fed with sums of spikes."""
        blocks = enumerate(self.encoder_blocks(), start=1)
        inner = (synapse for i, block in blocks for synapse in block.synapses(f"block{i}"))
        return (*self.patches.synapses(), *inner, Synapse("readout", self.readout, "spikes"))
