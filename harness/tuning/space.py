"""Where tuning searches: what all rows share, and at most four parameters of a row's own, from its card.

A space maps names such as ``optimizer.learning_rate`` or ``neuron.surrogate.alpha`` to ranges. It is data: the shared
part stands here and nowhere else, the rest on cards. Must not know how points are drawn; must not import torch.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any

from harness.catalogue.cards import Registry
from harness.catalogue.cell import Cell
from harness.catalogue.recipes import OptimizerValues, Values
from harness.catalogue.spaces import own_space
from reference_impls.card import Card, Dimension

__all__ = ["EDGE", "SHARED", "Params", "Space", "digest", "on_edge", "space_of", "values_at", "written"]

Space = Mapping[str, Dimension]
Params = Mapping[str, bool | int | float | str]
"""A value for each dimension of a space."""

SHARED: Space = {
    "learning_rate": Dimension(1e-4, 0.3, "log"),
    "weight_decay": Dimension(1e-6, 0.1, "log"),
    "schedule": Dimension(choices=("constant", "cosine")),
    "clip_norm": Dimension(0.1, 10.0, "log"),
}
"""Of the optimizer's settings; a training method's card says which of them act on it (`optimizer_space`)."""
EDGE = 0.05
"""Share of a range, on its own scale, at either end: who finds the best there has not searched far enough."""

WITHOUT_EFFECT = ("optimizer.clip_norm (upper)", "optimizer.weight_decay (lower)")
"""Ends where a setting does nothing any more: beyond them there is nothing else to find."""


def space_of(cell: Cell, registry: Registry) -> dict[str, Dimension]:
    """Return the space of a combination: shared settings, then the neuron's own parameters, then the method's.

    What a training method's card sets of its neurons is the method's, and stays.
    """
    neuron, method = registry.neurons[cell.neuron], registry.methods[cell.method]
    assert isinstance(neuron.card, Card)
    assert isinstance(method.card, Card)
    fixed = method.card.recipe.get("neuron", {})
    of_neuron = own_space(neuron.card, neuron.name, neuron.params)
    of_method = own_space(method.card, method.name, method.params)
    return {
        **{f"optimizer.{name}": SHARED[name] for name in method.card.optimizer_space},
        **{f"neuron.{name}": one for name, one in of_neuron.items() if name.partition(".")[0] not in fixed},
        **{f"method.{name}": one for name, one in of_method.items()},
    }


def values_at(params: Params) -> Values:
    """Return the hyper-parameters of a point."""
    parts: dict[str, dict[str, Any]] = {"optimizer": {}, "neuron": {}, "method": {}, "topology": {}}
    for name, value in params.items():
        part, _, parameter = name.partition(".")
        parts[part][parameter] = value
    return Values(OptimizerValues(**parts["optimizer"]), parts["neuron"], parts["method"], parts["topology"])


def written(space: Space) -> dict[str, dict[str, Any]]:
    """Return a space as files have it, without what is as usual."""
    usual = {item.name: item.default for item in fields(Dimension)}
    return {
        name: {key: value for key, value in asdict(dimension).items() if value != usual[key]}
        for name, dimension in space.items()
    }


def digest(content: Any) -> str:
    """Return a short hash of anything that JSON can hold."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def on_edge(space: Space, params: Params) -> tuple[str, ...]:
    """Return the parameters whose value lies at an end of its range, such as ``neuron.tau (upper)``."""
    return tuple(edge for edge in _edges(space, params) if edge not in WITHOUT_EFFECT)


def _edges(space: Space, params: Params) -> Iterator[str]:
    for name, value in params.items():
        dimension = space.get(name)
        if dimension is None or dimension.low is None or dimension.high is None or isinstance(value, str):
            continue
        place = math.log if dimension.scale == "log" else float
        low, high = place(dimension.low), place(dimension.high)
        share = (place(value) - low) / (high - low)
        if share <= EDGE:
            yield f"{name} (lower)"
        elif share >= 1 - EDGE:
            yield f"{name} (upper)"
