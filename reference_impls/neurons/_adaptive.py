"""What neurons with adaptation share: the checks of their parameters, firing, and learned values with a domain.

The equations of membrane and adaptation stay in each neuron's own file; this module must not know any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from reference_impls.api import SequentialNeuron
from reference_impls.names import check_name
from reference_impls.surrogate import FIRE_RULES, Surrogate, in_forward_mode, make_surrogate, straight_through

__all__ = ["AdaptiveNeuron", "Units", "learned", "within"]

Units = int | tuple[int, ...] | None
"""Shape of a learned parameter that broadcasts to a step ``[B, ...]``; None: one value for the layer."""


class AdaptiveNeuron(SequentialNeuron):
    """A neuron whose threshold, or whose input, its own spikes move.

    Parameters
    ----------
    v_threshold : firing threshold without adaptation, > 0.
    fire_rule : ``ge`` fires on a tie, ``gt`` does not.
    v_init : membrane before the first step.
    detach_reset : whether the spike inside the reset carries no gradient.
    surrogate : name, ``{"name", "params"}`` or Surrogate of the spike's derivative.
    """

    def __init__(
        self,
        v_threshold: float,
        fire_rule: str,
        v_init: float,
        detach_reset: bool,
        surrogate: str | Mapping[str, Any] | Surrogate,
    ) -> None:
        super().__init__()
        if not v_threshold > 0:
            raise ValueError(f"v_threshold must be positive, got {v_threshold}")
        self.v_threshold = float(v_threshold)
        self.fire_rule = check_name("fire_rule", fire_rule, FIRE_RULES)
        self.v_init = float(v_init)
        self.detach_reset = detach_reset
        self.surrogate = make_surrogate(surrogate)

    def resetting(self, s: Tensor) -> Tensor:
        """Return the spikes `s` as the reset sees them."""
        return s.detach() if self.detach_reset else s

    def extra_repr(self) -> str:
        """Show what decides the behaviour."""
        return (
            f"v_threshold={self.v_threshold:g}, fire_rule={self.fire_rule}, detach_reset={self.detach_reset}, "
            f"surrogate={self.surrogate.describe()}"
        )


def learned(value: Any, units: Units, start: float, draw: Callable[[Tensor], Tensor]) -> nn.Parameter:
    """Return a learnable parameter.

    Parameters
    ----------
    value : initial value, a number or nested sequences of the parameter's shape; None: as follows.
    units : shape of the parameter; None: one value for the layer, which begins at `start`.
    start : mean of the authors' initial distribution.
    draw : fills a tensor from that distribution, in place; used where there are `units`.
    """
    if value is not None:
        given = torch.as_tensor(value, dtype=torch.get_default_dtype()).detach().clone()
        shape = given.shape if units is None else torch.Size((units,) if isinstance(units, int) else units)
        return nn.Parameter(given.expand(shape).clone())
    if units is None:
        return nn.Parameter(torch.tensor(float(start)))
    return nn.Parameter(draw(torch.empty(units)))


def within(value: Tensor, low: float, high: float = float("inf")) -> Tensor:
    """Return `value` clamped to [low, high], with the gradient of a projection.

    Inside, and back inwards from beyond an end, the gradient passes; further outwards it is 0. So a step that
    overshoots the domain is not lost for ever, as it would be behind a plain clamp.
    """
    if in_forward_mode():
        return straight_through(value.clamp(low, high), value)
    clamped: Tensor = _Within.apply(value, low, high)
    return clamped


class _Within(torch.autograd.Function):
    @staticmethod
    def forward(value: Tensor, low: float, high: float) -> Tensor:
        return value.clamp(low, high)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        value, ctx.low, ctx.high = inputs
        ctx.save_for_backward(value)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (value,) = ctx.saved_tensors
        # A step goes against the gradient: from below `low` only a negative one leads back.
        outwards = ((value < ctx.low) & (grad > 0)) | ((value > ctx.high) & (grad < 0))
        return torch.where(outwards, torch.zeros_like(grad), grad), None, None
