"""What neurons with adaptation share: the checks of their parameters, firing, and learned values with a domain.

The equations of membrane and adaptation stay in each neuron's own file; this module must not know any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from reference_impls.api import LayerShape, SequentialNeuron
from reference_impls.names import check_name
from reference_impls.surrogate import FIRE_RULES, Surrogate, in_forward_mode, make_surrogate, straight_through

__all__ = ["AdaptiveNeuron", "learned", "within"]


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


def learned(
    value: Any, shape: LayerShape, start: float, draw: Callable[[Tensor], Tensor] | None = None
) -> nn.Parameter:
    """Return a learnable parameter.

    Parameters
    ----------
    value : initial value, a number or nested sequences that broadcast to `shape`; None: as follows.
    shape : of the parameter, as :func:`reference_impls.granularity.parameter_shape` gives it.
    start : where one value for the layer begins: the mean of the authors' initial distribution.
    draw : fills a tensor from that distribution, in place, where there are several; None: all begin at `start`.

    Raises
    ------
    ValueError
        If the value does not fit the shape.
    """
    if value is None and shape and draw is not None:
        return nn.Parameter(draw(torch.empty(shape)))
    given = torch.as_tensor(start if value is None else value, dtype=torch.get_default_dtype()).detach()
    try:
        return nn.Parameter(given.expand(shape).clone())
    except RuntimeError as error:
        raise ValueError(
            f"an initial value of shape {tuple(given.shape)} does not fit parameters of shape {shape}; the "
            "granularity and the layer's shape decide the latter"
        ) from error


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
