"""Gradients forward in time, with whole Jacobians: references for tiny networks, by another road than any method's.

A step of a network maps (state, parameters) to (state, read-out). Its Jacobians are taken one step at a time, so what
is carried from step to step is RTRL's sensitivity (Williams & Zipser 1989), or its product with one direction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_flatten, tree_unflatten

from reference_impls.api import Network, NetworkOutput, State


class _Runs(nn.Module):
    """A network whose call is its `run`."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, states: tuple[State | None, ...]) -> NetworkOutput:
        return self.network.run(x, states)


LossOfStep = Callable[[Tensor, int], Tensor]
"""Of (logits ``[B, C]``, step)."""


def _steps(network: Network, x: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]]:
    """Yield each step's read-out and four Jacobians: of state and read-out, by state and by all parameters.

    Nothing but zeros may be at rest.
    """
    given = dict(network.named_parameters())
    leaves, structure = tree_flatten(network.run(x[:1]).states)
    held = [leaf for leaf in leaves if leaf is not None]  # a read-out without memory has none
    sizes, shapes = [leaf.numel() for leaf in held], [leaf.shape for leaf in held]
    state = torch.zeros(sum(sizes))
    theta = flat(given)

    for x_t in x.split(1):

        def step(h: Tensor, p: Tensor, x_t: Tensor = x_t) -> tuple[Tensor, Tensor]:
            filled = (part.view(shape) for part, shape in zip(h.split(sizes), shapes, strict=True))
            parts = [None if leaf is None else next(filled) for leaf in leaves]
            values = p.split([value.numel() for value in given.values()])
            named = {f"network.{name}": value.view_as(given[name]) for name, value in zip(given, values, strict=True)}
            out = functional_call(_Runs(network), named, (x_t, tree_unflatten(parts, structure)))
            return torch.cat([leaf.flatten() for leaf in tree_flatten(out.states)[0] if leaf is not None]), out.logits[
                0
            ]

        (a, b), (c, d) = torch.autograd.functional.jacobian(step, (state, theta))
        state, logits = (value.detach() for value in step(state, theta))
        yield logits, a, b, c, d


def flat(values: dict[str, Tensor]) -> Tensor:
    """Return all entries as one vector."""
    return torch.cat([value.detach().flatten() for value in values.values()])


def rtrl(network: Network, x: Tensor, loss: LossOfStep) -> Tensor:
    """Return the gradient of the sum of the losses, as one vector over ``named_parameters``."""
    sensitivity, gradient = None, torch.zeros(())
    for t, (logits, by_state, by_theta, read_by_state, read_by_theta) in enumerate(_steps(network, x)):
        read = read_by_theta
        if sensitivity is not None:
            read = read + torch.einsum("bch,hp->bcp", read_by_state, sensitivity)
        logits.requires_grad_()
        (error,) = torch.autograd.grad(loss(logits, t), logits)
        gradient = gradient + torch.einsum("bc,bcp->p", error, read)
        sensitivity = by_theta if sensitivity is None else by_state @ sensitivity + by_theta
    return gradient


def directional_derivative(network: Network, x: Tensor, loss: LossOfStep, direction: Tensor) -> Tensor:
    """Return the derivative of the sum of the losses along `direction`: one tangent, carried forward."""
    tangent, slope = None, torch.zeros(())
    for t, (logits, by_state, by_theta, read_by_state, read_by_theta) in enumerate(_steps(network, x)):
        read = read_by_theta @ direction
        if tangent is not None:
            read = read + read_by_state @ tangent
        logits.requires_grad_()
        (error,) = torch.autograd.grad(loss(logits, t), logits)
        slope = slope + (error * read).sum()
        tangent = by_theta @ direction + (0 if tangent is None else by_state @ tangent)
    return slope
