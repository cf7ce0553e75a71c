"""Whose a neuron's parameters are: one set for a layer, one for a channel, or one for every neuron.

The rule that turns the word of a card and the shape of a layer into the shape of a parameter, for every neuron alike.
Must not know any of them.
"""

from __future__ import annotations

from typing import Literal, get_args

from reference_impls.names import check_name

__all__ = ["GRANULARITIES", "Granularity", "LayerShape", "fits", "parameter_shape"]

Granularity = Literal["layer", "channel", "neuron"]
GRANULARITIES: tuple[Granularity, ...] = get_args(Granularity)

LayerShape = tuple[int, ...]
"""What one sample of a layer has at one step, without time and batch: ``(N,)``, or ``(C, H, W)`` for images."""


def parameter_shape(who: str, granularity: str, shape: LayerShape | None) -> LayerShape:
    """Return the shape of a parameter that broadcasts to a step ``[B, *shape]`` of the layer.

    Parameters
    ----------
    who : the neuron, as its card names it; for messages.
    granularity : ``layer``: one value, ``()``. ``channel``: one along the first dimension of `shape`, ``(C, 1, ...)``.
        ``neuron``: `shape` itself. In a layer without space every neuron is a channel of its own.
    shape : of the layer; None: not known, which is enough for ``layer``.

    Raises
    ------
    ValueError
        If the layer's shape is needed and missing.
    """
    check_name(f"granularity of {who}", granularity, GRANULARITIES)
    if granularity == "layer":
        return ()
    if shape is None:
        raise ValueError(
            f"{who} has parameters for every {granularity}, so it must know its layer: give shape=(N,), or "
            "shape=(C, H, W) for images; granularity='layer' shares one set and needs none"
        )
    return tuple(shape) if granularity == "neuron" else (*shape[:1], *[1] * len(shape[1:]))


def fits(parameter: LayerShape, features: LayerShape) -> bool:
    """Whether parameters of that shape broadcast to a step ``[B, *features]`` without making it larger."""
    return not parameter or (
        len(parameter) == len(features) and all(p in (1, n) for p, n in zip(parameter, features, strict=True))
    )
