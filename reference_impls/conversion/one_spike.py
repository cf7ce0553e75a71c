"""Neurons that fire at most once, in a window of their own: the time of the crossing, and the same on a time grid.

A spike's time stands for a number: an early one for a large one. All inputs of a layer lie in the window before its
own, so a membrane is known when the window opens, rises linearly from there, and crosses at a time in closed form. The
three linear codes (B1, LC-TTFS, DFT) differ in how fast it rises. Must not know how a network is trained.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from reference_impls.neuron import ParallelNeuron
from reference_impls.surrogate import straight_through

__all__ = ["Ramp", "arrived", "crossing", "decoded", "input_spikes", "on_grid", "put_ramps"]


def crossing(
    z: Tensor, rise: Tensor | float, threshold: float, steps: int | None = None, steepest: float | None = None
) -> Tensor:
    """Return when a membrane reaches its threshold, as a share of the window; 1 is no spike.

    Parameters
    ----------
    z : membrane when the window opens, of any shape.
    rise : what the membrane gains over the window; where it is not positive only what is above already fires.
    threshold : a membrane that has it when the window opens fires at once, 0.
    steps : None: in continuous time, with the exact derivatives of ``(threshold - z) / rise`` where a spike falls
        inside the window and 0 elsewhere. Else on a grid of so many steps, to the nearest.
    steepest : None: the derivatives are exact. Else the two by membrane and rise are clipped to +-`steepest`.
    """
    slope = torch.as_tensor(rise, dtype=z.dtype, device=z.device)
    rises = slope > 0
    share = (threshold - z) / torch.where(rises, slope, torch.ones_like(slope))
    share = torch.where(rises, share, (z < threshold).to(z.dtype))
    if steepest is not None:
        by_z = (-1 / torch.where(rises, slope, torch.ones_like(slope))).detach() * rises
        clipped = [part.clamp(-steepest, steepest) for part in (by_z, by_z * share.detach())]
        share = straight_through(share, clipped[0] * z + clipped[1] * slope)
    if steps is not None:
        share = torch.ceil(share * steps - 0.5) / steps
    return share.clamp(0, 1)


def step_values(steps: int, like: Tensor) -> Tensor:
    """Return what a spike at each of `steps` steps of a window stands for, as a share of it: 1, ..., 1 / steps."""
    return torch.arange(steps, 0, -1, dtype=like.dtype, device=like.device) / steps


def arrived(x: Tensor, bias: Tensor | float) -> Tensor:
    """Return what the currents ``x[T, B, ...]`` of a window add up to: each as often as its spike's time says.

    A `bias` is in the current of every step, and counts once.
    """
    values = step_values(x.shape[0], x)
    total = (values.view(-1, *[1] * (x.dim() - 1)) * x).sum(0)
    return total - bias * (values.sum() - 1)


def input_spikes(frame: Tensor, window: float, steps: int | None) -> Tensor:
    """Return the share of its window at which each entry of ``frame[B, ...]`` fires; 1 is no spike.

    The size of an entry sets the time; a negative one is a spike of the other sign, which no time tells.
    """
    return crossing(frame.abs(), window, window, steps)


def on_grid(share: Tensor, steps: int) -> Tensor:
    """Return spikes ``[steps, B, ...]`` at the steps that ``share[B, ...]`` names, as `crossing` rounds it."""
    when = torch.arange(steps, device=share.device).view(-1, *[1] * share.dim())
    return (when == (share * steps).round()).to(share.dtype)


def decoded(share: Tensor, window: float) -> Tensor:
    """Return the number that a spike time stands for: ``window (1 - share)``."""
    return window * (1 - share)


class Ramp(ParallelNeuron):
    """Adds up one window of input, then rises through the next and fires where it crosses its threshold.

    Step t of its output is step t of its own window, which begins where that of its input ends.

    Parameters
    ----------
    threshold : reached when the window opens, it fires at once.
    rise : what the membrane gains over the window, one number or one a neuron.
    gathers : whether the weights that arrived are added to `rise`: the currents go on.
    bias : of the linear map that feeds it, which is in the current of every step and counts once.

    On a grid of T steps: ``u[t] = z + rise t / T``, ``z = sum_t (1 - t / T) x[t]``; fires at the first step with
    ``u[t] >= threshold - rise / (2 T)``, so that times are rounded to the nearest step.
    """

    max_spikes = 1

    def __init__(
        self,
        threshold: float = 1.0,
        rise: Tensor | float = 1.0,
        gathers: bool = False,
        bias: Tensor | float = 0.0,
    ) -> None:
        super().__init__()
        self.threshold = threshold
        self.rise = rise
        self.gathers = gathers
        self.bias = bias
        self.parameter_shape = tuple(bias.shape) if isinstance(bias, Tensor) else ()

    def forward(self, x: Tensor) -> Tensor:
        """Map currents ``x[T, B, ...]`` of one window to spikes of the same shape in the next."""
        steps = x.shape[0]
        rise = self.rise + x.sum(0) - steps * self.bias if self.gathers else self.rise
        passed = torch.arange(steps, dtype=x.dtype, device=x.device).view(-1, *[1] * (x.dim() - 1)) / steps
        half = torch.as_tensor(rise, dtype=x.dtype, device=x.device).clamp(min=0) / (2 * steps)
        above = (arrived(x, self.bias) + rise * passed) >= self.threshold - half
        before = torch.cat([torch.zeros_like(above[:1]), above[:-1]])
        # A membrane that falls is above at the first steps only, and has fired by then.
        return (above & ~before).to(x.dtype)


def put_ramps(network: Any) -> None:
    """Put ramps in the place of a chain's IF neurons; thresholds follow."""
    for block in network.layers():
        block.neuron = Ramp().to(next(block.synapse.parameters()))
