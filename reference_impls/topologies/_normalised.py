"""Linear maps whose output is normalised by the statistics of a batch, folded into weight and bias for inference.

While training, mean and variance are those of all rows that come in together: every sample, position and time step of a
channel, when a network takes all its steps at once. In evaluation mode only a weight and a bias are left, so a counter
of synaptic operations sees what a chip would hold. Must not know which network uses them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from reference_impls.api import NetworkOutput, Neuron, State, over_time
from reference_impls.names import check_name
from reference_impls.topologies._chain import Chain

__all__ = ["NORMALISATIONS", "NormalisedChain", "NormalisedConv2d", "NormalisedLinear", "normalised", "threshold_of"]

EPSILON = 1e-5
MOMENTUM = 0.1
NORMALISATIONS = ("tdbn", "tebn")


class _Normalisation(nn.Module):
    """What both maps share: statistics, gain, and the weight that they come to.

    ``bias`` is the shift behind the normalisation; a bias before it would be subtracted again with the mean.
    """

    weight: Any
    bias: Any
    gain: nn.Parameter
    running_mean: Tensor
    running_var: Tensor
    scale: float

    def _begin(self, channels: int, scale: float) -> None:
        self.scale = float(scale)
        self.bias = nn.Parameter(torch.zeros(channels))
        self.gain = nn.Parameter(torch.ones(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def effective_weight(self) -> Tensor:
        """Return the weight of the folded map: scale, gain and running deviation are in it."""
        return self._factor(self.running_var).view(-1, *[1] * (self.weight.dim() - 1)) * self.weight

    def effective_bias(self) -> Tensor:
        """Return the bias ``[channels]`` of the folded map."""
        return self.bias - self._factor(self.running_var) * self.running_mean

    def _factor(self, variance: Tensor) -> Tensor:
        return self.scale * self.gain * torch.rsqrt(variance + EPSILON)

    def _normalise(self, z: Tensor) -> Tensor:
        """Normalise ``z[rows, channels, ...]`` by its own statistics, and move the running ones."""
        axes = (0, *range(2, z.dim()))
        mean, shape = z.mean(axes), (-1, *[1] * (z.dim() - 2))
        # Not torch's own operator: of these parts the arithmetic energy is known.
        centred = z - mean.view(shape)
        variance = (centred * centred).mean(axes)
        self._follow(mean, variance)
        return centred * self._factor(variance).view(shape) + self.bias.view(shape)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        # A checkpointed segment runs again inside the backward pass: the same batch is not counted twice.
        if torch._C._current_autograd_node() is None:
            self.running_mean += MOMENTUM * (mean.to(self.running_mean.dtype) - self.running_mean)
            self.running_var += MOMENTUM * (variance.to(self.running_var.dtype) - self.running_var)


class NormalisedLinear(_Normalisation, nn.Linear):
    """Fully connected map with normalised output, ``[rows, in]`` to ``[rows, out]``; `scale` multiplies it."""

    def __init__(self, in_features: int, out_features: int, scale: float = 1.0) -> None:
        nn.Linear.__init__(self, in_features, out_features)
        self._begin(out_features, scale)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[rows, in]`` to ``[rows, out]``."""
        if self.training:
            return self._normalise(functional.linear(x, self.weight))
        return functional.linear(x, self.effective_weight(), self.effective_bias())


class NormalisedConv2d(_Normalisation, nn.Conv2d):
    """Convolution with normalised output, ``[rows, in, H, W]`` to ``[rows, out, H', W']``; `scale` multiplies it."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        scale: float = 1.0,
    ) -> None:
        nn.Conv2d.__init__(self, in_channels, out_channels, kernel_size, stride, padding)
        self._begin(out_channels, scale)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[rows, in, H, W]`` to ``[rows, out, H', W']``."""
        if self.training:
            return self._normalise(self._conv_forward(x, self.weight, None))
        return self._conv_forward(x, self.effective_weight(), self.effective_bias())


def normalised(synapse: nn.Module, scale: float = 1.0) -> nn.Module:
    """Return `synapse` with its linear or convolutional map normalised, and the weight that it began with.

    Parameters
    ----------
    synapse : a map, or a sequence of reshapings and poolings that holds one.
    scale : factor of what is normalised.
    """
    if isinstance(synapse, nn.Sequential):
        return nn.Sequential(*(normalised(part, scale) for part in synapse))
    made: NormalisedLinear | NormalisedConv2d
    if isinstance(synapse, nn.Conv2d):
        size = synapse.kernel_size
        made = NormalisedConv2d(
            synapse.in_channels, synapse.out_channels, size, synapse.stride, synapse.padding, scale=scale
        )
    elif isinstance(synapse, nn.Linear):
        made = NormalisedLinear(synapse.in_features, synapse.out_features, scale)
    else:
        return synapse
    made.weight = synapse.weight  # the very parameter: it keeps its name
    return made


def threshold_of(neuron: Neuron) -> float:
    """Return the threshold at which `neuron` fires, the mean where it has several; 1 where it has none."""
    value = getattr(neuron, "v_threshold", 1.0)
    return float(value.detach().mean()) if isinstance(value, Tensor) else float(value)


class NormalisedChain(Chain):
    """A chain whose currents are normalised, by the steps together (tdBN) and each step scaled on top of it (TEBN).

    A subclass builds the chain and calls `normalise_currents`.
    """

    structure = "delayed"  # type: ignore[assignment]  # mypy narrows what Chain says to that one word
    """What a current is depends on the other steps of its batch."""

    def normalise_currents(self, normalisation: str, alpha: float, steps: int) -> None:
        """Normalise what every layer's neurons receive; the read-out stays as it is.

        Parameters
        ----------
        normalisation : ``tdbn`` or ``tebn``.
        alpha : with ``tdbn``, currents have the deviation `alpha` times the neurons' threshold at first.
        steps : with ``tebn``, steps with a scale of their own; later ones share the last.
        """
        if not alpha > 0:
            raise ValueError(f"alpha must be positive, got {alpha}")
        if steps < 1:
            raise ValueError(f"steps must be at least 1 time step, got {steps}")
        scaled = check_name("normalisation", normalisation, NORMALISATIONS) == "tdbn"
        for block in self.layers():
            block.synapse = normalised(block.synapse, alpha * threshold_of(block.neuron) if scaled else 1.0)
        self.step_scales = nn.ParameterList([] if scaled else [torch.ones(steps) for _ in self.layers()])

    def run(self, x: Tensor, states: tuple[State | None, ...] | None = None) -> NetworkOutput:
        """Process ``x[T, B, ...]`` layer by layer; with ``tebn`` the last of the states counts the steps."""
        if not len(self.step_scales):
            return super().run(x, states)
        neurons = self.neurons()
        after: list[State | None] = []
        losses: list[Tensor] = []
        first: Any = torch.zeros((), dtype=torch.long, device=x.device) if states is None else states[-1]
        at = (first + torch.arange(x.shape[0], device=x.device)).clamp(max=len(self.step_scales[0]) - 1)

        def fire(layer: int, current: Tensor) -> Tensor:
            scale = self.step_scales[layer].index_select(0, at).view(-1, *[1] * (current.dim() - 1))
            out = neurons[layer].run(scale * current, None if states is None else states[layer])
            after.append(out.state)
            if out.auxiliary_loss is not None:
                losses.append(out.auxiliary_loss)
            return out.spikes

        logits, _ = self.wire(x, fire, over_time)
        return NetworkOutput(logits, (*after, first + x.shape[0]), sum(losses[1:], losses[0]) if losses else None)
