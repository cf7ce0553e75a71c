"""What neurons without recursion share: time-mixing matrices and the checks of their size."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["affine_scan", "check_steps", "initial", "mix_over_time"]


def mix_over_time(weight: Tensor, x: Tensor) -> Tensor:
    """Apply ``weight[T_out, T_in]`` over the time axis of ``x[T, B, ...]``; the shape stays."""
    return (weight @ x.flatten(1)).view(x.shape)


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
