"""What a preset is: selections of cells under one training budget, and the patterns that selections are made of."""

from __future__ import annotations

from dataclasses import dataclass

from harness.catalogue.cell import DEFAULT_RECIPE, NOT_APPLICABLE

__all__ = ["ANY", "BASES", "EAGER", "FASTER", "FASTEST", "FUSED", "NONE", "PARALLEL", "Preset", "Selection"]

ANY = ("*",)

NONE = (NOT_APPLICABLE,)

BASES = ("@bases",)
"""One row of every file: its variants are left out."""

PARALLEL = ("@parallel",)
"""Neurons that compute all steps at once; of a file's rows that can do the same, the first."""

FUSED = ("fused-*",)
"""Backends whose kernels this project prints."""

FASTER = ("compiled", *FUSED)
"""Backends that are compared with eager."""

EAGER = ("eager",)

FASTEST = ("@fastest",)
"""For each combination the fastest backend that can run it: what it is measured by does not depend on it."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A product of rows, asked by some suites."""

    suites: tuple[str, ...]
    tasks: tuple[str, ...] = NONE
    neurons: tuple[str, ...] = NONE
    methods: tuple[str, ...] = NONE
    topologies: tuple[str, ...] = NONE
    backends: tuple[str, ...] = EAGER
    dtype: str = "float32"
    seeds: int = 1
    peers: tuple[str, ...] = ()
    """Peers to put on the axis ``neuron``, in place of `neurons`."""
    systems: tuple[str, ...] = ()
    """The same of systems."""
    recipes: tuple[str, ...] = (DEFAULT_RECIPE,)


@dataclass(frozen=True, slots=True)
class Preset:
    """A named set of selections under one training budget."""

    name: str
    summary: str
    budget: str
    selections: tuple[Selection, ...]
