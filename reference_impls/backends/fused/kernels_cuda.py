"""Calls a printed CUDA step on torch's tensors, whoever has compiled it and wherever it runs.

Which tensor goes where and what must be kept is decided here, so that the tests which run the same text on a CPU prove
what a GPU is given. Must not know CuPy, nor how a step was traced.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["CudaKernels"]


class CudaKernels(ABC):
    """The two kernels of a step, from CUDA C; see :class:`~..kernels.Kernels`."""

    def forward(
        self, x: Tensor, first: Sequence[Tensor], params: Sequence[Tensor], keep: bool
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Run the step over all of ``x[T, ...]``; keeps the state before each step."""
        spikes, last = torch.empty_like(x), [torch.empty_like(state) for state in first]
        kept = [torch.empty_like(x) for _ in first] if keep else []
        places: list[Tensor | None] = [*kept] if keep else [None for _ in first]
        self._launch("forward", x, [x, *first, *params, spikes, *last, *places])
        return spikes, last, kept

    def backward(
        self,
        x: Tensor,
        first: Sequence[Tensor],
        params: Sequence[Tensor],
        kept: Sequence[Tensor],
        upstream: Tensor,
        upstream_last: Sequence[Tensor | None],
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Walk back in time over the states that the forward pass has kept."""
        dx, dfirst = torch.empty_like(x), [torch.empty_like(state) for state in first]
        dparams = [torch.empty_like(param) for param in params]
        dlast = [
            torch.zeros_like(own) if part is None else part for part, own in zip(upstream_last, dfirst, strict=True)
        ]
        self._launch("backward", x, [x, *kept, *params, upstream, *dlast, dx, *dfirst, *dparams])
        return dx, dfirst, dparams

    @abstractmethod
    def _launch(self, name: str, x: Tensor, tensors: Sequence[Tensor | None]) -> None:
        """Call the kernel `name` with the addresses of `tensors` (None: a null pointer), T and N of `x`."""
