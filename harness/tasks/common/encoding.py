"""How a batch of samples becomes a sequence of floats ``[T, B, ...]``.

Samples that are floats already keep their type, so that a run in another precision converts the batch and encodes
it; integers become float32.
"""

from __future__ import annotations

from torch import Tensor

__all__ = ["constant_current", "steps_first"]


def constant_current(inputs: Tensor, T: int, largest: int) -> Tensor:
    """Return ``inputs[B, ...] / largest`` at every step, as a broadcast with stride 0 over time."""
    x = _floats(inputs) / largest
    return x.unsqueeze(0).expand(T, *x.shape)


def steps_first(inputs: Tensor) -> Tensor:
    """Return samples that have steps of their own, ``[B, T, ...]``, as ``[T, B, ...]``, contiguous."""
    return _floats(inputs.transpose(0, 1).contiguous())


def _floats(inputs: Tensor) -> Tensor:
    return inputs if inputs.is_floating_point() else inputs.float()
