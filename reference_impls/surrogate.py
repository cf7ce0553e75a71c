"""Surrogate gradients: Heaviside forward, a named smooth derivative backward.

Every shape of the field stands here once, under its canonical name with all its parameters, because equal
names hide different formulas in different libraries. `derivative` is what BPTT uses; `primitive` is its
integral, used where a gradient with respect to the sharpness is wanted and by the tests that replace the
step with a smooth function. Knows nothing of neurons.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from reference_impls.names import check_name

__all__ = [
    "FIRE_RULES",
    "Surrogate",
    "heaviside",
    "in_forward_mode",
    "make_surrogate",
    "smooth_spikes",
    "straight_through",
    "surrogate_names",
]

FIRE_RULES = ("ge", "gt")
"""Which Heaviside decides a tie: ``ge`` fires when the membrane equals the threshold, ``gt`` does not."""

Curve = Callable[..., Tensor]


class Shape(NamedTuple):
    """A surrogate's formulas and the defaults of its parameters."""

    derivative: Curve
    primitive: Curve
    defaults: Mapping[str, float]


def heaviside(x: Tensor, fire_rule: str = "ge") -> Tensor:
    """Return 1 where `x` reaches 0 (``ge``) or exceeds it (``gt``), else 0, in the dtype of `x`."""
    return (x >= 0 if fire_rule == "ge" else x > 0).to(x.dtype)


class _Fire(torch.autograd.Function):
    """Heaviside forward, the surrogate's derivative backward."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, surrogate: Surrogate, fire_rule: str) -> Tensor:
        return heaviside(x, fire_rule)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, surrogate, _ = inputs
        ctx.save_for_backward(x)
        ctx.surrogate = surrogate

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return grad * ctx.surrogate.derivative(x), None, None


@dataclass(frozen=True)
class Surrogate:
    """A surrogate gradient with its parameters fixed.

    Call it on ``membrane - v_threshold`` to get spikes that carry the surrogate's gradient.
    """

    name: str
    params: tuple[tuple[str, float], ...]

    def derivative(self, x: Tensor) -> Tensor:
        """Return ``d(x)``, elementwise, shape of `x`."""
        return _SHAPES[self.name].derivative(x, **dict(self.params))

    def primitive(self, x: Tensor) -> Tensor:
        """Return the integral of the derivative, elementwise, shape of `x` (up to a constant)."""
        return _SHAPES[self.name].primitive(x, **dict(self.params))

    def __call__(self, x: Tensor, fire_rule: str = "ge") -> Tensor:
        """Return spikes (0 or 1) of the shape of `x`; their gradient is the surrogate's derivative."""
        if _smooth:
            return self.primitive(x)
        if in_forward_mode():
            return straight_through(heaviside(x, fire_rule), x * self.derivative(x).detach())
        spikes: Tensor = _Fire.apply(x, self, fire_rule)
        return spikes

    def describe(self) -> dict[str, Any]:
        """Return ``{"name": ..., "params": {...}}``, the form in which cards and golden files write it."""
        return {"name": self.name, "params": dict(self.params)}


_smooth = False


@contextmanager
def smooth_spikes() -> Iterator[None]:
    """Replace the step by the surrogate's primitive inside the block.

    The forward pass is then no spike train, but its true gradient is what the surrogate pretends: gradient checks
    differentiate this.
    """
    global _smooth
    before, _smooth = _smooth, True
    try:
        yield
    finally:
        _smooth = before


def in_forward_mode() -> bool:
    """Whether tangents must pass: inside ``forward_ad.dual_level()`` or ``torch.func.jvp``.

    A function that writes its own backward has none for them (a ``jvp`` of the spike itself would stop the compiled
    backend), so it is replaced by one that torch can differentiate in both directions.
    """
    return forward_ad._current_level >= 0


def straight_through(hard: Tensor, smooth: Tensor) -> Tensor:
    """Return the value of `hard` with the gradient of `smooth` (inside `smooth_spikes`: just `smooth`)."""
    return smooth if _smooth else hard.detach() + (smooth - smooth.detach())


def make_surrogate(spec: str | Mapping[str, Any] | Surrogate) -> Surrogate:
    """Build a surrogate from its canonical name, or from ``{"name": ..., "params": {...}}``.

    Parameters that are not given take the shape's defaults.

    Raises
    ------
    UnknownNameError
        If the name, or one of the parameters, is not known; the message suggests the nearest.
    """
    if isinstance(spec, Surrogate):
        return spec
    if isinstance(spec, str):
        spec = {"name": spec}
    for key in spec:
        check_name("key of a surrogate", key, ("name", "params"))
    name = check_name("surrogate", spec["name"], _SHAPES)
    defaults = _SHAPES[name].defaults
    given = dict(spec.get("params") or {})
    for key in given:
        check_name(f"parameter of surrogate {name!r}", key, defaults)
    return Surrogate(name, tuple((key, float(given.get(key, value))) for key, value in defaults.items()))


def surrogate_names() -> tuple[str, ...]:
    """Return every canonical name."""
    return tuple(_SHAPES)


def _normal(x: Tensor, mean: float, std: float) -> Tensor:
    return torch.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))


def _normal_cdf(x: Tensor, mean: float, std: float) -> Tensor:
    return 0.5 * (1 + torch.erf((x - mean) / (std * math.sqrt(2))))


def _ramp(x: Tensor, half_width: float) -> Tensor:
    """Integral of a rectangle of height 1 over ``abs(x) < half_width``."""
    return x.clamp(-half_width, half_width) + half_width


def _hat(x: Tensor, width: float) -> Tensor:
    """Integral of ``max(0, 1 - abs(x)/width)``, from -width."""
    u = (x / width).clamp(-1, 1)
    return width * (0.5 + u - 0.5 * u * u.abs())


def _hyperbola(x: Tensor, scale: float) -> Tensor:
    """Integral of ``1 / (1 + scale*abs(x))**2``, odd around 0."""
    return x / (1 + scale * x.abs())


def _laplace(x: Tensor, alpha: float) -> Tensor:
    """Integral of ``(alpha/2) exp(-alpha*abs(x))``: the Laplace distribution function."""
    return 0.5 + 0.5 * torch.sign(x) * (1 - torch.exp(-alpha * x.abs()))


def _sigmoid_slope(x: Tensor, alpha: float) -> Tensor:
    s = torch.sigmoid(alpha * x)
    return alpha * s * (1 - s)


def _mixture(x: Tensor, density: Curve, sigma: float, h: float, s: float) -> Tensor:
    """Narrow bump minus two wide ones at +-sigma: the shape of the multi-Gaussian surrogate."""
    wide = density(x, sigma, s * sigma) + density(x, -sigma, s * sigma)
    return (1 + h) * density(x, 0.0, sigma) - h * wide


_SHAPES: Mapping[str, Shape] = {
    "atan": Shape(
        lambda x, alpha: (alpha / 2) / (1 + (math.pi / 2 * alpha * x) ** 2),
        lambda x, alpha: torch.atan(math.pi / 2 * alpha * x) / math.pi + 0.5,
        {"alpha": 2.0},
    ),
    "sigmoid": Shape(_sigmoid_slope, lambda x, alpha: torch.sigmoid(alpha * x), {"alpha": 4.0}),
    "soft_sign": Shape(
        lambda x, alpha: alpha / (2 * (1 + alpha * x.abs()) ** 2),
        lambda x, alpha: 0.5 + 0.5 * alpha * _hyperbola(x, alpha),
        {"alpha": 2.0},
    ),
    "fast_sigmoid": Shape(lambda x, scale: 1 / (1 + scale * x.abs()) ** 2, _hyperbola, {"scale": 25.0}),
    "super_spike_spikingjelly": Shape(
        lambda x, alpha: alpha / (1 + x.abs()) ** 2,
        lambda x, alpha: alpha * _hyperbola(x, 1.0),
        {"alpha": 1.0},
    ),
    "super_spike_norse": Shape(
        lambda x: 1 / (1 + x.abs()) ** 2,
        lambda x: _hyperbola(x, 1.0),
        {},
    ),
    "rect": Shape(
        lambda x, alpha: alpha * (x.abs() < 1 / (2 * alpha)).to(x.dtype),
        lambda x, alpha: alpha * _ramp(x, 1 / (2 * alpha)),
        {"alpha": 1.0},
    ),
    "rectangle": Shape(
        lambda x, width: (x.abs() <= width / 2).to(x.dtype) / width,
        lambda x, width: _ramp(x, width / 2) / width,
        {"width": 1.0},
    ),
    "rectangle_glif": Shape(
        lambda x: (x.abs() < 0.5).to(x.dtype),
        lambda x: _ramp(x, 0.5),
        {},
    ),
    "triangle": Shape(
        lambda x, alpha: torch.relu(alpha - alpha**2 * x.abs()),
        lambda x, alpha: alpha * _hat(x, 1 / alpha),
        {"alpha": 1.0},
    ),
    "triangular": Shape(
        lambda x, alpha: torch.relu(alpha - x.abs()) / alpha**2,
        lambda x, alpha: _hat(x, alpha) / alpha,
        {"alpha": 1.0},
    ),
    "triangle_norse": Shape(
        lambda x, alpha: alpha * torch.relu(1 - x.abs()),
        lambda x, alpha: alpha * _hat(x, 1.0),
        {"alpha": 0.3},
    ),
    "triangle_lsnn": Shape(
        lambda x, gamma, threshold: gamma / threshold * torch.relu(1 - (x / threshold).abs()),
        lambda x, gamma, threshold: gamma / threshold * _hat(x, threshold),
        {"gamma": 0.3, "threshold": 1.0},
    ),
    "piecewise_exp": Shape(lambda x, alpha: (alpha / 2) * torch.exp(-alpha * x.abs()), _laplace, {"alpha": 1.0}),
    "slayer_exponential": Shape(
        lambda x, alpha, c: (c * alpha / 2) * torch.exp(-alpha * x.abs()),
        lambda x, alpha, c: c * _laplace(x, alpha),
        {"alpha": 5.0, "c": 0.4},
    ),
    "erf": Shape(
        lambda x, alpha: alpha / math.sqrt(math.pi) * torch.exp(-((alpha * x) ** 2)),
        lambda x, alpha: 0.5 * (1 + torch.erf(alpha * x)),
        {"alpha": 2.0},
    ),
    "gaussian": Shape(
        lambda x, sigma, gamma: gamma * _normal(x, 0.0, sigma),
        lambda x, sigma, gamma: gamma * _normal_cdf(x, 0.0, sigma),
        {"sigma": 0.5, "gamma": 0.5},
    ),
    "multi_gaussian": Shape(
        lambda x, sigma, h, s, gamma: gamma * _mixture(x, _normal, sigma, h, s),
        lambda x, sigma, h, s, gamma: gamma * _mixture(x, _normal_cdf, sigma, h, s),
        {"sigma": 0.5, "h": 0.15, "s": 6.0, "gamma": 0.5},
    ),
    "multi_gaussian_sinabs": Shape(
        lambda x, mu, sigma, h, s, grad_scale: grad_scale * _mixture(x - mu, _normal, sigma, h, s),
        lambda x, mu, sigma, h, s, grad_scale: grad_scale * _mixture(x - mu, _normal_cdf, sigma, h, s),
        {"mu": 0.0, "sigma": 0.5, "h": 0.15, "s": 6.0, "grad_scale": 1.0},
    ),
}
