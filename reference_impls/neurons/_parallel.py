"""What neurons without recursion share: time-mixing matrices and the checks of their size."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["affine_scan", "band_blocks", "check_steps", "initial", "mix_band", "mix_over_time", "mix_past"]

PANEL = 128
"""Rows of a triangle that are multiplied at once; 16 panels take 57 % of the time of the whole matrix at T = 2,048."""
BAND_PAYS = 8
"""A sequence of more blocks than this is cheaper block by block than as one T x T product (measured on a CPU)."""


def mix_over_time(weight: Tensor, x: Tensor) -> Tensor:
    """Apply ``weight[T_out, T_in]`` over the time axis of ``x[T, B, ...]``; the shape stays."""
    return (weight @ x.flatten(1)).view(x.shape)


def mix_past(weight: Tensor, x: Tensor) -> Tensor:
    """Apply the lower triangle of ``weight[T, T]`` over the time axis of ``x[T, B, ...]``.

    In panels of rows, each with the columns that it has: half of the products with a masked matrix are with 0.
    """
    steps, flat = x.shape[0], x.flatten(1)
    if steps <= PANEL:
        return mix_over_time(weight.tril(), x)
    panels = [(first, min(first + PANEL, steps)) for first in range(0, steps, PANEL)]
    return torch.cat([weight[a:b, :b].tril(a) @ flat[:b] for a, b in panels]).view(x.shape)


def band_blocks(order: int, steps: int) -> int | None:
    """Return the block size for a band of `order` diagonals over `steps` steps, or None if one matrix is better."""
    block = max(order, 32)
    return block if steps > BAND_PAYS * block else None


def mix_band(bands: Tensor, x: Tensor) -> Tensor:
    """Apply a band over the time axis of ``x[T, B, ...]``, block by block: each sees itself and the one before.

    Parameters
    ----------
    bands : ``[L, 2 L]``, the same for every block, or ``[M, L, 2 L]``; columns are the steps of both blocks, in order.
    """
    steps, block = x.shape[0], bands.shape[-2]
    count = -(-steps // block)
    padded = functional.pad(x.flatten(1), (0, 0, block, count * block - steps)).view(count + 1, block, x[0].numel())
    y = bands @ torch.cat([padded[:-1], padded[1:]], 1)
    return y.flatten(0, 1)[:steps].view(x.shape)


def check_steps(name: str, built_for: int, x: Tensor) -> None:
    """Raise ValueError if ``x[T, ...]`` does not have the number of steps the parameters were made for."""
    if x.shape[0] != built_for:
        raise ValueError(
            f"{name} was built for T = {built_for} time steps and got {x.shape[0]}: its parameters depend on T; "
            f"build it with T={x.shape[0]}"
        )


def initial(value: Any, shape: tuple[int, ...], what: str) -> Tensor | None:
    """Return a given initial value as a tensor of `shape` (None if none was given).

    Raises
    ------
    ValueError
        If the value has another number of elements.
    """
    if value is None:
        return None
    tensor = torch.as_tensor(value, dtype=torch.get_default_dtype()).detach().clone()
    if tensor.numel() != torch.Size(shape).numel():
        raise ValueError(f"{what} must have shape {shape}, got {tuple(tensor.shape)}")
    return tensor.reshape(shape)


def affine_scan(factor: Tensor, added: Tensor) -> Tensor:
    """Return ``v[t] = factor[t] v[t-1] + added[t]`` for every t, from ``v = 0``, by doubling.

    The maps of single steps are composed pairwise, ``(a1, b1) then (a2, b2) = (a1 a2, a2 b1 + b2)``: depth log2 T.

    Parameters
    ----------
    factor : ``[T, ...]``, real or complex; broadcasts to `added`.
    added : ``[T, B, ...]``.
    """
    reach = 1
    while reach < added.shape[0]:
        added = torch.cat([added[:reach], added[reach:] + factor[reach:] * added[:-reach]])
        factor = torch.cat([factor[:reach], factor[reach:] * factor[:-reach]])
        reach *= 2
    return added
