"""Where time goes: layers of parallel neurons, other libraries beside ours, whole training steps."""

from __future__ import annotations

from harness.catalogue.presets.model import ANY, NONE, PARALLEL, Preset, Selection
from harness.catalogue.presets.parts import EVENTS, OF_LIBRARIES, PEERS, conformance

__all__ = ["LAYERS", "LIBRARIES", "STEPS"]

_LAYERS = (Selection(("layers",), neurons=("lif", *PARALLEL)),)
"""Parallel neurons against T and N. The suite itself measures LIF, eager and fused, beside each of them."""

_STEPS = (
    Selection(
        ("training",), ("mnist", "fsdd", "shd"), methods=("bptt",), topologies=("mlp",), peers=ANY, backends=NONE
    ),
    Selection(("crossover",), peers=EVENTS, backends=NONE),
)
"""Three networks at the firing rates of their tasks: wide and short, narrow and long, deep and long."""

LAYERS = Preset(
    "layers",
    "Parallel neurons against T and N, beside LIF step by step and fused; half an hour.",
    "quick",
    (*conformance(("lif", *PARALLEL), (), ()), *_LAYERS),
)

LIBRARIES = Preset(
    "libraries",
    "Other libraries' LIF beside ours, alternating; minutes. Install them with: python -m nox -s peers.",
    "quick",
    OF_LIBRARIES,
)

STEPS = Preset(
    "steps",
    "Whole training steps in every library, and speed against the density of spikes; a quarter of an hour.",
    "standard",
    (
        PEERS,
        Selection(("conformance",), neurons=("if",), methods=("bptt",), topologies=("mlp",), dtype="float64"),
        *_STEPS,
    ),
)
