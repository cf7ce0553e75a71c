"""Makes a step's kernels a differentiable function of a sequence, and puts it in the place of a neuron's loop.

Shapes and gradients only: broadcasting parameters to neurons and summing their gradients back, states in and out.
Must not know how kernels are printed or compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from operator import is_
from types import MethodType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from reference_impls.backends import UnsupportedError
from reference_impls.backends.disguise import refuse_disguised
from reference_impls.backends.fused.kernels import Kernels
from reference_impls.backends.fused.program import Traced, trace_step
from reference_impls.neuron import Neuron, SequentialNeuron, State, plain_attributes

__all__ = ["Kept", "KernelFactory", "Maker", "attach_fused", "short"]

KernelFactory = Callable[[Traced, torch.dtype], Kernels]


class Maker(NamedTuple):
    """How one kind of device gets its kernels."""

    make: KernelFactory
    """Prints and compiles."""
    dtypes: tuple[torch.dtype, ...]
    """Of the input, that the kernels know."""


def attach_fused(neuron: Neuron, makers: Mapping[str, Maker]) -> None:
    """Replace the loop over T of `neuron` by the kernels of the device that its input is on.

    They are printed at once for float32, so that an impossible neuron is refused when it is built, and for another
    dtype at the first call with it.

    Parameters
    ----------
    neuron : must be sequential.
    makers : for each type of device.

    Raises
    ------
    UnsupportedError
        If the neuron has no step, or one that cannot be traced.
    """
    if not isinstance(neuron, SequentialNeuron):
        raise UnsupportedError(
            f"{type(neuron).__name__} is a parallel neuron: the fused backends replace a loop over T, and it has none"
        )
    made = {device: Kept(maker.make) for device, maker in makers.items()}
    for one in made.values():
        one.get(neuron, torch.float32)

    def sequence(neuron: SequentialNeuron, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        refuse_disguised(neuron.backend, x)
        maker = makers.get(x.device.type)
        if maker is None or x.dtype not in maker.dtypes:
            raise UnsupportedError(
                f"the backend {neuron.backend!r} takes {' or '.join(_taken(makers))}; this input is "
                f"{short(x.dtype)} on {x.device.type}"
            )
        traced, kernels = made[x.device.type].get(neuron, x.dtype)
        if state is not None and len(state) != len(traced.states):
            raise ValueError(f"{type(neuron).__name__}: a state of {len(state)} variables, it has {len(traced.states)}")
        if state is None and traced.rest is None:
            state = neuron.init_state(x[0])
        params = neuron.step_params().values()
        given = [_spread(tensor, x.dtype, x.shape[1:]) for tensor in (*(state or ()), *params)]
        # Inside of the function gradients are off, so it is told whether one can be asked for.
        spikes, *last = _Multistep.apply(kernels, len(params), torch.is_grad_enabled(), x, *given)
        return spikes, traced.state(*last)

    setattr(neuron, neuron.entry_point, MethodType(sequence, neuron))


def _taken(makers: Mapping[str, Maker]) -> Iterator[str]:
    for device, maker in makers.items():
        yield f"{', '.join(map(short, maker.dtypes))} on {device}"


def short(dtype: torch.dtype) -> str:
    """Return the name of a dtype without ``torch.``."""
    return str(dtype).removeprefix("torch.")


class Kept:
    """The kernels of one neuron and its replicas, made when they are first wanted.

    A trace takes the neuron's plain attributes (a threshold, a reset mode) as constants; when a training method has
    changed one, its kernels are other kernels. Replicas may ask at the same time, each in a thread of its own.
    """

    def __init__(self, make: Callable[[Traced, torch.dtype], Any]) -> None:
        self._make = make
        self._made: dict[tuple[Any, ...], tuple[Traced, Kernels]] = {}
        self._last: tuple[tuple[Any, ...], tuple[Traced, Kernels]] | None = None

    def get(self, neuron: SequentialNeuron, dtype: torch.dtype) -> tuple[Traced, Any]:
        """Return the trace and the kernels for input of `dtype` and `neuron` as it now is."""
        # Asking whether each attribute is the very object that it was is a tenth of the work of comparing them.
        seen = dtype, *vars(neuron), *vars(neuron).values()
        last = self._last
        if last is not None and len(seen) == len(last[0]) and all(map(is_, seen, last[0])):
            return last[1]
        current = self._find(neuron, dtype)
        if "_is_replica" not in vars(neuron):  # one lives for one call: it must not be kept alive, nor forget the other
            self._last = seen, current
        return current

    def _find(self, neuron: SequentialNeuron, dtype: torch.dtype) -> tuple[Traced, Any]:
        key = dtype, *plain_attributes(neuron).items()
        if key not in self._made:
            # Half precision is a way of storing: arithmetic is float32's.
            traced = trace_step(neuron, torch.promote_types(dtype, torch.float32))
            self._made[key] = traced, self._make(traced, dtype)
        return self._made[key]


def _spread(tensor: Tensor, dtype: torch.dtype, shape: torch.Size) -> Tensor:
    """Return `tensor` with a value for each neuron, of `shape`; autograd sums its gradient back."""
    return tensor if tensor.shape == shape and tensor.dtype is dtype else tensor.to(dtype).expand(shape)


class _Multistep(torch.autograd.Function):
    """The step over all of T: ``x[T, ...]``, first states (none: at rest) and parameters, a value for each neuron."""

    @staticmethod
    def forward(
        ctx: Any, kernels: Kernels, params: int, enabled: bool, x: Tensor, *given: Tensor
    ) -> tuple[Tensor, ...]:
        states = len(given) - params
        whole = [tensor.contiguous() for tensor in given]
        first = whole[:states] if states else None
        keep = enabled and any(ctx.needs_input_grad)
        spikes, last, kept = kernels.forward(x.contiguous(), first, whole[states:], keep)
        if keep:
            ctx.kernels, ctx.params, ctx.from_rest, ctx.shape = kernels, params, not states, x.shape
            # A gradient that nobody sent is zero; torch would fill a sequence with zeros for it.
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(*whole[states:], *kept)
        return spikes, *last

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor | None) -> tuple[Any, ...]:
        # Gradients are on here only if a gradient of this gradient may be asked for. To refuse that takes a tenth of
        # the time of a short call, so it is prepared for only then.
        return (once_differentiable(_pull_back) if torch.is_grad_enabled() else _pull_back)(ctx, *upstream)


def _pull_back(ctx: Any, upstream: Tensor | None, *upstream_last: Tensor | None) -> tuple[Any, ...]:
    """Return a gradient for each argument of ``_Multistep.forward``."""
    saved = ctx.saved_tensors
    last = [None if part is None else part.contiguous() for part in upstream_last]
    if upstream is None:
        upstream = next(part for part in last if part is not None).new_zeros(ctx.shape)
    dx, dfirst, dparams = ctx.kernels.backward(
        saved[ctx.params :], saved[: ctx.params], upstream.contiguous(), last, ctx.from_rest
    )
    return None, None, None, dx, *dfirst, *dparams
