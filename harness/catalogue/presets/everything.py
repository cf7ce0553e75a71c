"""What there is: ``standard`` on every set with the networks that matter, ``full`` in every combination."""

from __future__ import annotations

from harness.catalogue.presets.model import ANY, FASTER, FASTEST, NONE, Preset, Selection
from harness.catalogue.presets.parts import (
    COST,
    ENVIRONMENTS,
    EVENTS,
    KNOWLEDGE_GRAPHS,
    OF_LIBRARIES,
    OTHER_NETWORKS,
    POOL,
    RESERVOIR,
    conformance,
)

__all__ = ["ALL_CELLS", "FULL", "STANDARD"]

TRAINED = ("mlp", *OTHER_NETWORKS)
"""Networks on which training methods are compared."""

_SETS = (
    *("digits", "digits-rows", "mnist", "nmnist", "fsdd", "fsdd-speakers", "smnist-rows", "delayed-xor", "adding"),
    *("fashion-mnist", "moving-shapes", "smnist-49", "cifar10", "shd", "dvsgesture"),
)
"""One encoding of every set; the other encodings, and sequences of hundreds of steps, are in `full`."""

_COSTED = ("digits", "digits-rows", "mnist", "nmnist", "fsdd")
"""What a step costs depends on shapes alone, so a few tasks tell."""

ALL_CELLS = (
    *conformance(ANY, ANY, ANY),
    Selection(
        (
            "accuracy",
            "spikes",
            "frontier",
            "anytime",
            "spike_times",
            "over_time",
            "streaming",
            "robustness",
            *COST,
            "scaling",
            "time_to_target",
        ),
        ANY,
        ANY,
        ANY,
        ANY,
        ANY,
        seeds=3,
    ),
    Selection(("tracking",), ANY, POOL, ANY, RESERVOIR, ANY, seeds=3),
    Selection(("layers",), neurons=ANY, backends=ANY),
    Selection(("system_conformance",), systems=ANY, backends=NONE),
    Selection(("link_prediction", "control", "video", "flow", "detection"), ANY, systems=ANY, backends=NONE, seeds=3),
    *OF_LIBRARIES,
    Selection(("training",), ANY, methods=("bptt",), topologies=("mlp",), peers=ANY, backends=NONE),
    Selection(("crossover",), peers=EVENTS, backends=NONE),
)
"""Every combination there is: what a cell that is named axis by axis is looked up in."""

STANDARD = Preset(
    "standard",
    "Every implementation to convergence on every set that is present, 5 seeds; for a GPU, days on a CPU.",
    "standard",
    (
        *conformance(ANY, ANY, ANY),
        Selection(("accuracy",), _SETS, ANY, ("bptt",), ("mlp", "conv"), FASTEST, seeds=5),
        Selection(("accuracy",), _SETS, ("if", "lif"), ANY, TRAINED, FASTEST, seeds=5),
        Selection(("tracking",), ("two-sines", "accordion"), POOL, ANY, RESERVOIR, seeds=5),
        Selection(("system_conformance",), systems=ANY, backends=NONE),
        Selection(("link_prediction",), KNOWLEDGE_GRAPHS, systems=ANY, backends=NONE, seeds=5),
        Selection(("control",), ENVIRONMENTS, systems=ANY, backends=NONE, seeds=5),
        Selection(("spikes", "frontier"), _SETS, ANY, ("bptt",), ("mlp", "conv"), FASTEST, seeds=5),
        Selection(("spikes", "frontier"), _SETS, ("if", "lif"), ANY, TRAINED, FASTEST, seeds=5),
        Selection((*COST, "scaling"), _COSTED, ANY, ("bptt",), ("mlp", "conv"), ("eager", *FASTER)),
        Selection((*COST, "scaling"), _COSTED, ("if", "lif"), ANY, TRAINED),
        Selection(("time_to_target",), _COSTED, ANY, ("bptt",), ("mlp", "conv"), ("eager", *FASTER), seeds=3),
        Selection(("time_to_target",), _COSTED, ("if", "lif"), ANY, TRAINED, seeds=3),
    ),
)

FULL = Preset(
    "full",
    "Every combination there is, to convergence, 3 seeds; for many GPUs, or with filters.",
    "standard",
    ALL_CELLS,
)
