"""Parts of networks whose spikes are multiplied with one another: products of spikes, heads, and patches of an image.

A product of two layers' spikes is a synapse whose weights are spikes too: one side arrives, the other says which
synapses there are. So a counter of synaptic operations sees additions, as many as there are pairs. Must not know which
network is made of them.
"""

from __future__ import annotations

import functools
import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from reference_impls.api import Apply, FeedForward, Fire, Neuron, NeuronFactory, Signal, Synapse, over_time
from reference_impls.topologies._chain import Block
from reference_impls.topologies._normalised import NormalisedConv2d

__all__ = [
    "AttentionNetwork",
    "Patches",
    "Send",
    "SpikeProduct",
    "coincidences",
    "largest",
    "mapped",
    "matched",
    "of_heads",
    "refuse_shapes",
    "to_heads",
    "weighted",
]

Send = Callable[[Neuron, Tensor], Tensor]
"""(neurons, their input current) -> their spikes."""


def matched(queries: Tensor, keys: Tensor) -> Tensor:
    """Return the channels that ``[rows, heads, N, d]`` queries and keys have in common, ``[rows, heads, N, N]``."""
    return queries @ keys.transpose(-1, -2)


def weighted(values: Tensor, scores: Tensor) -> Tensor:
    """Return the sums of ``values[rows, heads, N, d]`` over tokens, weighted with ``scores[rows, heads, N, N]``."""
    return scores @ values


def coincidences(keys: Tensor, values: Tensor) -> Tensor:
    """Return at how many positions both ``[rows, D, H, W]`` fire, channel by channel: ``[rows, D, 1, 1]``."""
    return (keys * values).sum((2, 3), keepdim=True)


class SpikeProduct(nn.Module):
    """A product that is linear in what arrives, with other signals in the place of its weight.

    Parameters
    ----------
    product : of what arrives ``[rows, ...]`` and what is held ``[rows, ...]``, row by row.
    """

    def __init__(self, product: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.product = product
        self._held: Tensor | None = None

    def over(self, arriving: Tensor, held: Tensor) -> Tensor:
        """Multiply ``[T, B, ...]`` with ``[T, B, ...]``.

        Whoever watches this module's calls (a counter) sees one for each sample and step, as each has its own weights.
        """
        time_and_batch = arriving.shape[:2]
        arriving, held = arriving.flatten(0, 1), held.flatten(0, 1)
        if self._forward_pre_hooks:
            out = torch.cat([self(*row) for row in zip(arriving.split(1), held.split(1), strict=True)])
        else:
            out = self(arriving, held)
        return out.unflatten(0, time_and_batch)

    def forward(self, arriving: Tensor, held: Tensor) -> Tensor:
        """Multiply row by row."""
        self._held = held[0].detach() if self._forward_pre_hooks else None
        return self.product(arriving, held)

    def effective_weight(self) -> Tensor:
        """Return what was held in the last call that was watched.

        Raises
        ------
        RuntimeError
            If none was: there is no weight without a sample.
        """
        if self._held is None:
            raise RuntimeError(
                "a product of spikes has weights only while its calls are watched: run the network first"
            )
        return self._held

    def apply_weight(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return the product of ``x[1, ...]`` with `weight` in the place of what is held."""
        return self.product(x, weight.unsqueeze(0))


def to_heads(spikes: Tensor, heads: int) -> Tensor:
    """Cut ``[T, B, D, H, W]`` into the tokens of each head, ``[T, B, heads, H W, D / heads]``."""
    return spikes.flatten(3).unflatten(2, (heads, -1)).transpose(-1, -2)


def of_heads(tokens: Tensor, like: Tensor) -> Tensor:
    """Put the tokens of all heads together again, in the shape of `like` ``[T, B, D, H, W]``."""
    return tokens.transpose(-1, -2).reshape(like.shape)


def mapped(before: int, after: int, shape: Sequence[int], neuron: NeuronFactory) -> Block:
    """Return a map that every token goes through by itself, normalised, and the neurons that it feeds.

    `shape` is how the tokens lie, ``(H, W)``.
    """
    return Block(NormalisedConv2d(before, after, 1), neuron(shape=(after, *shape)))


def largest(x: Tensor, stride: int) -> Tensor:
    """Return the maximum of 3 x 3 positions of ``[rows, C, H, W]``, every `stride`-th.

    All that reach it share a gradient: several spikes nearly always do, of which torch's own pooling takes the first.
    """
    around = functional.pad(x, (1, 1, 1, 1), value=-math.inf)
    height, width = x.shape[2:]
    shifted = [around[:, :, i : i + height : stride, j : j + width : stride] for i in range(3) for j in range(3)]
    return torch.stack(shifted).amax(0)


class Patches(nn.Module):
    """An image becomes tokens: convolutions with pooling between them, and one more for where a token lies.

    Parameters
    ----------
    sample_shape : ``(channels, height, width)``.
    neuron : called once for each convolution.
    channels : of each convolution; the last is the width of a token.
    kernel_size : odd; the padding keeps the size.
    pool : stride of the maximum of 3 x 3 positions behind every convolution but the first: of spikes, or, where a
        current goes on, of the last convolution's currents.
    stride : of the first convolution.
    membrane : whether the last convolution is added to a current, or its spikes to spikes.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        neuron: NeuronFactory,
        channels: Sequence[int],
        kernel_size: int,
        pool: int,
        stride: int,
        membrane: bool,
    ) -> None:
        super().__init__()
        self.membrane = membrane
        height, width = (-(-side // stride) for side in sample_shape[1:])
        blocks = []
        for index, (before, after) in enumerate(pairwise([sample_shape[0], *channels])):
            step = stride if index == 0 else 1
            conv = NormalisedConv2d(before, after, kernel_size, stride=step, padding=kernel_size // 2)
            pooled = (height, width) if index == 0 else (-(-height // pool), -(-width // pool))
            fires_pooled = membrane and index == len(channels) - 1
            blocks.append(Block(conv, neuron(shape=(after, *(pooled if fires_pooled else (height, width))))))
            height, width = pooled
        self.blocks = nn.ModuleList(blocks)
        self.pool = functools.partial(largest, stride=pool)
        self.shape = (height, width)
        """How the tokens lie."""
        position = NormalisedConv2d(channels[-1], channels[-1], kernel_size, padding=kernel_size // 2)
        # Where a current goes on, the neurons that it feeds are those of what comes next.
        self.position = position if membrane else Block(position, neuron(shape=(channels[-1], height, width)))

    def layers(self) -> tuple[Block, ...]:
        """Return the convolutions with neurons, first to last."""
        return tuple(block for block in (*self.blocks, self.position) if isinstance(block, Block))

    def neurons(self) -> tuple[Neuron, ...]:
        """Return the neurons in the order in which they fire."""
        return tuple(block.neuron for block in self.layers())

    def wire(self, x: Tensor, send: Send, apply: Apply) -> Tensor:
        """Turn ``x[T, B, C, H, W]`` into the sum that goes on, ``[T, B, D, h, w]``: of spikes, or of currents."""
        signal = current = x
        last = len(self.blocks) - 1
        for index, block in enumerate(self.layers()[: last + 1]):
            current = apply(block.synapse, signal)
            if index > 0 and self.membrane and index == last:
                current = over_time(self.pool, current)
            signal = send(block.neuron, current)
            if index > 0 and not (self.membrane and index == last):
                signal = over_time(self.pool, signal)
        if isinstance(self.position, Block):
            return signal + send(self.position.neuron, apply(self.position.synapse, signal))
        return current + apply(self.position, signal)

    def synapses(self) -> tuple[Synapse, ...]:
        """Return the convolutions; taking a maximum is no synapse."""
        sources = ("input", *["spikes"] * (len(self.blocks) - 1))
        found = [
            Synapse(f"patch{i}", block.synapse, source)
            for i, (block, source) in enumerate(zip(self.layers(), sources, strict=False), start=1)
        ]
        position = self.position.synapse if isinstance(self.position, Block) else self.position
        return (*found, Synapse("position", position, "spikes"))


class AttentionNetwork(FeedForward):
    """A network of patches and of blocks that attend to one another's spikes; a subclass writes `wired`."""

    structure = "delayed"
    """Its currents are normalised, and so depend on the other steps of their batch."""

    def wire(self, x: Signal, fire: Fire, apply: Apply, fed_back: Signal = None) -> tuple[Tensor, Signal]:
        """Send ``x[T, B, C, H, W]`` through patches, blocks and read-out."""
        at = {neuron: layer for layer, neuron in enumerate(self.neurons())}
        return self.wired(x, lambda neuron, current: fire(at[neuron], current), apply)

    @abstractmethod
    def wired(self, x: Any, send: Send, apply: Apply) -> tuple[Tensor, Tensor]:
        """Return the read-out, and the last neurons' spikes."""


def refuse_shapes(
    who: str, sample_shape: tuple[int, ...], channels: Sequence[int], heads: int, kernel_size: int, depth: int
) -> None:
    """Raise ValueError if no such network can be made of these samples; `who` is the topology's name."""
    if len(sample_shape) != 3:
        raise ValueError(f"{who} needs samples of shape (channels, height, width), got {tuple(sample_shape)}")
    if not channels or min(channels) < 1:
        raise ValueError(f"channels must list at least one convolution of at least one channel, got {list(channels)}")
    if heads < 1 or channels[-1] % heads:
        raise ValueError(f"heads must divide the last of channels, {channels[-1]}; got {heads}")
    if kernel_size % 2 == 0:
        raise ValueError(f"kernel_size must be odd, so that the padding keeps the size; got {kernel_size}")
    if depth < 1:
        raise ValueError(f"depth must be at least 1 block, got {depth}")
