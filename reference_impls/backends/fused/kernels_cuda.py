"""Calls a printed CUDA step on torch's tensors, whoever has compiled it and wherever it runs.

Which kernel is called, which tensor goes where and what must be kept is decided here, so that the tests which run the
same text on a CPU prove what a GPU is given. Must not know CuPy, nor how a step was traced.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from reference_impls.backends.fused.cuda_kernel import THREADS_PER_BLOCK
from reference_impls.backends.fused.cuda_source import NARROW_OFFSETS, PACK_BYTES, lanes_of, real_of
from reference_impls.backends.fused.program import Traced

__all__ = ["CudaKernels", "LayerParameter", "Variant"]


class LayerParameter(NamedTuple):
    """A parameter's numbers in memory: neuron n has ``values[n // repeats % len(values)]``."""

    values: Tensor
    repeats: int

    @property
    def is_shared(self) -> bool:
        """Whether the whole layer has one number."""
        return self.values.numel() == 1


class Variant(NamedTuple):
    """Which text a call needs."""

    shared: tuple[bool, ...]
    narrow: bool


class CudaKernels(ABC):
    """The kernels of a step, from CUDA C.

    Parameters
    ----------
    traced, dtype : what to print.
    shared : for each parameter whether the layer has one number of it, as far as is known: compiled at once, so that a
        step which cannot be compiled is refused here. Any other is compiled when it is called for.
    """

    def __init__(self, traced: Traced, dtype: str, shared: Sequence[bool]) -> None:
        self.real: torch.dtype = getattr(torch, real_of(dtype))
        self._traced, self._dtype, self._lanes = traced, dtype, lanes_of(dtype)
        self._rereads_input = "x" in traced.kept
        self._at_rest = [None for _ in traced.states]
        self._prepare(Variant(tuple(shared), narrow=True))

    def forward(
        self, x: Tensor, first: Sequence[Tensor] | None, params: Sequence[LayerParameter], keep: bool
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Map ``x[T, ...]``, states and parameters to spikes, last states and, for `backward`, what to `keep`."""
        spikes, last = torch.empty_like(x), [x.new_empty(x.shape[1:]) for _ in self._at_rest]
        written = [torch.empty_like(x) for _ in self._traced.written] if keep else []
        given = [x, *(self._at_rest if first is None else first)]
        name = "forward" if keep else "inference"
        self._run(name, self._lanes_for(x, given), x, given, params, [spikes, *last, *written])
        return spikes, last, [x, *written] if keep and self._rereads_input else written

    def backward(
        self,
        kept: Sequence[Tensor],
        params: Sequence[LayerParameter],
        upstream: Tensor,
        upstream_last: Sequence[Tensor | None],
        from_rest: bool,
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Walk back in time; return the gradients of input, first states (none `from_rest`) and parameters.

        That of a parameter that the layer shares is the sum of what is returned for it; of another, there is a number
        for each neuron.
        """
        dx, shape = torch.empty_like(upstream), upstream.shape[1:]
        dfirst = [] if from_rest else [upstream.new_empty(shape) for _ in self._at_rest]
        lanes = self._lanes_for(upstream, [*kept, upstream, *upstream_last])
        blocks = self._blocks(shape.numel(), lanes)
        dparams = [
            torch.empty((blocks if dx.numel() else 0,) if one.is_shared else shape, dtype=self.real, device=dx.device)
            for one in params
        ]
        dstates = self._at_rest if from_rest else dfirst
        more = [upstream, *upstream_last, dx, *dstates, *dparams]
        self._run("backward", lanes, upstream, kept, params, more)
        return dx, dfirst, dparams

    def _run(
        self,
        name: str,
        lanes: int,
        sequence: Tensor,
        tensors: Sequence[Tensor | None],
        params: Sequence[LayerParameter],
        more: Sequence[Tensor | None],
    ) -> None:
        """Call the kernel `name` for as many steps and neurons as `sequence` has."""
        steps, neurons = sequence.shape[0], sequence.shape[1:].numel()
        if not neurons:
            return
        variant = Variant(tuple(one.is_shared for one in params), steps * neurons < NARROW_OFFSETS)
        arguments: list[object] = [_address(tensor) for tensor in tensors]
        for one in params:
            sizes = () if one.is_shared else (one.repeats, one.values.numel())
            arguments += [one.values.data_ptr(), *(self._offset(size, variant) for size in sizes)]
        arguments += [_address(tensor) for tensor in more]
        arguments += [self._integer(steps), self._offset(neurons, variant)]
        self._launch(variant, f"{name}_{lanes}", sequence.device, self._blocks(neurons, lanes), arguments)

    def _lanes_for(self, sequence: Tensor, tensors: Sequence[Tensor | None]) -> int:
        """Return how many neurons a thread takes: a pack if every row of all tensors given consists of whole packs.

        What is allocated for results begins at one.
        """
        neurons = sequence.shape[1:].numel()
        whole = neurons % self._lanes == 0 and all(_address(tensor) % PACK_BYTES == 0 for tensor in tensors)
        return self._lanes if whole else 1

    def _blocks(self, neurons: int, lanes: int) -> int:
        """Return how many blocks are launched."""
        return -(-neurons // (lanes * THREADS_PER_BLOCK))

    @abstractmethod
    def _prepare(self, variant: Variant) -> None:
        """Print and compile a text, so that calls of its kernels need not."""

    @abstractmethod
    def _launch(
        self, variant: Variant, name: str, device: torch.device, blocks: int, arguments: Sequence[object]
    ) -> None:
        """Call a kernel on `device` with addresses (0: none) and sizes."""

    @abstractmethod
    def _integer(self, number: int) -> object:
        """Return a 32-bit argument."""

    @abstractmethod
    def _offset(self, number: int, variant: Variant) -> object:
        """Return an argument of the type of the text's offsets."""


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()
