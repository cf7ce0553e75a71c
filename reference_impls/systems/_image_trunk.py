"""The spiking encoder and decoder that EVSNN and PA-EVSNN share. Must not know how an image is read out of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from reference_impls.api import Neuron, State, Synapse
from reference_impls.systems._image_layers import ANN, Residual, SpikingConv, doubled

__all__ = ["Trunk"]

LIF = {"tau": 2.0, "input_gain": "one_minus_decay", "detach_reset": False}
"""The authors' LIF: threshold 1, soft reset, arctangent of alpha 2."""


class Trunk(nn.Module):
    """What EVSNN and PA-EVSNN share: head, encoder, residual block and decoder."""

    LAYERS = 8

    def __init__(self, sample_shape: tuple[int, ...], base: int, neuron: str, shared_state: bool) -> None:
        super().__init__()
        channels, height, width = sample_shape
        self.sent = "rates" if neuron == ANN else "spikes"
        """What travels between its layers, as a source of synapses."""
        widths = [base * 2**level for level in range(4)]
        shapes = [(widths[level], height >> level, width >> level) for level in range(4)]
        self.head = SpikingConv(channels, shapes[0], 5, 1, neuron, LIF)
        self.down = nn.ModuleList(
            SpikingConv(widths[level], shapes[level + 1], 5, 2, neuron, LIF) for level in range(3)
        )
        self.residual = Residual(shapes[3], neuron, LIF, shared_state)
        self.up = nn.ModuleList(
            SpikingConv(2 * widths[level + 1], shapes[level], 5, 1, neuron, LIF) for level in (2, 1, 0)
        )

    def run(self, x: Tensor, states: Sequence[State | None]) -> tuple[dict[str, Tensor], list[State | None]]:
        """Return what every layer sends, by name, and their states."""
        left = iter(states)
        after: list[State | None] = []

        def through(layer: nn.Module, signal: Tensor) -> Tensor:
            assert isinstance(layer, SpikingConv | Residual)
            sent, state = layer.run(signal, next(left))
            after.append(state)
            return sent

        found = {"head": through(self.head, x)}
        for level, layer in enumerate(self.down, start=1):
            found[f"x{level}"] = through(layer, found["head" if level == 1 else f"x{level - 1}"])
        found["r"] = through(self.residual, found["x3"])
        before = "r"
        for stage, layer in enumerate(self.up, start=1):
            joined = torch.cat([found[before], found[f"x{4 - stage}"]], dim=2)
            before = f"u{stage}"
            found[before] = through(layer, doubled(joined))
        return found, after

    def neurons(self) -> tuple[Neuron, ...]:
        """Return the layers in order."""
        convs = [self.head, *self.down]
        before = tuple(layer.neuron for layer in convs if isinstance(layer, SpikingConv))
        behind = tuple(layer.neuron for layer in self.up if isinstance(layer, SpikingConv))
        return (*before, *self.residual.neurons(), *behind)

    def synapses(self) -> tuple[Synapse, ...]:
        """Return the convolutions in order."""
        down = (layer for layer in self.down if isinstance(layer, SpikingConv))
        up = (layer for layer in self.up if isinstance(layer, SpikingConv))
        between = "rates" if self.sent == "rates" else "mixed"
        return (
            Synapse("head", self.head.conv.map, "input"),
            *(Synapse(f"down{level}", layer.conv.map, self.sent) for level, layer in enumerate(down, start=1)),
            Synapse("residual1", self.residual.first.map, self.sent),
            Synapse("residual2", self.residual.second.map, self.sent),
            *(Synapse(f"up{stage}", layer.conv.map, between) for stage, layer in enumerate(up, start=1)),
        )
