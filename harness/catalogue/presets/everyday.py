"""What is run first, on a laptop: ``smoke`` in seconds, ``quick`` in minutes, ``new`` for a row of one's own."""

from __future__ import annotations

from harness.catalogue.presets.model import ANY, BASES, FASTEST, FUSED, NONE, Preset, Selection
from harness.catalogue.presets.parts import COST, ONE_OF_EACH, POOL, RESERVOIR, conformance

__all__ = ["NEW", "QUICK", "SMOKE"]

_TIMED = ("ttfs", "lc-ttfs", "t2fsnn", "dft", "stdbp")
"""Files of methods that pass spike times."""

_SLOW_IN_QUICK = tuple(
    f"!{name}" for name in ("threshold-balancing", "noisy-quantisation", "stdb", "tandem", "hybrid-coding", *_TIMED)
)
"""Conversions that `quick` leaves to the preset `conversion`: QCFS stands for them, HSD for those that train on, and
TTFS, by a selection of its own, for those whose neurons fire once."""

_QUICK_NEURONS = (*BASES, "!c-silif")
"""Neurons that `quick` trains; pmsn stands for the other state-space layer."""

_QUICK_METHODS = (
    ((*BASES, "bptt-tet", "ottt-o", "!forward-gradient", "!stdp", "!r-stdp", *_SLOW_IN_QUICK), ("mlp",)),
    (("bptt", "ide", "spide"), ("feedback",)),
    (("bptt", "eprop"), ("recurrent",)),
)
"""What `quick` trains, and on which network: on chains one of every file, and two variants that differ in what they
learn; not the forward gradient, whose eight simulations an update take a minute, nor STDP, which learns without a
gradient, and of the conversions one."""

_IMAGES_IN_QUICK = (
    Selection(
        ("system_conformance",), systems=("evsnn", "mean-image", "adaptive-spikenet", "zero-flow"), backends=NONE
    ),
    Selection(("video",), ("textures-video",), systems=("evsnn", "mean-image"), backends=NONE),
    Selection(("flow",), ("textures-flow",), systems=("adaptive-spikenet", "zero-flow"), backends=NONE),
)
"""A network for video and one for flow, each with what it has to beat."""

_STREAMED_DIGITS = ("digits-events", "digits-rows")

_TELLING = ("digits", "digits-rows", "moving-shapes")
"""What a new row is shown on: the board that has most rows, and embedded tasks on which the errors of neurons differ by
factors after seconds of training (row by row; by the order of events)."""

SMOKE = Preset(
    "smoke",
    "A handful of cells with tiny budgets: is everything connected? Seconds.",
    "smoke",
    (
        *conformance(("lif", "psn"), ("bptt", "ottt-a"), ()),
        Selection(("accuracy", "spikes", *COST), ("digits",), ("lif", "psn"), ("bptt",), ("mlp",), seeds=1),
        Selection(("accuracy", "memory"), ("digits",), ("lif",), ("ottt-a",), ("mlp",), seeds=1),
    ),
)

QUICK = Preset(
    "quick",
    (
        "Contract of every row; accuracy (3 seeds) and cost of a neuron and a method of every file, but QCFS, "
        "HSD and TTFS for all conversions, PMSN for all state-space layers, and no forward gradient or STDP; a "
        "few rows in other suites, none under torch.compile. Minutes on a laptop."
    ),
    "quick",
    (
        *conformance(ANY, ANY, ("lif",), FUSED),
        # Neurons under BPTT, methods under IF: the two axes of the leaderboard. They train for a second or two,
        # less than it takes to compile and check the kernels of each neuron; those of LIF are checked anyway.
        Selection(("accuracy",), ("digits",), _QUICK_NEURONS, ("bptt",), ("mlp",), seeds=3),
        *(Selection(("accuracy",), ("digits",), ("if",), methods, on, seeds=3) for methods, on in _QUICK_METHODS),
        Selection(("accuracy",), _STREAMED_DIGITS, ("lif", "psn"), ("bptt",), ("mlp",), FASTEST, seeds=3),
        Selection(("accuracy",), ("digits",), ("lif",), ("bptt",), ("conv", "skip-mlp"), FASTEST, seeds=3),
        Selection(("accuracy",), ("digits",), ("if",), ("bptt", "t-revsnn"), ("reversible",), seeds=3),
        Selection(("tracking",), ("two-sines",), POOL, BASES, RESERVOIR, seeds=3),
        Selection(("spikes", *COST), ("digits",), _QUICK_NEURONS, ("bptt",), ("mlp",)),
        *(Selection(("spikes", *COST), ("digits",), ("if",), methods, on) for methods, on in _QUICK_METHODS),
        Selection(("anytime",), ("digits",), ("if",), *_QUICK_METHODS[0]),
        Selection(("spikes", *COST), ("digits",), ("if",), ("bptt", "t-revsnn"), ("reversible",)),
        Selection(("accuracy",), ("digits",), ("if",), ("ttfs",), ("mlp",), seeds=3),
        Selection(("spike_times",), ("digits",), ("if",), ("ttfs",), ("mlp",)),
        Selection(("spikes", "memory"), _STREAMED_DIGITS, ONE_OF_EACH, ("bptt",), ("mlp",)),
        Selection(("throughput",), ("digits",), ("lif",), ("bptt",), ("mlp",), FUSED),
        Selection(("memory",), ("digits",), ("lif",), ("bptt",), ("mlp",), FUSED),
        Selection(("time_to_target",), ("digits",), ONE_OF_EACH, ("bptt",), ("mlp",)),
        Selection(("robustness", "over_time"), ("digits",), ONE_OF_EACH, ("bptt",), ("mlp",)),
        Selection(("accuracy", "spikes"), ("digits-events",), ("lif",), ("bptt",), ("hybrid-conv",)),
        Selection(("streaming",), ("digits-events",), ("lif",), ("bptt",), ("mlp", "hybrid-conv")),
        Selection(("frontier",), ("digits",), ("if", "lif"), ("bptt",), ("mlp",)),
        *_IMAGES_IN_QUICK,
        Selection(("scaling",), ("digits-rows",), ONE_OF_EACH, ("bptt",), ("mlp",)),
    ),
)

NEW = Preset(
    "new",
    (
        "A row of one's own (--neuron NAME or --method NAME) on three embedded tasks, two of which tell rows "
        "apart, 3 seeds; ends in its place among the published rows. Under a minute for a neuron."
    ),
    "quick",
    (
        *conformance(ANY, ANY, ()),
        # On the named neuron: filters leave no IF to judge the method on, and no row is verified without it.
        Selection(("conformance",), neurons=ANY, methods=("bptt",), topologies=("mlp",), dtype="float64"),
        Selection(("accuracy",), _TELLING, ANY, ("bptt",), ("mlp",), seeds=3),
        Selection(("accuracy",), _TELLING, ("if",), ANY, ("mlp",), seeds=3),
    ),
)
