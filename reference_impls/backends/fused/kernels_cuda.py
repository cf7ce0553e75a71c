"""Calls a printed CUDA step on torch's tensors, whoever has compiled it and wherever it runs.

Which tensor goes where and what must be kept is decided here, so that the tests which run the same text on a CPU prove
what a GPU is given. Must not know CuPy, nor how a step was traced.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from reference_impls.backends.fused.program import Traced

__all__ = ["CudaKernels"]


class CudaKernels(ABC):
    """The two kernels of a step, from CUDA C; see :class:`~..kernels.Kernels`."""

    def __init__(self, traced: Traced) -> None:
        self._rereads_input = "x" in traced.kept
        self._written = len(traced.written)
        self._at_rest = [None for _ in traced.states]

    def forward(
        self, x: Tensor, first: Sequence[Tensor] | None, params: Sequence[Tensor], keep: bool
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Run the step over all of ``x[T, ...]``; keeps what the gradient needs of each step."""
        spikes, last = torch.empty_like(x), [x.new_empty(x.shape[1:]) for _ in self._at_rest]
        written = [torch.empty_like(x) if keep else None for _ in range(self._written)]
        states = self._at_rest if first is None else first
        self._run("forward", x, [x, *states, *params, spikes, *last, *written])
        kept = [x, *written] if self._rereads_input else written
        return spikes, last, [tensor for tensor in kept if tensor is not None] if keep else []

    def backward(
        self,
        kept: Sequence[Tensor],
        params: Sequence[Tensor],
        upstream: Tensor,
        upstream_last: Sequence[Tensor | None],
        from_rest: bool,
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Walk back in time over what the forward pass has kept."""
        dx, dparams = torch.empty_like(upstream), [torch.empty_like(param) for param in params]
        dfirst = [] if from_rest else [upstream.new_empty(upstream.shape[1:]) for _ in self._at_rest]
        dstates = self._at_rest if from_rest else dfirst
        self._run("backward", upstream, [*kept, *params, upstream, *upstream_last, dx, *dstates, *dparams])
        return dx, dfirst, dparams

    def _run(self, name: str, sequence: Tensor, tensors: Sequence[Tensor | None]) -> None:
        """Call the kernel `name` for as many steps and neurons as `sequence` has."""
        steps, count = sequence.shape[0], sequence.numel()
        if count:
            addresses = [0 if tensor is None else tensor.data_ptr() for tensor in tensors]
            self._launch(name, sequence.device, addresses, steps, count // steps)

    @abstractmethod
    def _launch(self, name: str, device: torch.device, addresses: Sequence[int], steps: int, neurons: int) -> None:
        """Call the kernel `name` on `device` with the addresses of its tensors (0: none)."""
