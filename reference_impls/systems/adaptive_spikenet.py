"""Adaptive-SpikeNet: optical flow from events, with a leak and a threshold that every spiking layer learns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from reference_impls.api import LayerShape, Neuron, State, Synapse, over_time
from reference_impls.dense_network import DenseAnswer, DenseNetwork
from reference_impls.systems._image_layers import ANN, check_divides, neuron_of

CARD = {
    "name": "adaptive-spikenet",
    "kind": "system",
    "version": 1,
    "title": "Adaptive-SpikeNet: spiking optical flow",
    "summary": (
        "A U-Net whose every layer fires, decoder too, and learns one leak and one threshold; at every scale a "
        "read-out adds its currents up without firing, and the finest is the flow."
    ),
    "equations": (
        "h[t] = decay h[t-1] + W s[t] - v_threshold s[t-1], s = 1 if h > v_threshold; flow at a scale: f[t] = f[t-1] + "
        "W2 W1 features[t]; decoder inputs: encoder, decoder and the flow of the scale below"
    ),
    "citations": [
        {
            "authors": "A. K. Kosta, K. Roy",
            "title": (
                "Adaptive-SpikeNet: Event-based Optical Flow Estimation using Spiking Neural Networks with Learnable "
                "Neuronal Dynamics"
            ),
            "venue": "ICRA",
            "year": 2023,
            "arxiv": "2209.11741",
        },
        {
            "authors": "C. Lee, A. K. Kosta, A. Z. Zhu, K. Chaney, K. Daniilidis, K. Roy",
            "title": "Spike-FlowNet: Event-based Optical Flow Estimation with Energy-Efficient Hybrid Neural Networks",
            "venue": "ECCV",
            "year": 2020,
            "arxiv": "2003.06696",
            "code": "https://github.com/chan8972/Spike-FlowNet",
        },
    ],
    "capabilities": {"answers": "flow", "spiking": True, "learns": True, "divides": 8},
    "defaults": {"base": 64, "levels": 4, "neuron": "adaptive-spikenet-lif"},
    "variants": {
        "adaptive-spikenet-fixed": {
            "title": "Adaptive-SpikeNet's network, nothing learned in its neurons",
            "summary": "The same with LIF neurons whose leak and threshold stay at 0.9 and 0.75.",
            "params": {"neuron": "lif"},
        },
        "adaptive-spikenet-ann": {
            "title": "Adaptive-SpikeNet's network without spikes",
            "summary": "The same convolutions with rectifiers; only the read-outs add up over time.",
            "params": {"neuron": "relu"},
            "capabilities": {"spiking": False},
        },
    },
    "divergences": [
        "No authors' code was found; widths, kernels, concatenations and the weights' distribution are those of the "
        "group's public Spike-FlowNet, whose decoder does not spike, and so is what a step sees: a bin of each half.",
        "Trained here on the true flow of generated scenes (mean end-point error at every scale), not on the "
        "photometric loss of MVSEC's grey frames.",
        "Batch norm stands before the neurons where a task's card says so; Spike-FlowNet has none.",
        "A residual block adds its input to the current of its second layer, which then fires.",
        "Scenes of fewer pixels take fewer levels: a task's card says how many.",
    ],
}

OWN: Mapping[str, Mapping[str, Any]] = {
    "lif": {"decay": 0.9, "v_threshold": 0.75, "detach_reset": False},
}
"""Where what is not learned stays: where the learned one begins."""


class AdaptiveSpikeNet(DenseNetwork):
    """U-Net of spiking layers with flow read out at every scale.

    Parameters
    ----------
    sample_shape : ``(channels, height, width)``, multiples of ``2 ** levels``.
    components : 2, the way in x and in y.
    base : channels of the first layer (Spike-FlowNet: 64); the encoder doubles them at every level.
    levels : times that the image is halved.
    neuron : of every layer that fires; ``relu`` makes it an ANN.
    norm : whether batch norm stands between each convolution and its neurons (Spike-FlowNet has none).
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        components: int,
        base: int = 64,
        levels: int = 4,
        neuron: str = "adaptive-spikenet-lif",
        norm: bool = False,
    ) -> None:
        super().__init__()
        if levels < 2:
            raise ValueError(f"adaptive-spikenet needs at least 2 levels, got {levels}")
        check_divides("adaptive-spikenet", sample_shape, 2**levels)
        channels, height, width = sample_shape
        self.levels, self.sent = levels, "rates" if neuron == ANN else "spikes"
        widths = [base * 2**level for level in range(levels)]
        shapes: list[LayerShape] = [(widths[i], height >> i + 1, width >> i + 1) for i in range(levels)]

        def layer(map_: nn.Module, shape: LayerShape) -> _Layer:
            return _Layer(map_, neuron, shape, norm)

        self.encoder = nn.ModuleList(
            layer(nn.Conv2d(before, after, 3, 2, 1, bias=False), shape)
            for before, after, shape in zip([channels, *widths], widths, shapes, strict=False)
        )
        deepest = widths[-1]
        self.residual = nn.ModuleList(
            layer(nn.Conv2d(deepest, deepest, 3, 1, 1, bias=False), shapes[-1]) for _ in range(4)
        )
        self.decoder, self.heads = nn.ModuleList(), nn.ModuleList([_FlowHead(deepest, base, components)])
        arriving = deepest
        for level in reversed(range(levels - 1)):
            after = base * 2 ** (level - 1) if level else max(4, base // 16)
            _, up, across = shapes[level]
            self.decoder.append(layer(nn.ConvTranspose2d(arriving, after, 4, 2, 1, bias=False), (after, up, across)))
            arriving = widths[level] + after + components
            self.heads.append(_FlowHead(arriving, base, components))

    def answer(self, x: Tensor, states: Sequence[State | None] | None = None) -> DenseAnswer:
        """Process ``x[T, B, channels, H, W]``."""
        self.refuse_other_batch(x, tuple(states) if states is not None else None)
        memory = _Memory(states)
        encoded, signal = [], x
        for one in self._layers(self.encoder):
            signal = memory.through(one, signal)
            encoded.append(signal)
        blocks = list(self._layers(self.residual))
        for first, second in zip(blocks[::2], blocks[1::2], strict=True):
            signal = memory.through(second, memory.through(first, signal), beside=signal)
        flows = [memory.added(self._head(0)(signal))]
        for stage, decoder in enumerate(self._layers(self.decoder), start=1):
            sent = memory.through(decoder, signal)
            signal = torch.cat([encoded[self.levels - 1 - stage], sent, flows[-1]], dim=2)
            flows.append(memory.added(self._head(stage)(signal)))
        return DenseAnswer(flows[-1], tuple(memory.after), tuple(flows[:-1]))

    def neurons(self) -> tuple[Neuron, ...]:
        """Return the layers that fire."""
        modules = (self.encoder, self.residual, self.decoder)
        return tuple(one.neuron for several in modules for one in self._layers(several))

    def synapses(self) -> tuple[Synapse, ...]:
        """Return the convolutions; those that read a flow beside spikes are mixed."""
        mixed = "rates" if self.sent == "rates" else "mixed"
        encoder, residual, decoder = (
            list(self._layers(several)) for several in (self.encoder, self.residual, self.decoder)
        )
        found = [Synapse("encoder1", encoder[0].map, "input")]
        found += [Synapse(f"encoder{i}", one.map, self.sent) for i, one in enumerate(encoder[1:], start=2)]
        found += [Synapse(f"residual{i}", one.map, self.sent) for i, one in enumerate(residual, start=1)]
        for stage in range(self.levels):
            source = mixed if stage else self.sent
            if stage:
                found.append(Synapse(f"decoder{stage}", decoder[stage - 1].map, self.sent if stage == 1 else mixed))
            head = self._head(stage)
            found += [Synapse(f"flow{stage}.up", head.up, source), Synapse(f"flow{stage}.out", head.out, "rates")]
        return tuple(found)

    def _layers(self, modules: nn.ModuleList) -> Iterator[_Layer]:
        for module in modules:
            assert isinstance(module, _Layer)
            yield module

    def _head(self, stage: int) -> _FlowHead:
        head = self.heads[stage]
        assert isinstance(head, _FlowHead)
        return head


class _Layer(nn.Module):
    """A convolution without bias, a norm if wanted, and the neurons that it feeds."""

    def __init__(self, map_: nn.Module, neuron: str, shape: LayerShape, norm: bool) -> None:
        super().__init__()
        self.map = map_
        self.norm = nn.BatchNorm2d(shape[0]) if norm else nn.Identity()
        self.neuron = neuron_of(neuron, shape, OWN.get(neuron, {}))
        weight = map_.weight
        assert isinstance(weight, Tensor)
        # Of a transposed convolution a quarter of the kernel reaches an output, at stride 2.
        transposed = isinstance(map_, nn.ConvTranspose2d)
        fan_in = weight[:, 0].numel() / 4 if transposed else weight[0].numel()
        nn.init.normal_(weight, 0, math.sqrt(3 / fan_in))


class _FlowHead(nn.Module):
    """A transposed convolution to twice the size and a 1 x 1 one to the flow; what they give is added up."""

    def __init__(self, before: int, base: int, components: int) -> None:
        super().__init__()
        hidden = max(2, base // 2)
        self.up = nn.ConvTranspose2d(before, hidden, 4, 2, 1, bias=False)
        self.out = nn.Conv2d(hidden, components, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        current: Tensor = over_time(self.out, over_time(self.up, x))
        return current


class _Memory:
    """States of layers and read-outs in the order in which they are asked for."""

    def __init__(self, states: Sequence[State | None] | None) -> None:
        self._before = None if states is None else iter(states)
        self.after: list[State | None] = []

    def _next(self) -> State | None:
        return None if self._before is None else next(self._before)

    def through(self, layer: _Layer, signal: Tensor, beside: Tensor | None = None) -> Tensor:
        """Return what a layer sends; `beside` is added to its current."""
        current = over_time(layer.norm, over_time(layer.map, signal))
        out = layer.neuron.run(current if beside is None else current + beside, self._next())
        self.after.append(out.state)
        return out.spikes

    def added(self, current: Tensor) -> Tensor:
        """Return the sum of a read-out's currents after every step."""
        before = self._next()
        total = torch.cumsum(current, 0) if before is None else before + torch.cumsum(current, 0)
        self.after.append(total[-1])
        return total
