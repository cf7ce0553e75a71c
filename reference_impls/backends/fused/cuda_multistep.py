"""Makes a step's CUDA kernels a differentiable function of a sequence, and puts it in the place of a neuron's loop.

As ``multistep`` does for CPUs, but parameters stay as they are: they are not spread to one a neuron, which would cost
as much memory as a state, and neither they nor their gradients are rounded to half precision where the tensors are.
Must not know how kernels are printed or compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import MethodType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from reference_impls.backends import UnsupportedError
from reference_impls.backends.disguise import refuse_disguised
from reference_impls.backends.fused.kernels_cuda import CudaKernels, LayerParameter
from reference_impls.backends.fused.multistep import Kept, short
from reference_impls.backends.fused.program import Traced
from reference_impls.neuron import Neuron, SequentialNeuron, State

__all__ = ["DTYPES", "CudaKernelFactory", "attach_cuda", "begin"]

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
CudaKernelFactory = Callable[[Traced, str, Sequence[bool]], CudaKernels]
"""Prints and compiles."""


def attach_cuda(neuron: Neuron, make: CudaKernelFactory, device: str = "cuda") -> None:
    """Replace the loop over T of `neuron` by CUDA kernels, for input on `device`.

    They are compiled at once for float32, so that an impossible neuron is refused when it is built, and for another
    dtype at the first call with it.

    Raises
    ------
    UnsupportedError
        If the neuron has no step, or one that cannot be traced or compiled.
    """
    if not isinstance(neuron, SequentialNeuron):
        raise UnsupportedError(
            f"{type(neuron).__name__} is a parallel neuron: the fused backends replace a loop over T, and it has none"
        )
    shared = [param.numel() == 1 for param in neuron.step_params().values()]
    made = Kept(partial(_made, make, shared))
    made.get(neuron, torch.float32)

    def sequence(neuron: SequentialNeuron, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        traced, kernels, state = begin(neuron, made, device, x, state)
        shape = x.shape[1:]
        first = [part.to(x.dtype).expand(shape) for part in state or ()]
        params = [param.to(kernels.real) for param in neuron.step_params().values()]
        # Inside of the function gradients are off, so it is told whether one can be asked for.
        spikes, *last = _Multistep.apply(kernels, len(params), torch.is_grad_enabled(), x, *first, *params)
        return spikes, traced.state(*last)

    setattr(neuron, neuron.entry_point, MethodType(sequence, neuron))


def begin(
    neuron: SequentialNeuron, made: Kept, device: str, x: Tensor, state: State | None
) -> tuple[Traced, Any, State | None]:
    """Return what a call with this input runs: the trace, its kernels, and the first state (None: at rest).

    Raises
    ------
    UnsupportedError
        If the kernels do not take such input.
    ValueError
        If the state has not as many variables as the neuron.
    """
    refuse_disguised(neuron.backend, x)
    if x.device.type != device or x.dtype not in DTYPES:
        raise UnsupportedError(
            f"the backend {neuron.backend!r} takes {', '.join(map(short, DTYPES))} on {device}; this input is "
            f"{short(x.dtype)} on {x.device.type}"
        )
    traced, kernels = made.get(neuron, x.dtype)
    if state is not None and len(state) != len(traced.states):
        raise ValueError(f"{type(neuron).__name__}: a state of {len(state)} variables, it has {len(traced.states)}")
    if state is None and traced.rest is None:
        state = neuron.init_state(x[0])
    return traced, kernels, state


def _made(make: CudaKernelFactory, shared: Sequence[bool], traced: Traced, dtype: torch.dtype) -> CudaKernels:
    return make(traced, short(dtype), shared)


def _laid_out(param: Tensor, shape: torch.Size) -> LayerParameter:
    """Return how a parameter that broadcasts to `shape` lies over its neurons: in runs, where that is possible."""
    if param.numel() == 1:
        return LayerParameter(param.contiguous(), 1)
    sizes = (1,) * (len(shape) - param.dim()) + tuple(param.shape)
    own = [place for place, size in enumerate(sizes) if size != 1]
    if sizes[own[0] : own[-1] + 1] != tuple(shape[own[0] : own[-1] + 1]):  # it skips a dimension between two others
        return LayerParameter(param.expand(shape).contiguous(), 1)
    return LayerParameter(param.contiguous(), shape[own[-1] + 1 :].numel())


class _Multistep(torch.autograd.Function):
    """The step over all of T: ``x[T, ...]``, first states ``[...]`` (none: at rest), parameters that spread to it."""

    @staticmethod
    def forward(
        ctx: Any, kernels: CudaKernels, params: int, enabled: bool, x: Tensor, *given: Tensor
    ) -> tuple[Tensor, ...]:
        states = len(given) - params
        first = [state.contiguous() for state in given[:states]] if states else None
        layer = [_laid_out(param, x.shape[1:]) for param in given[states:]]
        keep = enabled and any(ctx.needs_input_grad)
        spikes, last, kept = kernels.forward(x.contiguous(), first, layer, keep)
        if keep:
            ctx.kernels, ctx.from_rest, ctx.shape = kernels, not states, x.shape
            ctx.params = [(one.repeats, param.shape) for one, param in zip(layer, given[states:], strict=True)]
            # A gradient that nobody sent is zero; torch would fill a sequence with zeros for it.
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(*(one.values for one in layer), *kept)
        return spikes, *last

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor | None) -> tuple[Any, ...]:
        # Gradients are on here only if a gradient of this gradient may be asked for; see `multistep`.
        return (once_differentiable(_pull_back) if torch.is_grad_enabled() else _pull_back)(ctx, *upstream)


def _pull_back(ctx: Any, upstream: Tensor | None, *upstream_last: Tensor | None) -> tuple[Any, ...]:
    """Return a gradient for each argument of ``_Multistep.forward``."""
    saved, count = ctx.saved_tensors, len(ctx.params)
    last = [None if part is None else part.contiguous() for part in upstream_last]
    if upstream is None:
        upstream = next(part for part in last if part is not None).new_zeros(ctx.shape)
    layer = [LayerParameter(values, repeats) for values, (repeats, _) in zip(saved, ctx.params, strict=False)]
    dx, dfirst, found = ctx.kernels.backward(saved[count:], layer, upstream.contiguous(), last, ctx.from_rest)
    dparams = [
        sums.sum().reshape(shape) if one.is_shared else sums.sum_to_size(shape)
        for one, sums, (_, shape) in zip(layer, found, ctx.params, strict=True)
    ]
    return None, None, None, dx, *dfirst, *dparams
