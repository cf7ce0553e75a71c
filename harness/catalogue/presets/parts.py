"""Selections and lists of rows that several presets ask for: the gate, the tasks that decide, networks, libraries."""

from __future__ import annotations

from harness.catalogue.deciding import Deciding, tasks_of
from harness.catalogue.presets.model import ANY, BASES, FASTER, FASTEST, NONE, Selection
from reference_impls.structures import STRUCTURES

__all__ = [
    "COST",
    "ENVIRONMENTS",
    "EVENTS",
    "KNOWLEDGE_GRAPHS",
    "NETWORKS",
    "OF_LIBRARIES",
    "ONE_OF_EACH",
    "OTHER_NETWORKS",
    "PEERS",
    "POOL",
    "RESERVOIR",
    "ROWS",
    "conformance",
    "deciding",
]

ROWS = (*BASES, "*-matched")
"""One row of every file, and those that are LIF but for one mechanism, so that its effect can be told from that of the
convention around it."""

NETWORKS, RESERVOIR = (
    tuple(structure.topology for structure in STRUCTURES.values() if structure.target == target)
    for target in ("classes", "signal")
)
"""One topology of every structure: what a training method's contract is checked on, as far as it trains it."""

POOL = ("lif-double-exponential",)
"""Neuron of the methods that learn signals, on a reservoir."""

OTHER_NETWORKS = ("feedback", "recurrent", "nf-resnet", "reversible")
"""Networks of the methods that train no chain."""

ONE_OF_EACH = ("if", "lif", "psn", "psu")
"""Neurons with a step, without and with a leak, and parallel ones."""

COST = ("throughput", "memory")
"""What a training step costs."""

KNOWLEDGE_GRAPHS = ("kinship", "kinship-sparse", "fb15k-237", "wn18rr")
"""Whole systems complete their facts."""

ENVIRONMENTS = ("pendulum", "mountain-car")
"""Environments of gymnasium itself; actors act in them."""

PEERS = Selection(("conformance",), peers=ANY, backends=NONE)

EVENTS = ("spikeboard-lif-events",)
"""The row whose linear maps are event-driven; as a layer it is spikeboard-lif-fused."""

OF_LIBRARIES = (
    PEERS,
    Selection(("libraries",), peers=(*ANY, *(f"!{name}" for name in EVENTS)), backends=NONE),
)
"""Each peer in its own convention, beside ours. Those whose library is missing cost nothing."""


def conformance(
    neurons: tuple[str, ...], methods: tuple[str, ...], faster: tuple[str, ...], backends: tuple[str, ...] = FASTER
) -> tuple[Selection, ...]:
    """Select the gate: the contract of neurons, of methods on the networks that they train, and of the `backends`."""
    return (
        Selection(("conformance",), neurons=neurons, dtype="float64"),
        Selection(("conformance",), neurons=("if",), methods=methods, topologies=NETWORKS, dtype="float64"),
        Selection(("conformance",), neurons=POOL, methods=methods, topologies=RESERVOIR, dtype="float64"),
        Selection(("conformance",), neurons=faster, backends=backends, dtype="float64"),
    )


def deciding(
    suites: tuple[str, ...],
    tasks: tuple[Deciding, ...],
    backends: tuple[str, ...] = FASTEST,
    *,
    neurons: tuple[str, ...],
    methods: tuple[str, ...],
    further: tuple[str, ...] = (),
    seeds: int = 1,
) -> tuple[Selection, ...]:
    """Select tasks that decide, each on the network that it decides with and on the `further` ones."""
    return tuple(
        Selection(
            suites, tasks_of(tasks, topology), neurons, methods, (topology, *further), backends=backends, seeds=seeds
        )
        for topology in dict.fromkeys(one.topology for one in tasks)
    )
