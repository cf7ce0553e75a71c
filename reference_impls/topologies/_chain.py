"""A network whose layers follow one another: linear map, neuron, linear map, neuron, ..., read-out.

The shared body of ``mlp`` and ``conv``. Must not know which linear maps it is given.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from reference_impls.api import Apply, FeedForward, Fire, Neuron, Signal, Synapse

__all__ = ["POST_SPIKE_SCALE", "Block", "Chain"]

POST_SPIKE_SCALE = 2.74
"""Keeps the variance of Heaviside spikes under scaled weight standardisation (OTTT's networks)."""


class Block(nn.Module):
    """A linear map and the neurons it feeds; `scale` multiplies their spikes on the way to the next map."""

    def __init__(self, synapse: nn.Module, neuron: Neuron, scale: float = 1.0) -> None:
        super().__init__()
        self.synapse = synapse
        self.neuron = neuron
        self.scale = scale

    def passed_on(self, spikes: Signal) -> Signal:
        """Return what the next linear map sees of `spikes`."""
        return spikes if self.scale == 1 else spikes * self.scale


class Chain(FeedForward):
    """Feed-forward network; the read-out has no neuron."""

    structure = "chain"

    def __init__(self, blocks: Sequence[Block], readout: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.readout = readout

    def layers(self) -> tuple[Block, ...]:
        """Return the blocks, first to last."""
        return tuple(block for block in self.blocks if isinstance(block, Block))

    def wire(self, x: Signal, fire: Fire, apply: Apply, fed_back: Signal = None) -> tuple[Tensor, Signal]:
        """Send `x` through block after block."""
        signal = x
        for layer, block in enumerate(self.layers()):
            signal = block.passed_on(fire(layer, apply(block.synapse, signal)))
        return apply(self.readout, signal), signal

    def neurons(self) -> tuple[Neuron, ...]:
        """Return the neuron of every block."""
        return tuple(block.neuron for block in self.layers())

    def synapses(self) -> tuple[Synapse, ...]:
        """Return the linear map of every block, and the read-out."""
        found, source, amplitude = [], "input", 1.0
        for index, block in enumerate(self.layers(), start=1):
            found.append(Synapse(f"layer{index}", block.synapse, source, amplitude))
            source, amplitude = "spikes", block.scale
        return (*found, Synapse("readout", self.readout, source, amplitude))
