"""Spike times under a threshold that falls exponentially: a time says the logarithm of a number.

Synapses decode with the same kernel, so a layer adds up what the layer below could say. Kernels are fitted to a
layer's activations. Must not know networks.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from reference_impls.neuron import ParallelNeuron

__all__ = ["Exponential", "Kernel", "decode", "encode", "fitted", "summed"]

FITTING_STEPS, FITTING_RATE = 100, 0.02
SMALLEST_QUANTILE = 0.01
"""Of the positive activations: what the smallest value of a kernel is to be."""


class Kernel(NamedTuple):
    """``scale exp(-(s - delay) / tau)`` for a spike at share s of its window."""

    scale: float
    tau: float
    """As a share of the window."""
    delay: float
    """As a share of the window: at it the kernel is `scale`."""

    def values(self, steps: int, like: Tensor) -> Tensor:
        """Return the kernel at each of `steps` steps of a window: what a spike stands for, and the threshold."""
        when = torch.arange(steps, dtype=like.dtype, device=like.device) / steps
        return self.scale * torch.exp((self.delay - when) / self.tau)


def encode(u: Tensor, kernel: Kernel, steps: int | None = None) -> Tensor:
    """Return when a membrane `u` meets the kernel, as a share of the window; 1 is no spike.

    On a grid: the first of `steps` steps at which it is not below. What is above the kernel's largest value fires at
    0; what is below its smallest does not fire.
    """
    positive = u > 0
    share = kernel.delay - kernel.tau * torch.log(torch.where(positive, u, kernel.scale) / kernel.scale)
    if steps is not None:
        share = torch.ceil(share * steps) / steps
    return torch.where(positive, share.clamp(0, 1), torch.ones_like(share))


def decode(share: Tensor, kernel: Kernel) -> Tensor:
    """Return the number that a spike time stands for; 0 for no spike."""
    value = kernel.scale * torch.exp((kernel.delay - share) / kernel.tau)
    return torch.where(share < 1, value, torch.zeros_like(value))


def summed(x: Tensor, kernel: Kernel, bias: Tensor | float) -> Tensor:
    """Return what the currents ``x[T, B, ...]`` of a window add up to, each weighted by the kernel of its step.

    A `bias` is in the current of every step, and counts once.
    """
    values = kernel.values(x.shape[0], x)
    return (values.view(-1, *[1] * (x.dim() - 1)) * x).sum(0) - bias * (values.sum() - 1)


def fitted(a: Tensor, steps: int) -> Kernel:
    """Return the kernel that says the activations `a` (any shape, not negative) best in `steps` steps.

    ``tau`` and ``delay`` descend along the gradient of half the squared errors of all values, of the smallest and of
    the largest that can be said; spike times are held while it is taken.
    """
    scale = float(a.max())
    positive = (a[a > 0] / scale).double() if scale > 0 else a.new_ones(1, dtype=torch.float64)
    place = 1 + int(SMALLEST_QUANTILE * (positive.numel() - 1))
    smallest = positive.kthvalue(place).values
    raw = torch.tensor([math.log(0.25), 0.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([raw], lr=FITTING_RATE)
    with torch.enable_grad():
        for _ in range(FITTING_STEPS):
            tau, delay = raw[0].exp(), raw[1]
            share = encode(positive, Kernel(1.0, float(tau.detach()), float(delay.detach())), steps)
            said = torch.where(share < 1, torch.exp((delay - share) / tau), 0.0)
            low, high = torch.exp((delay - 1 + 1 / steps) / tau), torch.exp(delay / tau)
            loss = (positive - said).square().mean() + (smallest - low).square() + (1 - high).square()
            optimizer.zero_grad()
            (loss / 2).backward()
            optimizer.step()
    tau, delay = raw.detach().tolist()
    return Kernel(scale if scale > 0 else 1.0, math.exp(tau), delay)


class Exponential(ParallelNeuron):
    """Adds up one window of input by the kernel below, then fires where its own kernel has fallen to the membrane.

    Step t of its output is step t of its own window, which begins where that of its input ends.

    Parameters
    ----------
    below, own : kernels of the layer that feeds it, and of its threshold.
    bias : of the linear map that feeds it, which is in the current of every step and counts once.
    """

    max_spikes = 1

    def __init__(self, below: Kernel, own: Kernel, bias: Tensor | float = 0.0) -> None:
        super().__init__()
        self.below = below
        self.own = own
        self.bias = bias
        self.parameter_shape = tuple(bias.shape) if isinstance(bias, Tensor) else ()

    def forward(self, x: Tensor) -> Tensor:
        """Map currents ``x[T, B, ...]`` of one window to spikes of the same shape in the next."""
        threshold = self.own.values(x.shape[0], x).view(-1, *[1] * (x.dim() - 1))
        above = summed(x, self.below, self.bias) >= threshold
        before = torch.cat([torch.zeros_like(above[:1]), above[:-1]])
        return (above & ~before).to(x.dtype)
