"""Rows compared with each other to convergence: neurons, depths of their networks, training methods, conversions."""

from __future__ import annotations

from harness.catalogue.deciding import BESIDE, FOR_METHODS, FOR_NEURONS
from harness.catalogue.presets.model import ANY, BASES, EAGER, FASTEST, Preset, Selection
from harness.catalogue.presets.parts import COST, OTHER_NETWORKS, ROWS, conformance, deciding

__all__ = ["CONVERSION", "DEPTH", "METHODS", "NEURONS"]

DEPTHS = ("mlp-depth-2", "mlp-depth-4", "mlp-depth-8")
"""The same network at three depths: whether a neuron passes its gradient on through many layers."""

_CONVERSIONS = (
    "threshold-balancing*",
    "burst",
    "qcfs*",
    "noisy-quantisation",
    "stdb*",
    "tandem*",
    "hybrid-coding",
    "hsd*",
    "ttfs*",
    "lc-ttfs*",
    "t2fsnn",
    "dft",
    "stdbp",
)
"""Methods that make their network of an ANN."""

NEURONS = Preset(
    "neurons",
    "A neuron of every file and its matched row on the tasks that decide, 3 seeds to convergence; hours.",
    "standard",
    (
        *conformance(ANY, (), ANY),
        *deciding(("accuracy",), (*FOR_NEURONS, *BESIDE), neurons=ROWS, methods=("bptt",), seeds=3),
        *deciding(("spikes", "frontier"), FOR_NEURONS, neurons=ROWS, methods=("bptt",), seeds=3),
        *deciding(("robustness", "over_time"), FOR_NEURONS, neurons=ROWS, methods=("bptt",), seeds=3),
        *deciding(("time_to_target",), FOR_NEURONS, EAGER, neurons=ROWS, methods=("bptt",), seeds=3),
    ),
)

DEPTH = Preset(
    "depth",
    "A neuron of every file and its matched row on networks of 2, 4 and 8 layers, 3 seeds; hours on a CPU.",
    "standard",
    (
        *conformance(ANY, (), ANY),
        Selection(("accuracy",), ("smnist-rows",), ROWS, ("bptt",), DEPTHS, FASTEST, seeds=3),
    ),
)

METHODS = Preset(
    "methods",
    "A training method of every file on the tasks that decide, with IF, 3 seeds to convergence; hours.",
    "standard",
    (
        *conformance(("if",), ANY, ("if",)),
        *deciding(("accuracy",), FOR_METHODS, neurons=("if",), methods=BASES, further=OTHER_NETWORKS, seeds=3),
        *deciding(("spikes", "frontier"), FOR_METHODS, neurons=("if",), methods=BASES, further=OTHER_NETWORKS, seeds=3),
        *deciding(("anytime",), FOR_METHODS, neurons=("if",), methods=BASES, further=OTHER_NETWORKS),
        *deciding(
            (*COST, "time_to_target"),
            FOR_METHODS,
            EAGER,
            neurons=("if",),
            methods=BASES,
            further=OTHER_NETWORKS,
        ),
    ),
)

CONVERSION = Preset(
    "conversion",
    "Every way from an ANN to a spiking network, read at 1 to 256 steps, 3 seeds to the end; hours on a CPU.",
    "standard",
    (
        *conformance(("if",), _CONVERSIONS, ()),
        Selection(
            ("accuracy", "anytime", "spike_times"),
            ("mnist", "fashion-mnist"),
            ("if",),
            (*_CONVERSIONS, "cutoff"),
            ("mlp", "conv"),
            seeds=3,
        ),
    ),
)
