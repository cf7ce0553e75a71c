"""What networks of dense targets are made of: convolution, norm and neurons in a layer, and read-outs with a potential.

All of them take sequences ``[T, B, C, H, W]`` and a state, and give the state back. Must not know how layers are
joined.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from reference_impls.api import LayerShape, Neuron, SequentialNeuron, State, build_neuron, over_time
from reference_impls.neurons.amp_lif import AmpLIF

__all__ = [
    "ANN",
    "IMAGE_DEVIATION",
    "AdaptivePotential",
    "Conv",
    "Potential",
    "Residual",
    "SpikingConv",
    "check_divides",
    "doubled",
    "neuron_of",
]

ANN = "relu"
"""Neuron of the same network without spikes."""
IMAGE_DEVIATION = 0.1
"""Of the image that an untrained network shows, where its inputs have deviation 1."""


def neuron_of(name: str, shape: LayerShape, params: Mapping[str, Any]) -> Neuron:
    """Build the neurons of a layer; the `params` are of the network's own neuron, and an ANN's unit takes none."""
    return build_neuron(name, shape=shape, **({} if name == ANN else params))


def doubled(x: Tensor) -> Tensor:
    """Return a sequence of images at twice the size, bilinear (half-pixel centres)."""
    return over_time(lambda one: functional.interpolate(one, scale_factor=2, mode="bilinear", align_corners=False), x)


class Conv(nn.Module):
    """A convolution without bias that keeps the size (or halves it, with stride 2), then batch norm.

    In training the statistics are those of all samples and steps it is given together.
    """

    def __init__(self, before: int, after: int, kernel_size: int, stride: int = 1) -> None:
        super().__init__()
        self.map = nn.Conv2d(before, after, kernel_size, stride, kernel_size // 2, bias=False)
        self.norm = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x[T, B, before, H, W]`` to currents."""
        return over_time(self.norm, over_time(self.map, x))


class SpikingConv(nn.Module):
    """A `Conv` and the neurons that it feeds."""

    def __init__(
        self,
        before: int,
        shape: tuple[int, int, int],
        kernel_size: int,
        stride: int,
        neuron: str,
        params: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.conv = Conv(before, shape[0], kernel_size, stride)
        self.neuron = neuron_of(neuron, shape, params)

    def run(self, x: Tensor, state: State | None) -> tuple[Tensor, State | None]:
        """Return spikes and state."""
        out = self.neuron.run(self.conv(x), state)
        return out.spikes, out.state


class Residual(nn.Module):
    """Two convolutions with their neurons, the input added before the second ones fire.

    With `shared` neurons, as the authors have it, one membrane takes both currents in turn, two updates a step: the
    second convolution then has to wait for each step, and its norm's statistics in training are those of a step.
    """

    def __init__(self, shape: tuple[int, int, int], neuron: str, params: Mapping[str, Any], shared: bool) -> None:
        super().__init__()
        self.first, self.second = (Conv(shape[0], shape[0], 3) for _ in range(2))
        self.neuron = neuron_of(neuron, shape, params)
        self.shared = shared and isinstance(self.neuron, SequentialNeuron)
        self.outer = None if self.shared else neuron_of(neuron, shape, params)

    def neurons(self) -> tuple[Neuron, ...]:
        """Return the neurons, of which shared ones are one layer that is updated twice a step."""
        return (self.neuron,) if self.outer is None else (self.neuron, self.outer)

    def run(self, x: Tensor, state: State | None) -> tuple[Tensor, State | None]:
        """Return spikes ``[T, B, C, H, W]`` and state."""
        if self.outer is None:
            return self._in_turn(x, state)
        inner, outer = state if state is not None else (None, None)
        within = self.neuron.run(self.first(x), inner)
        out = self.outer.run(self.second(within.spikes) + x, outer)
        return out.spikes, (within.state, out.state)

    def _in_turn(self, x: Tensor, state: State | None) -> tuple[Tensor, State | None]:
        assert isinstance(self.neuron, SequentialNeuron)
        currents = self.first(x)
        membrane = self.neuron.init_state(currents[0]) if state is None else state
        spikes = []
        for current, arriving in zip(currents, x, strict=True):
            within, membrane = self.neuron.advance(current, membrane)
            again = self.second(within.unsqueeze(0))[0] + arriving
            out, membrane = self.neuron.advance(again, membrane)
            spikes.append(out)
        return torch.stack(spikes), membrane


class Potential(nn.Module):
    """A 1 x 1 convolution into membranes that never fire and are the output: the MP read-out."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = Conv(before, after, 1)
        self.membrane = build_neuron("mp-lif")

    def run(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return potentials ``[T, B, after, H, W]`` and the last of them."""
        current = self.conv(x)
        kept = current.new_full((len(current), 1), 1 - 1 / self._mp.tau)
        potential = _gone_on(self._mp(current), kept, state)
        return potential, potential[-1]

    @property
    def _mp(self) -> AmpLIF:
        assert isinstance(self.membrane, AmpLIF)
        return self.membrane


class AdaptivePotential(nn.Module):
    """The same with a gain that a small network gives for each sample and step: the AMP read-out.

    The gain network reads the largest current of each channel and the mean rate of each channel of spikes that enter;
    its hidden units are a quarter of the channels.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = Conv(before, after, 1)
        hidden = max(1, after // 4)
        self.squeeze = nn.Linear(before + after, hidden)
        self.excite = nn.Linear(hidden, 1)
        # The gain is given to it: the neuron's own gain network knows no channels.
        self.membrane = build_neuron("amp-lif", gain="fixed")

    def run(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return potentials ``[T, B, after, H, W]`` and the last of them."""
        assert isinstance(self.membrane, AmpLIF)
        current = self.conv(x)
        raw = self.raw_gain(x, current)
        potential = _gone_on(self.membrane(current, raw), 1 - torch.sigmoid(raw), state)
        return potential, potential[-1]

    def raw_gain(self, x: Tensor, current: Tensor) -> Tensor:
        """Return the gain of every step before the sigmoid, ``[T, B]``."""
        statistics = torch.cat([current.amax((-1, -2)), x.mean((-1, -2))], dim=-1)
        hidden = functional.relu(over_time(self.squeeze, statistics))
        return over_time(self.excite, hidden)[..., 0]


def _gone_on(from_rest: Tensor, kept: Tensor, state: Tensor | None) -> Tensor:
    """Return a potential that began at `state` instead of 0: it is linear in where it began.

    Parameters
    ----------
    from_rest : ``[T, B, ...]``.
    kept : share of the potential that a step leaves, ``[T, B]`` or ``[T, 1]``.
    state : ``[B, ...]``; None: it was 0.
    """
    if state is None:
        return from_rest
    left = torch.cumprod(kept, 0)
    return from_rest + left.reshape(*left.shape, *[1] * (from_rest.dim() - 2)) * state


def check_divides(who: str, sample_shape: tuple[int, ...], by: int) -> None:
    """Raise ValueError if height or width is no multiple of `by`."""
    height, width = sample_shape[1:]
    if height % by or width % by or min(height, width) < by:
        up = [by * max(1, math.ceil(side / by)) for side in (height, width)]
        raise ValueError(
            f"{who} halves the image down to 1/{by}: {height} x {width} is no multiple of {by}; pad it to "
            f"{up[0]} x {up[1]}"
        )
