"""How a batch of samples becomes a sequence of floats ``[T, B, ...]``.

Samples that are floats already keep their type, so that a run in another precision converts the batch and encodes
it; integers become float32.
"""

from __future__ import annotations

from torch import Tensor

__all__ = ["constant_current", "steps_first", "stretched"]


def constant_current(inputs: Tensor, T: int, largest: int) -> Tensor:
    """Return ``inputs[B, ...] / largest`` at every step, as a broadcast with stride 0 over time."""
    x = _floats(inputs) / largest
    return x.unsqueeze(0).expand(T, *x.shape)


def steps_first(inputs: Tensor) -> Tensor:
    """Return samples that have steps of their own, ``[B, T, ...]``, as ``[T, B, ...]``, contiguous."""
    return _floats(inputs.transpose(0, 1).contiguous())


def stretched(x: Tensor, T: int) -> Tensor:
    """Repeat or cut the sequence ``[T', B, ...]`` to `T` steps; one that is constant stays a broadcast."""
    if x.stride(0) == 0:
        return x[:1].expand(T, *x.shape[1:])
    return x.repeat(-(-T // x.shape[0]), *[1] * (x.dim() - 1))[:T]


def _floats(inputs: Tensor) -> Tensor:
    return inputs if inputs.is_floating_point() else inputs.float()
