"""What a compiled step offers to the code that makes it differentiable: the same for every language."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

__all__ = ["Kernels"]


class Kernels(Protocol):
    """A step's two kernels. All tensors are contiguous, of one dtype and device, ``[T, ...]`` and ``[...]``; T >= 1."""

    def forward(
        self, x: Tensor, first: Sequence[Tensor] | None, params: Sequence[Tensor], keep: bool
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Map ``x[T, ...]``, states and effective parameters, one a neuron, to spikes, last states and what to keep.

        None as `first` stands for the neuron at rest, which must then be the same number for all. What to keep is for
        `backward`, if it will be called (`keep`).
        """

    def backward(
        self,
        kept: Sequence[Tensor],
        params: Sequence[Tensor],
        upstream: Tensor,
        upstream_last: Sequence[Tensor | None],
        from_rest: bool,
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Return the gradients of `x`, first states (none `from_rest`) and parameters.

        None in `upstream_last` stands for zeros.
        """
