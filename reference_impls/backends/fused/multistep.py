"""Makes a step's kernels a differentiable function of a sequence, and puts it in the place of a neuron's loop.

Shapes and gradients only: broadcasting parameters to neurons and summing their gradients back, states in and out.
Must not know how kernels are printed or compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from reference_impls.backends import UnsupportedError
from reference_impls.backends.fused.kernels import Kernels
from reference_impls.backends.fused.program import Traced, trace_step
from reference_impls.neuron import Neuron, SequentialNeuron, State

__all__ = ["KernelFactory", "attach_fused"]

KernelFactory = Callable[[Traced, torch.dtype], Kernels]


def attach_fused(neuron: Neuron, make_kernels: KernelFactory, device: str, dtypes: tuple[torch.dtype, ...]) -> None:
    """Replace the loop over T of `neuron` by kernels; they are made at the first call with each dtype.

    Parameters
    ----------
    neuron : must be sequential.
    make_kernels : prints and compiles.
    device : type of the device that the kernels run on.
    dtypes : of the input, that they know.

    Raises
    ------
    UnsupportedError
        If the neuron has no step, or one that cannot be traced.
    """
    if not isinstance(neuron, SequentialNeuron):
        raise UnsupportedError(
            f"{type(neuron).__name__} is a parallel neuron: the fused backends replace a loop over T, and it has none"
        )
    known: dict[torch.dtype, Kernels] = {}
    # At once, so that an impossible neuron is refused when it is built and not in the middle of a run.
    make_kernels(trace_step(neuron, torch.float32), torch.float32)

    def sequence(x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        if x.device.type != device or x.dtype not in dtypes:
            names = ", ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)
            raise UnsupportedError(
                f"the backend {neuron.backend!r} takes {names} on {device}; this input is "
                f"{str(x.dtype).removeprefix('torch.')} on {x.device.type}"
            )
        if x.dtype not in known:
            # Half precision is a way of storing: arithmetic is float32's.
            known[x.dtype] = make_kernels(trace_step(neuron, torch.promote_types(x.dtype, torch.float32)), x.dtype)
        first = neuron.init_state(x[0]) if state is None else state
        params = [_spread(param, x) for param in neuron.step_params().values()]
        given = [_spread(part, x) for part in first]
        spikes, *last = _Multistep.apply(known[x.dtype], len(given), x, *given, *params)
        return spikes, type(first)(*last)

    setattr(neuron, neuron.entry_point, sequence)


def _spread(tensor: Tensor, x: Tensor) -> Tensor:
    """Return `tensor` with a value for each neuron, ``x.shape[1:]``; autograd sums its gradient back."""
    return tensor.to(x.dtype).expand(x.shape[1:])


class _Multistep(torch.autograd.Function):
    """The step over all of T; tensors come as the neuron has them and are flattened to ``[T, N]`` and ``[N]``."""

    @staticmethod
    def forward(ctx: Any, kernels: Kernels, states: int, x: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
        flat = [tensor.detach().contiguous().reshape(-1) for tensor in given]
        rows = _rows(x)
        keep = any(ctx.needs_input_grad)
        spikes, last, kept = kernels.forward(rows, flat[:states], flat[states:], keep)
        ctx.kernels, ctx.states = kernels, states
        ctx.save_for_backward(x, *given, *kept)
        return spikes.view(x.shape), *(state.view(x.shape[1:]) for state in last)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, *upstream_last: Tensor) -> tuple[Any, ...]:
        x, *saved = ctx.saved_tensors
        count = len(ctx.needs_input_grad) - 3
        flat = [tensor.contiguous().reshape(-1) for tensor in saved[:count]]
        dx, dstates, dparams = ctx.kernels.backward(
            _rows(x),
            flat[: ctx.states],
            flat[ctx.states :],
            saved[count:],
            _rows(upstream),
            [part.contiguous().reshape(-1) for part in upstream_last],
        )
        return None, None, dx.view(x.shape), *(gradient.view(x.shape[1:]) for gradient in (*dstates, *dparams))


def _rows(x: Tensor) -> Tensor:
    """Return ``x[T, ...]`` as contiguous ``[T, N]``."""
    return x.detach().contiguous().reshape(x.shape[0], x[0].numel())
