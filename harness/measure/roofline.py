"""How far a neuron layer is from the speed of memory: its forward and backward beside a plain copy.

A spiking neuron does a handful of operations on every value that it reads, so a perfect kernel waits for memory alone.
The copy is measured in the same run, because bandwidth depends on machine, size and neighbours as much as a kernel
does. Must not know suites, tasks or methods.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.measure.clock import Function
from reference_impls.api import Neuron

__all__ = [
    "FLOOR_FLOATS",
    "FLOOR_FLOATS_RECOMPUTED",
    "FLOOR_FLOATS_SPIKES_AS_BITS",
    "NEURONS_PAST_GPU_CACHE",
    "copying",
    "training_layer",
]

FLOOR_FLOATS = 6
"""Numbers that training a layer must move for each neuron and step, 24 bytes in float32: forward reads the input and
writes the spikes and one value to differentiate at; backward reads that and the upstream gradient and writes dx."""
FLOOR_FLOATS_RECOMPUTED = 5
"""The same, 20 bytes in float32, where backward runs the step again from an input that it has in registers."""
FLOOR_FLOATS_SPIKES_AS_BITS = 4
"""The same, 16 bytes in float32 and a bit, where spikes are written as bits, too: no kernel can move less."""
NEURONS_PAST_GPU_CACHE = 4 << 20
"""Of a layer whose one step of float32, 16 MiB, leaves no room in a GPU's second cache (50 MB) for what comes after."""


def copying(count: int, dtype: torch.dtype, device: torch.device) -> Function:
    """Return a function that copies ``FLOOR_FLOATS / 2`` numbers for each of `count` neuron-steps, reads as many."""
    source = torch.rand(FLOOR_FLOATS // 2 * count, device=device).to(dtype)
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


def training_layer(neuron: Neuron, x: Tensor) -> Function:
    """Return a function that runs `neuron` over ``x[T, B, N]`` and back, all its gradients included."""
    x = x.detach().requires_grad_()
    wanted = [x, *(parameter for parameter in neuron.parameters() if parameter.requires_grad)]
    upstream = torch.ones_like(x)

    def train() -> object:
        return torch.autograd.grad(neuron(x), wanted, upstream, allow_unused=True)

    return train
