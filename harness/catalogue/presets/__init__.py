"""Presets: named selections of cells with a training budget, as data.

``smoke`` shows in seconds that everything is connected, ``quick`` measures every implementation on a laptop,
``standard`` is for one GPU or a patient CPU, ``full`` is every combination there is. Patterns are shell-style and
are matched against the rows that exist, so a new implementation is in the presets by existing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from harness.catalogue.presets.applications import CONTROL, GRAPHS, STREAMING, VIDEO
from harness.catalogue.presets.comparisons import CONVERSION, DEPTH, METHODS, NEURONS
from harness.catalogue.presets.everyday import NEW, QUICK, SMOKE
from harness.catalogue.presets.everything import FULL, STANDARD
from harness.catalogue.presets.model import ANY, NONE, Preset
from harness.catalogue.presets.speed import LAYERS, LIBRARIES, STEPS
from harness.errors import UserError
from reference_impls.names import unknown_message

__all__ = ["PRESETS", "find_preset", "widened"]

PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        *(SMOKE, QUICK, NEW),
        *(NEURONS, DEPTH, METHODS, CONVERSION),
        *(STREAMING, LAYERS, GRAPHS, CONTROL, LIBRARIES, VIDEO, STEPS),
        *(STANDARD, FULL),
    )
}


def find_preset(name: str) -> Preset:
    """Return the preset `name`; an unknown one is an error that suggests the nearest."""
    if name not in PRESETS:
        raise UserError(unknown_message("preset", name, list(PRESETS)), "spikeboard list presets describes them")
    return PRESETS[name]


def widened(preset: Preset) -> Preset:
    """Return what `preset` asks, of every neuron and training method: a leaderboard holds one of the two fixed."""
    selections = tuple(
        replace(
            selection,
            neurons=selection.neurons if selection.neurons == NONE else ANY,
            methods=selection.methods if selection.methods == NONE else ANY,
        )
        for selection in preset.selections
    )
    return replace(preset, selections=selections)
