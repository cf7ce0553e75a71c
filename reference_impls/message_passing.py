"""Messages along the edges of a graph, summed where they arrive, each as many steps late as its edge says.

The sum is one autograd function, so that nothing of the size of edges x neurons is kept for the backward pass: graphs
have hundreds of thousands of edges. Must not know what the messages mean.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from reference_impls.graphs import Edges

__all__ = ["delayed_messages", "places_of"]


def places_of(delays: Tensor, edges: Edges, nodes: int) -> Tensor:
    """Return where in the history each message is, ``[B, E, n]``, for `delayed_messages`.

    Parameters
    ----------
    delays : whole steps, ``[B, relations, n]``, int64.
    edges : source, relation, target.
    nodes : N.
    """
    return delays.index_select(1, edges.relation) * nodes + edges.source[:, None]


def delayed_messages(
    history: Tensor,
    places: Tensor,
    edges: Edges,
    smooth: Tensor | None = None,
    slopes: Tensor | None = None,
    weight: Tensor | None = None,
) -> Tensor:
    """Return what arrives at every node, ``[B, N, n]``: ``u_b = sum over edges e to b of weight_e s_a[t - d_e]``.

    Parameters
    ----------
    history : the last K steps of every node, newest first, ``[K, B, N, n]``.
    places : of `places_of`; delays are 0 to K - 1.
    edges : of E edges.
    smooth : the delays before rounding, ``[B, relations, n]``; they get the gradient that `slopes` say.
    slopes : what the derivative of a message by its delay is, like `history`.
    weight : of each edge, ``[E]``; None: 1.
    """
    summed: Tensor = _DelayedMessages.apply(history, smooth, slopes, weight, places, edges)
    return summed


class _DelayedMessages(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        history: Tensor,
        smooth: Tensor | None,
        slopes: Tensor | None,
        weight: Tensor | None,
        places: Tensor,
        edges: Edges,
    ) -> Tensor:
        ctx.save_for_backward(history, smooth, slopes, weight, places, *edges)
        messages = _in_rows(history).gather(1, places)
        if weight is not None:
            messages = messages * weight[:, None]
        return history.new_zeros(history.shape[1:]).index_add_(1, edges.target, messages)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        history, smooth, slopes, weight, places, _, relation, target = ctx.saved_tensors
        of_history, of_smooth, _, of_weight, *_ = ctx.needs_input_grad
        grad = grads[0].index_select(1, target)
        found: list[Tensor | None] = [None] * 6
        if of_weight:
            found[3] = (grad * _in_rows(history).gather(1, places)).sum((0, 2))
        if weight is not None:
            grad = grad * weight[:, None]
        if of_history:
            steps, batch, nodes, width = history.shape
            rows = history.new_zeros(batch, steps * nodes, width).scatter_add_(1, places, grad)
            found[0] = rows.unflatten(1, (steps, nodes)).transpose(0, 1)
        if of_smooth and slopes is not None:
            changed = grad * _in_rows(slopes).gather(1, places)
            found[1] = smooth.new_zeros(smooth.shape).index_add_(1, relation, changed)
        return tuple(found)


def _in_rows(history: Tensor) -> Tensor:
    """Return ``[K, B, N, n]`` as ``[B, K N, n]``: delay d of node a is row d N + a."""
    return history.transpose(0, 1).flatten(1, 2)
