"""The structures of networks, and what everything else has to know of each: one table.

A structure says what a training method may assume about the connections of a network. Must not import torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["STEP_BY_STEP", "STRUCTURES", "Structure", "StructureName"]

StructureName = Literal[
    "chain", "delayed", "residual", "skip", "feedback", "recurrent", "lateral", "gated", "reversible", "pool"
]


@dataclass(frozen=True, slots=True)
class Structure:
    """What holds for every network of a structure."""

    about: str
    topology: str
    """The topology that stands for it where a training method is judged."""
    step_by_step: bool = False
    """Whether a layer needs the spikes that it or another one emitted at the step before."""
    least_layers: int = 1
    """Layers that show every kind of its connections."""
    target: Literal["classes", "signal"] = "classes"
    """What its networks learn."""
    tracked: bool = False
    """Whether training methods are timed on it across commits, each on the first that it trains."""


STRUCTURES: Mapping[StructureName, Structure] = {
    "chain": Structure(
        "Layers follow one another, and a step of one needs nothing but that step of the one below.",
        "mlp",
        tracked=True,
    ),
    "delayed": Structure("A chain whose layers need earlier steps of the one below, too.", "delayed"),
    "residual": Structure("There are paths around a layer.", "nf-resnet"),
    "skip": Structure("There are paths over any number of layers.", "skip-mlp", least_layers=3),
    "feedback": Structure(
        "The last layer's spikes reach the first one step later.", "feedback", step_by_step=True, tracked=True
    ),
    "recurrent": Structure("A layer's spikes reach the layer itself.", "recurrent", step_by_step=True),
    "lateral": Structure(
        "Those of a last layer of populations reach their own population.", "lateral", step_by_step=True
    ),
    "gated": Structure("Currents have a memory of their own, with gates.", "gated", step_by_step=True),
    "reversible": Structure("A layer's spikes reach the one below as well.", "reversible", step_by_step=True),
    "pool": Structure(
        "One layer reaches itself, and its output goes on as a signal.",
        "reservoir",
        step_by_step=True,
        target="signal",
    ),
}

STEP_BY_STEP = tuple(name for name, structure in STRUCTURES.items() if structure.step_by_step)
"""Structures whose layers cannot take all steps at once."""
