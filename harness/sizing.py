"""How wide a network is with neurons that bring weights among their units: as wide as its parameters allow.

A layer of GRUs with as many units as one of LIF would have many times its parameters, and a comparison would be one of
sizes. So all widths of such a network shrink by one factor, until it has no more parameters than with ``lif``. Must not
know any neuron by name but that one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from reference_impls.api import Network

__all__ = ["as_many_parameters"]

WIDTHS = ("hidden",)
"""Sizes of a network that say how many units its layers have."""
Build = Callable[[Mapping[str, Any]], Network]
"""Sizes -> the network."""


def as_many_parameters(sizes: Mapping[str, Any], build: Build, reference: Build) -> dict[str, Any]:
    """Return `sizes` with widths so small that `build` takes no more parameters than `reference` does with `sizes`.

    The widths shrink by one factor and are at least 1. Leaves torch's random stream as it was.
    """
    with torch.random.fork_rng(devices=[]):
        most = _parameters(reference(sizes))
        widest = max(max(sizes[name]) for name in WIDTHS if name in sizes)
        low, high = 1, widest  # units of the widest layer: `low` fits or is the least there is
        while low < high:
            middle = math.ceil((low + high) / 2)
            if _parameters(build(_shrunk(sizes, middle, widest))) <= most:
                low = middle
            else:
                high = middle - 1
    return _shrunk(sizes, low, widest)


def _shrunk(sizes: Mapping[str, Any], units: int, widest: int) -> dict[str, Any]:
    shrunk = {name: [max(1, width * units // widest) for width in sizes[name]] for name in WIDTHS if name in sizes}
    return {**sizes, **shrunk}


def _parameters(network: Network) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
