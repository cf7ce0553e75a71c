"""What one field of use asks: streams of events, video and optical flow, knowledge graphs, control."""

from __future__ import annotations

from harness.catalogue.presets.model import ANY, FASTEST, NONE, Preset, Selection
from harness.catalogue.presets.parts import ENVIRONMENTS, KNOWLEDGE_GRAPHS, conformance

__all__ = ["CONTROL", "GRAPHS", "STREAMING", "VIDEO"]

_STREAMED = ("if", "lif", "plif", "cuba-lif")
"""Neurons whose spikes are followed through both rollouts: without a leak, with one, with a learned one, with two."""

STREAMING = Preset(
    "streaming",
    "Spiking networks and hybrids on event cameras: both rollouts, detection; 3 seeds to convergence, hours.",
    "standard",
    (
        *conformance(_STREAMED, ("bptt", "bptt-tet"), ()),
        Selection(
            ("accuracy", "spikes", "streaming"),
            ("moving-shapes", "nmnist"),
            _STREAMED,
            ("bptt", "bptt-tet"),
            ("mlp", "conv", "hybrid-conv"),
            FASTEST,
            seeds=3,
        ),
        Selection(("system_conformance",), systems=("hybrid-detector*", "mean-boxes"), backends=NONE),
        Selection(("detection",), ("moving-boxes",), systems=ANY, backends=NONE, seeds=3),
    ),
)

VIDEO = Preset(
    "video",
    "Video and optical flow from events: networks, ANNs and trivial answers, 3 seeds; half an hour on a core.",
    "quick",
    (
        Selection(("system_conformance",), systems=ANY, backends=NONE),
        Selection(("video", "flow"), ANY, systems=ANY, backends=NONE, seeds=3),
    ),
)

GRAPHS = Preset(
    "graphs",
    "Every system that completes facts of a knowledge graph, on the generated ones, 3 seeds; minutes a core.",
    "quick",
    (
        Selection(("system_conformance",), systems=ANY, backends=NONE),
        Selection(("link_prediction",), KNOWLEDGE_GRAPHS[:2], systems=ANY, backends=NONE, seeds=3),
    ),
)

CONTROL = Preset(
    "control",
    "Every actor in gymnasium's classic control, 3 seeds; minutes a core, and the extra 'control'.",
    "quick",
    (
        Selection(("system_conformance",), systems=ANY, backends=NONE),
        Selection(("control",), ENVIRONMENTS, systems=ANY, backends=NONE, seeds=3),
    ),
)
