"""Runs a step's Triton kernels on torch's tensors, as operators of torch that compiled code calls like any other.

They are ``custom_op`` and no ``triton_op``: torch.compile would take those apart and compile the kernels anew, without
being told that products and sums must not be fused (torch 2.13 passes on ``num_warps`` and a few others,
`triton_kernel_wrap.py`), so that spikes would depend on who calls. Must not know how a step was traced.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from collections.abc import Sequence
from types import MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor

from reference_impls.backends import UnsupportedError
from reference_impls.backends.fused.cache import kept_source
from reference_impls.backends.fused.cuda_multistep import begin
from reference_impls.backends.fused.cuda_source import real_of
from reference_impls.backends.fused.multistep import Kept, short
from reference_impls.backends.fused.program import Traced
from reference_impls.backends.fused.triton_source import triton_source
from reference_impls.neuron import Neuron, SequentialNeuron, State, plain_attributes

__all__ = ["TritonKernels", "attach_triton"]

BLOCK = 128
"""Neurons of a program: one for each thread of four warps, which is what Triton starts."""
OPTIONS = {"enable_fp_fusion": False}
"""Of the compiler: every operation rounds as torch's does."""
_kernels: dict[str, TritonKernels] = {}
"""What operators call, by the name that they are given: an operator takes tensors, numbers and texts."""


class TritonKernels:
    """The kernels of a step."""

    def __init__(self, traced: Traced, dtype: torch.dtype) -> None:
        source = triton_source(traced, short(dtype))
        self.name = hashlib.sha256(source.encode()).hexdigest()[:16]
        self.real: torch.dtype = getattr(torch, real_of(short(dtype)))
        self.states, self.written, self.rereads_input = len(traced.states), len(traced.written), "x" in traced.kept
        self.module = _loaded(source)
        _kernels[self.name] = self

    def forward(self, x: Tensor, first: Sequence[Tensor], params: Sequence[Tensor], keep: bool) -> list[Tensor]:
        """Map ``x[T, ...]``, first states (none: at rest) and parameters to `outputs`."""
        out = self.outputs(x, keep)
        at_rest = [x] * (self.states if not first else 0)  # not read
        unwritten = [x] * (0 if keep else self.written)  # not written
        self._launch("forward", x, [x, *at_rest, *first, *params, *out, *unwritten], not first, keep)
        return out

    def outputs(self, x: Tensor, keep: bool) -> list[Tensor]:
        """Return room for spikes, last states and, if they shall be kept, values of every step."""
        last = [x.new_empty(x.shape[1:]) for _ in range(self.states)]
        return [torch.empty_like(x), *last, *(torch.empty_like(x) for _ in range(self.written if keep else 0))]

    def backward(
        self, kept: Sequence[Tensor], params: Sequence[Tensor], upstream: Tensor, upstream_last: Sequence[Tensor]
    ) -> list[Tensor]:
        """Walk back in time; return the gradients of input, first states and parameters."""
        out = self.gradients(params, upstream)
        self._launch("backward", upstream, [*kept, *params, upstream, *upstream_last, *out])
        return out

    def gradients(self, params: Sequence[Tensor], upstream: Tensor) -> list[Tensor]:
        """Return room for them."""
        first = [upstream.new_empty(upstream.shape[1:]) for _ in range(self.states)]
        return [torch.empty_like(upstream), *first, *map(torch.empty_like, params)]

    def _launch(self, name: str, sequence: Tensor, tensors: Sequence[Tensor], *switches: bool) -> None:
        steps, neurons = sequence.shape[0], sequence.shape[1:].numel()
        if neurons:
            kernel = getattr(self.module, name)[(-(-neurons // BLOCK),)]
            with torch.cuda.device_of(sequence):
                kernel(*tensors, steps, neurons, *switches, BLOCK, **OPTIONS)


@functools.lru_cache(maxsize=256)
def _loaded(source: str) -> ModuleType:
    """Import a printed text; Triton reads it again, so it must be in a file."""
    path = kept_source(source, ".py")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@torch.library.custom_op("spikeboard::triton_forward", mutates_args=())
def _forward(name: str, x: Tensor, first: list[Tensor], params: list[Tensor], keep: bool) -> list[Tensor]:
    return _kernels[name].forward(x, first, params, keep)


@_forward.register_fake
def _(name: str, x: Tensor, first: list[Tensor], params: list[Tensor], keep: bool) -> list[Tensor]:
    return _kernels[name].outputs(x, keep)


@torch.library.custom_op("spikeboard::triton_backward", mutates_args=())
def _backward(
    name: str, kept: list[Tensor], params: list[Tensor], upstream: Tensor, upstream_last: list[Tensor]
) -> list[Tensor]:
    return _kernels[name].backward(kept, params, upstream, upstream_last)


@_backward.register_fake
def _(
    name: str, kept: list[Tensor], params: list[Tensor], upstream: Tensor, upstream_last: list[Tensor]
) -> list[Tensor]:
    return _kernels[name].gradients(params, upstream)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    name, x, first, params, _ = inputs
    kernels = _kernels[name]
    ctx.name, ctx.from_rest, ctx.params = name, not first, len(params)
    ctx.set_materialize_grads(False)  # else torch fills a sequence with zeros for everything that is kept
    reread = [x] if kernels.rereads_input else []
    ctx.save_for_backward(*params, *reread, *output[1 + kernels.states :])


def _pull_back(ctx: Any, upstream: list[Tensor | None]) -> tuple[Any, ...]:
    kernels, saved = _kernels[ctx.name], ctx.saved_tensors
    params, kept = list(saved[: ctx.params]), list(saved[ctx.params :])
    spikes, last = upstream[0], upstream[1 : 1 + kernels.states]
    like = kept[0] if spikes is None else spikes
    given = [like.new_zeros(like.shape[1:]) if one is None else one.contiguous() for one in last]
    whole = torch.zeros_like(like) if spikes is None else spikes.contiguous()
    dx, *rest = _backward(ctx.name, kept, params, whole, given)
    dfirst, dparams = rest[: kernels.states], rest[kernels.states :]
    return None, dx, [] if ctx.from_rest else dfirst, dparams, None


_forward.register_autograd(_pull_back, setup_context=_remember)


class _Steps(Kept):
    """The kernels of one neuron; torch.compile guards what they were traced of, and leaves a new trace to Python."""

    def _find(self, neuron: SequentialNeuron, dtype: torch.dtype) -> tuple[Traced, Any]:
        key = dtype, *plain_attributes(neuron).items()
        return self._made[key] if key in self._made else self._trace(neuron, dtype)

    @torch.compiler.disable
    def _trace(self, neuron: SequentialNeuron, dtype: torch.dtype) -> tuple[Traced, Any]:
        return super()._find(neuron, dtype)


def attach_triton(neuron: Neuron, device: str = "cuda") -> None:
    """Replace the loop over T of `neuron` by Triton kernels, for input on `device`.

    Raises
    ------
    UnsupportedError
        If the neuron has no step, or one that cannot be traced or printed.
    """
    if not isinstance(neuron, SequentialNeuron):
        raise UnsupportedError(
            f"{type(neuron).__name__} is a parallel neuron: the fused backends replace a loop over T, and it has none"
        )
    made = _Steps(TritonKernels)
    made.get(neuron, torch.float32)

    def sequence(neuron: SequentialNeuron, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        traced, kernels, state = begin(neuron, made, device, x, state)
        shape = x.shape[1:]
        first = [part.to(x.dtype).expand(shape).contiguous() for part in state or ()]
        params = [param.to(kernels.real).expand(shape).contiguous() for param in neuron.step_params().values()]
        keep = torch.is_grad_enabled() and any(one.requires_grad for one in (x, *first, *params))
        spikes, *more = _forward(kernels.name, x.contiguous(), first, params, keep)
        return spikes, traced.state(*more[: kernels.states])

    setattr(neuron, neuron.entry_point, MethodType(sequence, neuron))
