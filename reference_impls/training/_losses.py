"""Losses over the logits of every step, ``[T, B, C]``, under the names that the field's papers use.

Must not know which training method asks.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from reference_impls.names import check_name

__all__ = ["LOSSES", "PER_STEP", "per_step_cross_entropy", "sequence_loss", "step_loss"]

SequenceLoss = Callable[[Tensor, Tensor], Tensor]


def one_hot(target: Tensor, logits: Tensor) -> Tensor:
    """Return the classes ``[B]`` as 0/1 rows ``[B, C]`` in the dtype of `logits`."""
    return functional.one_hot(target, logits.shape[-1]).to(logits.dtype)


def rate_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of the mean over time."""
    return functional.cross_entropy(logits.mean(0), target)


def rate_mse(logits: Tensor, target: Tensor) -> Tensor:
    """Mean squared error, over B and C, of the mean over time against one-hot rows."""
    return functional.mse_loss(logits.mean(0), one_hot(target, logits))


def per_step_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean over time of the cross-entropy of every step."""
    steps, batch = logits.shape[:2]
    return functional.cross_entropy(logits.flatten(0, 1), target.expand(steps, batch).flatten())


def step_loss(logits: Tensor, target: Tensor, mse_weight: float, constant: float | None = None) -> Tensor:
    """Return ``(1 - w) CE + w MSE`` of one step's logits ``[B, C]``, MSE against one-hot rows or a `constant`.

    OTTT's loss; SLTT's with the constant 1.
    """
    loss = functional.cross_entropy(logits, target)
    if mse_weight == 0:
        return loss
    rows = one_hot(target, logits) if constant is None else torch.full_like(logits, constant)
    return (1 - mse_weight) * loss + mse_weight * functional.mse_loss(logits, rows)


LOSSES = ("rate_ce", "rate_mse", "per_step_ce", "tet")
PER_STEP = ("per_step_ce", "tet")
"""Losses that are a mean over steps, and so can be cut into windows."""


def sequence_loss(name: str, tet_weight: float, tet_target: float | None) -> SequenceLoss:
    """Return the loss `name` as a function of (logits ``[T, B, C]``, classes ``[B]``).

    ``tet`` is ``(1 - w)`` per-step cross-entropy plus ``w`` times the mean squared error of all entries against
    the constant `tet_target` (TET, arXiv 2202.11946; None: against one-hot rows, OTTT's loss), with ``w = tet_weight``.
    """
    check_name("loss", name, LOSSES)
    if name == "rate_ce":
        return rate_cross_entropy
    if name == "rate_mse":
        return rate_mse
    if name == "per_step_ce":
        return per_step_cross_entropy

    def tet(logits: Tensor, target: Tensor) -> Tensor:
        rows = torch.full_like(logits, tet_target) if tet_target is not None else one_hot(target, logits)
        distance = functional.mse_loss(logits, rows.expand_as(logits))
        return (1 - tet_weight) * per_step_cross_entropy(logits, target) + tet_weight * distance

    return tet
