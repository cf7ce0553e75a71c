"""Linear maps with a constraint on their weight: scaled standardisation, spectral and Frobenius restriction.

Each holds its raw parameters and offers ``effective_weight()``, so a counter of synaptic operations and a training
method see the weight that is really used. Must not know which topology or method uses them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from reference_impls.names import check_name

__all__ = ["RESTRICTIONS", "ScaledWSConv2d", "ScaledWSLinear", "effective_weight", "restrict", "standardised"]

WS_EPSILON = 1e-4
RESTRICTIONS = ("none", "spectral", "frobenius")
FROBENIUS_PROBES = 64


def effective_weight(module: nn.Module) -> Tensor:
    """Return the weight that `module` applies: its own, or what its constraint makes of it."""
    make: Any = getattr(module, "effective_weight", None)
    weight: Any = module.weight if make is None else make()
    return cast("Tensor", weight)


def standardised(weight: Tensor, gain: Tensor) -> Tensor:
    """Return the scaled, standardised weight of OTTT's networks (arXiv 2210.04195, as in the authors' code).

    Per output unit over its fan-in n: ``gain (w - mean) / sqrt(var n + 1e-4)`` with the *unbiased* variance.

    Parameters
    ----------
    weight : ``[out, ...]``.
    gain : ``[out, 1, ...]``, one a unit.
    """
    axes = tuple(range(1, weight.dim()))
    fan_in = weight[0].numel()
    centred = weight - weight.mean(axes, keepdim=True)
    return gain * centred / torch.sqrt(weight.var(axes, keepdim=True) * fan_in + WS_EPSILON)


class ScaledWSLinear(nn.Linear):
    """Linear map with scaled weight standardisation; `gain` is learned, one a unit, from 1."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.gain = nn.Parameter(torch.ones(out_features, 1))
        nn.init.normal_(self.weight, 0, 0.01)
        nn.init.zeros_(self.bias)

    def effective_weight(self) -> Tensor:
        """Return the standardised weight ``[out, in]``."""
        return standardised(self.weight, self.gain)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, in]`` to ``[B, out]``."""
        return functional.linear(x, self.effective_weight(), self.bias)


class ScaledWSConv2d(nn.Conv2d):
    """Convolution with scaled weight standardisation; `gain` is learned, one a channel, from 1."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, padding: int = 0, stride: int = 1
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding)
        self.gain = nn.Parameter(torch.ones(out_channels, 1, 1, 1))
        nn.init.kaiming_normal_(self.weight, mode="fan_out")
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def effective_weight(self) -> Tensor:
        """Return the standardised weight ``[out, in, k, k]``."""
        return standardised(self.weight, self.gain)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, in, H, W]`` to ``[B, out, H', W']``."""
        return self._conv_forward(x, self.effective_weight(), self.bias)


class _SpectralWeight(nn.Module):
    """Weight ``clamp(g, -range, range) w / sigma(w)``: IDE's restriction of the feedback (arXiv 2109.14247).

    ``sigma`` is ``u^T w v`` with u, v from one power iteration a batch; g starts at the spectral norm of the
    initial matrix (10 iterations). Kernels are taken as a matrix out x (in k k): a proxy of the operator's norm.
    """

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor, limit: float) -> None:
        super().__init__()
        self.limit = limit
        self.w = nn.Parameter(weight.detach().clone())
        matrix = self.w.detach().flatten(1)
        self.register_buffer("u", functional.normalize(torch.randn(matrix.shape[0]), dim=0))
        self.register_buffer("v", functional.normalize(torch.randn(matrix.shape[1]), dim=0))
        for _ in range(10):
            self.renew()
        self.g = nn.Parameter(torch.dot(self.u, matrix @ self.v))

    @torch.no_grad()
    def renew(self) -> None:
        """Make one power iteration."""
        matrix = self.w.flatten(1)
        self.v = functional.normalize(matrix.t() @ self.u, dim=0)
        self.u = functional.normalize(matrix @ self.v, dim=0)

    def forward(self) -> Tensor:
        sigma = torch.dot(self.u, self.w.flatten(1) @ self.v)
        return self.g.clamp(-self.limit, self.limit) * self.w / sigma


class _FrobeniusWeight(nn.Module):
    """Weight ``w min(F, range) / F``: SPIDE's restriction of the feedback (arXiv 2302.00232).

    F estimates the Frobenius norm from 64 Gaussian probes, redrawn every batch; the gradient takes the factor
    as a constant.
    """

    factor: Tensor

    def __init__(self, weight: Tensor, limit: float) -> None:
        super().__init__()
        self.limit = limit
        self.w = nn.Parameter(weight.detach().clone())
        self.register_buffer("factor", torch.ones(()))
        self.renew()

    @torch.no_grad()
    def renew(self) -> None:
        """Draw new probes."""
        matrix = self.w.flatten(1)
        probes = torch.randn(FROBENIUS_PROBES, matrix.shape[0], device=matrix.device, dtype=matrix.dtype)
        norm = ((probes @ matrix).pow(2).sum(1).mean() + 1e-12).sqrt()
        self.factor = norm.clamp(max=self.limit) / norm

    def forward(self) -> Tensor:
        return self.factor * self.w


class _Restricted(nn.Module):
    """A linear map without bias whose weight comes from a restriction."""

    def __init__(self, restriction: nn.Module, apply_weight: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.restriction = restriction
        self.apply_weight = apply_weight

    def effective_weight(self) -> Tensor:
        weight: Tensor = self.restriction()
        return weight

    def renew(self) -> None:
        self.restriction.renew()  # type: ignore[operator]

    def forward(self, x: Tensor) -> Tensor:
        return self.apply_weight(x, self.effective_weight())


def restrict(module: nn.Linear | nn.Conv2d, kind: str, limit: float) -> nn.Module:
    """Return `module` (which must have no bias) with its weight restricted.

    Parameters
    ----------
    module : the map to restrict.
    kind : ``none``, ``spectral`` (IDE) or ``frobenius`` (SPIDE).
    limit : largest norm the effective weight may have.

    Notes
    -----
    A restricted module has ``renew()``, to be called once a training batch.
    """
    check_name("weight restriction", kind, RESTRICTIONS)
    if kind == "none":
        return module
    restriction = (_SpectralWeight if kind == "spectral" else _FrobeniusWeight)(module.weight, limit)
    if isinstance(module, nn.Linear):
        return _Restricted(restriction, functional.linear)
    return _Restricted(restriction, functools.partial(_convolve, stride=module.stride, padding=module.padding))


def _convolve(x: Tensor, weight: Tensor, stride: Any, padding: Any) -> Tensor:
    return functional.conv2d(x, weight, None, stride, padding)
