"""A linear map that touches only what spiked, in the forward pass and in the gradient of its weight, where that pays.

What pays is decided at every call from the input itself: its entries are counted, and a dense product is made of those
that are too many, and of all input that is no plain memory of a CPU. Both give the same sums, added up in another
order. Must not know networks, nor neurons.

A weight that is not finite shows only where an event meets it; a dense product shows it everywhere (0 times infinity).
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from reference_impls.backends import UnsupportedError
from reference_impls.backends.disguise import refuse_disguised

__all__ = ["LEAST_PRODUCTS", "event_linear", "paying_density", "require_numba"]

DENSITY_OF_WIDE, COLUMNS_OF_AN_EVENT = 0.28, 90
"""Density at which both products of a very wide map take as long, and what listing and sorting an event costs, in
columns added up: by trial with AVX-512 in one thread. The suite ``crossover`` measures another machine."""
LEAST_PRODUCTS = 1 << 20
"""Multiplications of the dense product below which it is made without asking: it is over before anything is listed."""
_DTYPES = (torch.float32, torch.float64)


def require_numba() -> None:
    """Refuse a machine without Numba.

    Raises
    ------
    UnsupportedError
        If it is not installed; the message says how to install it.
    """
    if find_spec("numba") is None:
        raise UnsupportedError("event-driven linear maps need Numba: pip install 'spikeboard[fused]'")


def paying_density(outputs: int) -> float:
    """Return the share of the input below which a map to so many outputs is made along events."""
    return DENSITY_OF_WIDE * outputs / (outputs + COLUMNS_OF_AN_EVENT)


def event_linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    largest_density: float | None = None,
    least_products: int = LEAST_PRODUCTS,
) -> Tensor:
    """Return ``x @ weight^T + bias``, as ``torch.nn.functional.linear`` does, event-driven where that is faster.

    Parameters
    ----------
    x : ``[..., K]``. Entries may be spikes, counts or anything else; those that are 0 cost nothing.
    weight, bias : ``[C, K]`` and ``[C]``.
    largest_density : largest share of entries that are not 0 (None: `paying_density` of the outputs); 0: always the
        dense product, but for input that is all zeros.
    least_products : smallest dense product, in multiplications, that is not made at once.

    Returns
    -------
    ``[..., C]``. Once differentiable with respect to all three; a dense product is as often as torch's.
    """
    if largest_density is None:
        largest_density = paying_density(weight.shape[0])
    if not 0 <= largest_density <= 1:
        raise ValueError(f"largest_density is a share, 0 to 1, got {largest_density}")
    if x.numel() * weight.shape[0] < max(1, least_products) or not _is_plain(x, weight):
        return functional.linear(x, weight, bias)
    from reference_impls.events.lists import events_in  # compiles, so only where it is wanted

    rows = x.detach().reshape(-1, x.shape[-1]).contiguous()
    events = events_in(rows, largest_density)
    if events is None:
        return functional.linear(x, weight, bias)
    out: Tensor = _EventLinear.apply(events, x, weight, bias)
    return out


def _is_plain(x: Tensor, weight: Tensor) -> bool:
    """Whether both are numbers in a CPU's memory that may be read by their address."""
    if x.device.type != "cpu" or x.dtype not in _DTYPES or weight.dtype != x.dtype or x.layout is not torch.strided:
        return False
    if torch.is_autocast_enabled("cpu"):  # who asked for half precision gets it
        return False
    try:
        for tensor in (x, weight):
            refuse_disguised("event-driven", tensor)
    except UnsupportedError:
        return False
    return not torch.compiler.is_compiling()


class _EventLinear(torch.autograd.Function):
    """The product along the lists of events; they are what is kept for the gradient, not the input."""

    @staticmethod
    def forward(ctx: Any, events: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        from reference_impls.events.lists import sum_of_rows

        first = weight.new_zeros(weight.shape[0]) if bias is None else bias.contiguous()
        ctx.columns = events.columns
        ctx.save_for_backward(weight if ctx.needs_input_grad[1] else None, *events[1:])
        return sum_of_rows(events, weight.t(), first).unflatten(0, x.shape[:-1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
        from reference_impls.events.lists import Events, gradient_of_table

        weight, *lists = ctx.saved_tensors
        rows = upstream.reshape(-1, upstream.shape[-1]).contiguous()
        of_input = of_weight = of_bias = None
        if ctx.needs_input_grad[1]:
            of_input = (rows @ weight).unflatten(0, upstream.shape[:-1])
        if ctx.needs_input_grad[2]:
            of_weight = gradient_of_table(Events(ctx.columns, *lists), rows).t()
        if ctx.needs_input_grad[3]:
            of_bias = rows.sum(0)
        return None, of_input, of_weight, of_bias
