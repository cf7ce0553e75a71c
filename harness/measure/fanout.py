"""Fan-out maps: how many synapses leave each input position of a linear map, exactly, borders and pruning included.

A map is binarised and pulled back: the adjoint of "1 where a weight is not 0", applied to ones, is the number of
outputs that each input reaches. No pass over data is needed. Must not know spikes, networks or energy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import UserError
from reference_impls.synapses import effective_weight

__all__ = ["FanOut", "LinearMap"]

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = {
    nn.ConvTranspose1d: functional.conv_transpose1d,
    nn.ConvTranspose2d: functional.conv_transpose2d,
    nn.ConvTranspose3d: functional.conv_transpose3d,
}
POOLINGS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
RESHAPINGS = (nn.Flatten, nn.Unflatten)
NOTHING = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
"""What does nothing in evaluation mode."""


@dataclass(frozen=True, slots=True)
class FanOut:
    """Synapses of a linear map, by the input position that they leave."""

    per_position: Tensor
    """``[features...]``, int64: synapses whose weight is not 0."""
    synapses: int
    """Their number in one pass over one sample."""
    connections: int
    """The same with the zero weights: what a dense machine multiplies."""
    outputs: int
    """Values that one pass over one sample gives."""


class LinearMap:
    """The module of a synapse as one linear map: at most reshaping and pooling around one weight.

    Average pooling is folded into the weight, its factor as well, so that a spike counts before the pooling and
    is used once for every output that it reaches.

    Raises
    ------
    UserError
        If the module is not made like that; nothing is ever left uncounted in silence.
    """

    def __init__(self, name: str, module: nn.Module) -> None:
        leaves = list(_leaves(module))
        weighted = [index for index, leaf in enumerate(leaves) if _is_weighted(leaf)]
        if len(weighted) != 1:
            kinds = ", ".join(type(leaf).__name__ for leaf in leaves)
            raise UserError(
                f"synapse {name!r}: cannot count the synapses of {kinds or 'nothing'}",
                "declare one linear or convolutional map, with reshaping or average pooling around it, per synapse; "
                "a module of your own is one if it has effective_weight() and apply_weight(x, weight)",
            )
        self.name = name
        self.leaf = leaves[weighted[0]]
        self._before = leaves[: weighted[0]]
        for leaf in self._before:
            _check_folds(name, leaf, (*RESHAPINGS, *POOLINGS))
        for leaf in leaves[weighted[0] + 1 :]:
            _check_folds(name, leaf, RESHAPINGS)
        self.has_bias = getattr(self.leaf, "bias", None) is not None
        self._mask: Tensor | None = None
        self._cached: FanOut | None = None

    @torch.inference_mode(False)
    @torch.no_grad()
    def fan_out(self, features: torch.Size) -> FanOut:
        """Return the fan-out for inputs ``[B, *features]`` under the present weights.

        Computed anew only if a weight has become zero or ceased to be; that is looked up at every call, because
        nothing else tells of every kind of change (optimizers, pruning, reparametrisation, ``.data``).
        """
        mask = effective_weight(self.leaf) != 0
        if self._cached is None or self._mask is None or not _same(mask, self._mask, features, self._cached):
            self._mask = mask
            self._cached = self._compute(mask, features)
        return self._cached

    def _compute(self, mask: Tensor, features: torch.Size) -> FanOut:
        ones = torch.ones(mask.shape, dtype=torch.float64)
        effective, outputs = self._pulled_back(mask.to("cpu", torch.float64), features)
        dense, _ = self._pulled_back(ones, features)
        return FanOut(effective.to(mask.device), int(effective.sum()), int(dense.sum()), outputs)

    def _pulled_back(self, weight: Tensor, features: torch.Size) -> tuple[Tensor, int]:
        """Return the counts ``[*features]`` for a binary `weight`, and the number of outputs."""
        inputs = [torch.zeros(1, *features, dtype=torch.float64)]
        for leaf in self._before:
            inputs.append(leaf(inputs[-1]))
        counts, outputs = _adjoint(lambda x: _apply(self.leaf, x, weight), inputs[-1])
        for leaf, x in zip(reversed(self._before), reversed(inputs[:-1]), strict=True):
            # A pooled cell's count goes to each of its inputs whole; one that no window covers reaches nothing.
            spread, _ = _adjoint(leaf, x, counts)
            covered, _ = _adjoint(leaf, x)
            counts = torch.where(covered > 0, spread / covered, 0.0)
        return counts[0].round().to(torch.int64), outputs


def _same(mask: Tensor, before: Tensor, features: torch.Size, cached: FanOut) -> bool:
    return (
        cached.per_position.shape == features
        and cached.per_position.device == mask.device
        and torch.equal(mask, before)
    )


def _leaves(module: nn.Module) -> Iterator[nn.Module]:
    if isinstance(module, nn.Sequential):
        for child in module:
            yield from _leaves(child)
    elif not isinstance(module, NOTHING):
        yield module


def _is_weighted(leaf: nn.Module) -> bool:
    own = hasattr(leaf, "effective_weight") and hasattr(leaf, "apply_weight")
    return own or isinstance(leaf, (nn.Linear, *CONVOLUTIONS, *TRANSPOSED))


def _check_folds(name: str, leaf: nn.Module, allowed: tuple[type[nn.Module], ...]) -> None:
    """Refuse what cannot be folded into the weight."""
    if not isinstance(leaf, allowed):
        raise UserError(
            f"synapse {name!r}: {type(leaf).__name__} cannot be folded into the weight",
            "keep reshaping and average pooling before the weight, and only reshaping after it",
        )
    if isinstance(leaf, POOLINGS):
        pairs = zip(_each(leaf.kernel_size), _each(leaf.stride), strict=False)
        if any(kernel > stride for kernel, stride in pairs):
            raise UserError(
                f"synapse {name!r}: the windows of {leaf} overlap, so a spike would enter one output several times",
                "pool with a stride that is not smaller than the kernel",
            )


def _each(size: int | tuple[int, ...]) -> tuple[int, ...]:
    return (size,) * 3 if isinstance(size, int) else tuple(size)


def _apply(leaf: nn.Module, x: Tensor, weight: Tensor) -> Tensor:
    """Return what `leaf` would make of `x` with this weight and no bias."""
    own: Callable[[Tensor, Tensor], Tensor] | None = getattr(leaf, "apply_weight", None)
    if own is not None:
        return own(x, weight)
    if isinstance(leaf, nn.Linear):
        return functional.linear(x, weight)
    for kind, function in TRANSPOSED.items():
        if isinstance(leaf, kind):
            options: Any = leaf
            y: Tensor = function(
                x,
                weight,
                None,
                options.stride,
                options.padding,
                options.output_padding,
                options.groups,
                options.dilation,
            )
            return y
    assert isinstance(leaf, CONVOLUTIONS)
    return leaf._conv_forward(x, weight, None)


def _adjoint(function: Callable[[Tensor], Tensor], x: Tensor, y: Tensor | None = None) -> tuple[Tensor, int]:
    """Apply the adjoint of the linear `function` to `y` (None: ones); also say how many outputs it has."""
    with torch.enable_grad():
        at = torch.zeros(x.shape, dtype=x.dtype, requires_grad=True)
        image = function(at)
        (pulled,) = torch.autograd.grad(image, at, torch.ones_like(image) if y is None else y.clone())
    return pulled, image.numel()
