"""Solvers of the adjoint equation ``(I - J^T) beta = q``, batched, from Jacobian-vector products only.

``residual(beta) = J^T beta - beta + q`` is what they drive to zero. Must not know where J comes from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["SOLVERS", "Solution"]

Residual = Callable[[Tensor], Tensor]

MEMORY = 27
"""Rank that the inverse Jacobian's estimate may reach."""
TOLERANCE = 2e-10
"""Residual, per square root of the batch's unknowns, at which a solution counts as found."""
DIVERGED = 1e6
"""Growth of the residual at which a solver gives up and returns its best."""


class Solution(NamedTuple):
    """What a solver found."""

    beta: Tensor
    """``[B, ...]``."""
    iterations: int
    residual_norm: float
    """2-norm over the whole batch."""


def _tolerance(q: Tensor) -> float:
    """Return the residual that counts as solved: the released one, or what the number format can resolve."""
    return max(TOLERANCE * q.numel() ** 0.5, torch.finfo(q.dtype).eps * float(q.norm()))


def broyden(residual: Residual, q: Tensor, iterations: int) -> Solution:
    """Good Broyden from 0 without line search, one low-rank inverse a sample, as in IDE's released code.

    The inverse estimate is ``B = -I + U V^T``; the very first step is ``-r_0``. The best iterate, judged by the
    residual's norm over the whole batch, is returned.
    """
    shape = q.shape
    beta = torch.zeros_like(q).flatten(1)

    def r(flat: Tensor) -> Tensor:
        return residual(flat.view(shape)).flatten(1)

    current = r(beta)
    norm = float(current.norm())
    tolerance = _tolerance(q)
    first_norm, best, best_norm, step = norm, beta, norm, -current
    u_rows = beta.new_zeros(beta.shape[0], min(iterations, MEMORY), beta.shape[1])
    v_rows = torch.zeros_like(u_rows)
    done = 0
    while norm >= tolerance and done < iterations:
        moved = r(beta + step)
        change, beta, current = moved - current, beta + step, moved
        norm = float(current.norm())
        kept = min(done, u_rows.shape[1])
        done += 1
        if norm < best_norm:
            best, best_norm = beta, norm
        if norm < tolerance or not norm < first_norm * DIVERGED:
            break
        u, v = u_rows[:, :kept], v_rows[:, :kept]
        vector = -step + torch.einsum("bk,bkd->bd", torch.einsum("bd,bkd->bk", step, u), v)
        image = -change + torch.einsum("bk,bkd->bd", torch.einsum("bd,bkd->bk", change, v), u)
        scale = (vector * change).sum(1, keepdim=True)
        slot = (done - 1) % u_rows.shape[1]
        # A sample that has converged divides 0 by 0; its row then contributes nothing.
        direction = (step - image) / scale
        v_rows[:, slot] = vector
        u_rows[:, slot] = torch.where(direction.isfinite(), direction, 0.0)
        kept = min(done, u_rows.shape[1])
        u, v = u_rows[:, :kept], v_rows[:, :kept]
        step = current - torch.einsum("bk,bkd->bd", torch.einsum("bd,bkd->bk", current, v), u)
    return Solution(best.view(shape), done, best_norm)


def iterate_official(residual: Residual, q: Tensor, iterations: int) -> Solution:
    """``beta <- (beta + r(beta)) / 2`` from q: the released iteration.

    Its limit solves ``(2I - J^T) beta = q``: it is biased.
    """
    beta = q
    for _ in range(iterations):
        beta = (beta + residual(beta)) / 2
    return Solution(beta, iterations, float(residual(beta).norm()))


def iterate_damped(residual: Residual, q: Tensor, iterations: int) -> Solution:
    """``beta <- beta + r(beta) / 2`` from q: a damped fixed-point iteration with the right limit."""
    beta, r = q, residual(q)
    done = 0
    while done < iterations and float(r.norm()) >= _tolerance(q):
        beta = beta + r / 2
        r = residual(beta)
        done += 1
    return Solution(beta, done, float(r.norm()))


def jacobian_free(residual: Residual, q: Tensor, iterations: int) -> Solution:
    """``beta = q``: the network's Jacobian is left out."""
    return Solution(q, 0, float(residual(q).norm()))


def dense(residual: Residual, q: Tensor, iterations: int) -> Solution:
    """Build every sample's ``I - J^T`` column by column and solve it exactly; for small networks and for tests."""
    batch, size = q.flatten(1).shape
    columns = []
    for unit in torch.eye(size, dtype=q.dtype, device=q.device):
        column = unit.expand(batch, size).reshape(q.shape)
        columns.append((q - residual(column)).flatten(1))
    beta = torch.linalg.solve(torch.stack(columns, dim=-1), q.flatten(1).unsqueeze(-1)).reshape(q.shape)
    return Solution(beta, size, float(residual(beta).norm()))


SOLVERS: dict[str, Callable[[Residual, Tensor, int], Solution]] = {
    "broyden": broyden,
    "iter_damped": iterate_damped,
    "iter_official": iterate_official,
    "jacobian_free": jacobian_free,
    "dense": dense,
}
