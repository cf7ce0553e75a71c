"""Products of matrices and convolutions, entry by entry: how many of them a machine makes that skips zeros.

An entry of 0 on either side is no product. Where the others of a side are all of one size (spikes of any height, either
sign) a product is an addition, else a multiply-accumulate. Every operator that multiplies is judged by its own
operands, whoever called it. Must not know networks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from harness.measure.arithmetic import NOTHING, Arithmetic

__all__ = ["PRODUCTS", "is_choice", "is_gate", "product_factors", "product_work"]

OPS = torch.ops.aten


def _matrix(first: Tensor, second: Tensor) -> Tensor:
    """Return the pairs of entries that are not 0, ``[..., n, k]`` with ``[..., k, m]``."""
    left = (first != 0).sum(-2, dtype=torch.float64)
    return (left * (second != 0).sum(-1, dtype=torch.float64)).sum()


def _vector(first: Tensor, second: Tensor) -> Tensor:
    return ((first != 0) & (second != 0)).sum()


PRODUCTS: Mapping[Any, tuple[int, int, Callable[[Tensor, Tensor], Tensor]]] = {
    OPS.mm: (0, 1, _matrix),
    OPS.bmm: (0, 1, _matrix),
    OPS.addmm: (1, 2, _matrix),
    OPS.baddbmm: (1, 2, _matrix),
    OPS.mv: (0, 1, _vector),
    OPS.addmv: (1, 2, _vector),
    OPS.dot: (0, 1, _vector),
    OPS.vdot: (0, 1, _vector),
}
"""Operator -> places of its factors, and what counts their pairs."""
CONVOLUTIONS = frozenset({OPS.convolution, OPS.convolution_backward})


def product_factors(packet: Any, args: Sequence[Any]) -> tuple[Tensor, Tensor] | None:
    """Return the two tensors that an operator multiplies; None if it is no product of the forward kind."""
    if packet in PRODUCTS:
        first, second, _ = PRODUCTS[packet]
        return args[first], args[second]
    if packet is OPS.convolution:
        return args[0], args[1]
    return None


def product_work(func: Any, args: Sequence[Any]) -> Arithmetic | None:
    """Return what the products of one call of an operator take; None if it makes none.

    A bias begins the sum, and costs nothing; so does the sum of a bias' gradient.
    """
    packet = func._overloadpacket
    if packet in PRODUCTS:
        first, second, pairs = PRODUCTS[packet]
        return _of_pairs(pairs(args[first], args[second]), args[first], args[second])
    if packet is OPS.convolution:
        return _of_pairs(func(_mask(args[0]), _mask(args[1]), None, *args[3:]).sum(), args[0], args[1])
    if packet is OPS.convolution_backward:
        return _convolution_backward(func, args)
    return None


def _convolution_backward(func: Any, args: Sequence[Any]) -> Arithmetic:
    """Return the products of both gradients: of the input with the weight, of the weight with the input."""
    upstream, entered, weight, _, *geometry, wanted = args
    masks = [_mask(tensor) for tensor in (upstream, entered, weight)]
    to_input, to_weight, _ = func(*masks, None, *geometry, [wanted[0], wanted[1], False])
    found = NOTHING
    if to_input is not None:
        found += _of_pairs(to_input.sum(), upstream, weight)
    if to_weight is not None:
        found += _of_pairs(to_weight.sum(), upstream, entered)
    return found


def _mask(tensor: Tensor) -> Tensor:
    return (tensor != 0).to(torch.float64)


def _of_pairs(pairs: Tensor, first: Tensor, second: Tensor) -> Arithmetic:
    count = float(pairs.round())
    is_sum = is_choice(first) or is_choice(second)
    return Arithmetic(additions=count, multiplications=0.0 if is_sum else count)


def is_gate(tensor: Tensor) -> bool:
    """Whether every entry is 0, 1 or -1: a product with it selects."""
    return _height(tensor) == 1


def is_choice(tensor: Tensor) -> bool:
    """Whether all entries that are not 0 have the same size: spikes of one height, which the weights can take in."""
    return _height(tensor) is not None


def _height(tensor: Tensor) -> float | None:
    """Return the size that all entries have but those that are 0 (1 if all are); None if they have several."""
    if tensor.is_meta or tensor.is_complex() or not tensor.numel():
        return None
    if tensor.dtype == torch.bool:
        return 1.0
    sizes = tensor.abs()
    height = sizes.max()
    if not bool(((sizes == 0) | (sizes == height)).all()):
        return None
    return float(height) or 1.0
