"""Presets: named selections of cells with a training budget, as data.

``smoke`` shows in seconds that everything is connected, ``quick`` measures every implementation on a laptop,
``standard`` is for one GPU or a patient CPU, ``full`` is every combination there is. Patterns are shell-style and
are matched against the rows that exist, so a new implementation is in the presets by existing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from harness.catalogue.cell import DEFAULT_RECIPE, NOT_APPLICABLE
from harness.catalogue.deciding import BESIDE, FOR_METHODS, FOR_NEURONS, Deciding, tasks_of
from harness.errors import UserError
from reference_impls.names import unknown_message
from reference_impls.structures import STRUCTURES

__all__ = ["ALL_CELLS", "BASES", "FASTEST", "PARALLEL", "PRESETS", "Preset", "Selection", "find_preset", "widened"]

ANY = ("*",)
NONE = (NOT_APPLICABLE,)
BASES = ("@bases",)
"""One row of every file: its variants are left out."""
ROWS = (*BASES, "*-matched")
"""And the rows that are LIF but for one mechanism, so that its effect can be told from the convention around it."""
NETWORKS, RESERVOIR = (
    tuple(structure.topology for structure in STRUCTURES.values() if structure.target == target)
    for target in ("classes", "signal")
)
"""One topology of every structure: what a training method's contract is checked on, as far as it trains it."""
POOL = ("lif-double-exponential",)
"""Neuron of the methods that learn signals, on a reservoir."""
PARALLEL = ("@parallel",)
"""Neurons that compute all steps at once; of a file's rows that can do the same, the first."""
FASTER = ("compiled", "fused-*")
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


def _conformance(neurons: tuple[str, ...], methods: tuple[str, ...], faster: tuple[str, ...]) -> tuple[Selection, ...]:
    """Select the gate: the contract of neurons, of methods on the networks that they train, and of the backends."""
    return (
        Selection(("conformance",), neurons=neurons, dtype="float64"),
        Selection(("conformance",), neurons=("if",), methods=methods, topologies=NETWORKS, dtype="float64"),
        Selection(("conformance",), neurons=POOL, methods=methods, topologies=RESERVOIR, dtype="float64"),
        Selection(("conformance",), neurons=faster, backends=FASTER, dtype="float64"),
    )


def _deciding(
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


DEPTHS = ("mlp-depth-2", "mlp-depth-4", "mlp-depth-8")
"""The same network at three depths: whether a neuron passes its gradient on through many layers."""
OTHER_NETWORKS = ("feedback", "recurrent", "nf-resnet", "reversible")
"""Networks of the methods that train no chain."""
TRAINED = ("mlp", *OTHER_NETWORKS)
"""Networks on which training methods are compared."""
_TIMED = ("ttfs", "lc-ttfs", "t2fsnn", "dft", "stdbp")
"""Files of methods that pass spike times."""
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
_STREAMED = ("if", "lif", "plif", "cuba-lif")
"""Neurons whose spikes are followed through both rollouts: without a leak, with one, with a learned one, with two."""
_SETS = (
    *("digits", "digits-rows", "mnist", "nmnist", "fsdd", "fsdd-speakers", "smnist-rows", "delayed-xor", "adding"),
    *("fashion-mnist", "moving-shapes", "smnist-49", "cifar10", "shd", "dvsgesture"),
)
"""One encoding of every set; the other encodings, and sequences of hundreds of steps, are in `full`."""
_COSTED = ("digits", "digits-rows", "mnist", "nmnist", "fsdd")
"""What a step costs depends on shapes alone, so a few tasks tell."""
_ONE_OF_EACH = ("if", "lif", "psn", "psu")
_COST = ("throughput", "memory")

_LAYERS = (Selection(("layers",), neurons=("lif", *PARALLEL)),)
"""Parallel neurons against T and N. The suite itself measures LIF, eager and fused, beside each of them."""

_GRAPHS = ("kinship", "kinship-sparse", "fb15k-237", "wn18rr")
"""Knowledge graphs; whole systems complete their facts."""

_ENVIRONMENTS = ("pendulum", "mountain-car")
"""Environments of gymnasium itself; actors act in them."""

_PEERS = Selection(("conformance",), peers=ANY, backends=NONE)
_EVENTS = ("spikeboard-lif-events",)
"""The row whose linear maps are event-driven; as a layer it is spikeboard-lif-fused."""
_LIBRARIES = (
    _PEERS,
    Selection(("libraries",), peers=(*ANY, *(f"!{name}" for name in _EVENTS)), backends=NONE),
)
"""Each peer in its own convention, beside ours. Those whose library is missing cost nothing."""

_STEPS = (
    Selection(
        ("training",), ("mnist", "fsdd", "shd"), methods=("bptt",), topologies=("mlp",), peers=ANY, backends=NONE
    ),
    Selection(("crossover",), peers=_EVENTS, backends=NONE),
)
"""Three networks at the firing rates of their tasks: wide and short, narrow and long, deep and long."""

ALL_CELLS = (
    *_conformance(ANY, ANY, ANY),
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
            *_COST,
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
    *_LIBRARIES,
    Selection(("training",), ANY, methods=("bptt",), topologies=("mlp",), peers=ANY, backends=NONE),
    Selection(("crossover",), peers=_EVENTS, backends=NONE),
)
"""Every combination there is: what a cell that is named axis by axis is looked up in."""

PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "smoke",
            "A handful of cells with tiny budgets: is everything connected? Seconds.",
            "smoke",
            (
                *_conformance(("lif", "psn"), ("bptt", "ottt-a"), ()),
                Selection(("accuracy", "spikes", *_COST), ("digits",), ("lif", "psn"), ("bptt",), ("mlp",), seeds=1),
                Selection(("accuracy", "memory"), ("digits",), ("lif",), ("ottt-a",), ("mlp",), seeds=1),
            ),
        ),
        Preset(
            "quick",
            (
                "Contract of every row; accuracy (3 seeds) and cost of a neuron and a method of every file, but QCFS, "
                "HSD and TTFS for all conversions, PMSN for all state-space layers, and no forward gradient or STDP; a "
                "few rows in other suites. Minutes on a laptop."
            ),
            "quick",
            (
                *_conformance(ANY, ANY, ("lif",)),
                # Neurons under BPTT, methods under IF: the two axes of the leaderboard. They train for a second or two,
                # less than it takes to compile and check the kernels of each neuron; those of LIF are checked anyway.
                Selection(("accuracy",), ("digits",), _QUICK_NEURONS, ("bptt",), ("mlp",), seeds=3),
                *(
                    Selection(("accuracy",), ("digits",), ("if",), methods, on, seeds=3)
                    for methods, on in _QUICK_METHODS
                ),
                Selection(("accuracy",), _STREAMED_DIGITS, ("lif", "psn"), ("bptt",), ("mlp",), FASTEST, seeds=3),
                Selection(("accuracy",), ("digits",), ("lif",), ("bptt",), ("conv", "skip-mlp"), FASTEST, seeds=3),
                Selection(("accuracy",), ("digits",), ("if",), ("bptt", "t-revsnn"), ("reversible",), seeds=3),
                Selection(("tracking",), ("two-sines",), POOL, BASES, RESERVOIR, seeds=3),
                Selection(("spikes", *_COST), ("digits",), _QUICK_NEURONS, ("bptt",), ("mlp",)),
                *(Selection(("spikes", *_COST), ("digits",), ("if",), methods, on) for methods, on in _QUICK_METHODS),
                Selection(("anytime",), ("digits",), ("if",), *_QUICK_METHODS[0]),
                Selection(("spikes", *_COST), ("digits",), ("if",), ("bptt", "t-revsnn"), ("reversible",)),
                Selection(("accuracy",), ("digits",), ("if",), ("ttfs",), ("mlp",), seeds=3),
                Selection(("spike_times",), ("digits",), ("if",), ("ttfs",), ("mlp",)),
                Selection(("spikes", "memory"), _STREAMED_DIGITS, _ONE_OF_EACH, ("bptt",), ("mlp",)),
                Selection(("throughput",), ("digits",), ("lif",), ("bptt",), ("mlp",), FASTER),
                Selection(("memory",), ("digits",), ("lif",), ("bptt",), ("mlp",), ("fused-*",)),
                Selection(("time_to_target",), ("digits",), _ONE_OF_EACH, ("bptt",), ("mlp",)),
                *(Selection(("time_to_target",), ("digits",), ("if",), methods, on) for methods, on in _QUICK_METHODS),
                Selection(("robustness", "over_time"), ("digits",), _ONE_OF_EACH, ("bptt",), ("mlp",)),
                Selection(("accuracy", "spikes"), ("digits-events",), ("lif",), ("bptt",), ("hybrid-conv",)),
                Selection(("streaming",), ("digits-events",), ("lif",), ("bptt",), ("mlp", "hybrid-conv")),
                Selection(("frontier",), ("digits",), ("if", "lif"), ("bptt",), ("mlp",)),
                *_IMAGES_IN_QUICK,
                Selection(("scaling",), ("digits-rows",), _ONE_OF_EACH, ("bptt",), ("mlp",)),
                *(
                    Selection(("scaling",), ("digits-rows",), ("if",), methods, on)
                    for methods, on in _QUICK_METHODS[:2]
                ),
            ),
        ),
        Preset(
            "new",
            (
                "A row of one's own (--neuron NAME or --method NAME) on three embedded tasks, two of which tell rows "
                "apart, 3 seeds; ends in its place among the published rows. Under a minute for a neuron."
            ),
            "quick",
            (
                *_conformance(ANY, ANY, ()),
                # On the named neuron: filters leave no IF to judge the method on, and no row is verified without it.
                Selection(("conformance",), neurons=ANY, methods=("bptt",), topologies=("mlp",), dtype="float64"),
                Selection(("accuracy",), _TELLING, ANY, ("bptt",), ("mlp",), seeds=3),
                Selection(("accuracy",), _TELLING, ("if",), ANY, ("mlp",), seeds=3),
            ),
        ),
        Preset(
            "neurons",
            "A neuron of every file and its matched row on the tasks that decide, 3 seeds to convergence; hours.",
            "standard",
            (
                *_conformance(ANY, (), ANY),
                *_deciding(("accuracy",), (*FOR_NEURONS, *BESIDE), neurons=ROWS, methods=("bptt",), seeds=3),
                *_deciding(("spikes", "frontier"), FOR_NEURONS, neurons=ROWS, methods=("bptt",), seeds=3),
                *_deciding(("robustness", "over_time"), FOR_NEURONS, neurons=ROWS, methods=("bptt",), seeds=3),
                *_deciding(("time_to_target",), FOR_NEURONS, EAGER, neurons=ROWS, methods=("bptt",), seeds=3),
            ),
        ),
        Preset(
            "depth",
            "A neuron of every file and its matched row on networks of 2, 4 and 8 layers, 3 seeds; hours on a CPU.",
            "standard",
            (
                *_conformance(ANY, (), ANY),
                Selection(("accuracy",), ("smnist-rows",), ROWS, ("bptt",), DEPTHS, FASTEST, seeds=3),
            ),
        ),
        Preset(
            "methods",
            "A training method of every file on the tasks that decide, with IF, 3 seeds to convergence; hours.",
            "standard",
            (
                *_conformance(("if",), ANY, ("if",)),
                *_deciding(("accuracy",), FOR_METHODS, neurons=("if",), methods=BASES, further=OTHER_NETWORKS, seeds=3),
                *_deciding(
                    ("spikes", "frontier"), FOR_METHODS, neurons=("if",), methods=BASES, further=OTHER_NETWORKS, seeds=3
                ),
                *_deciding(("anytime",), FOR_METHODS, neurons=("if",), methods=BASES, further=OTHER_NETWORKS),
                *_deciding(
                    (*_COST, "time_to_target"),
                    FOR_METHODS,
                    EAGER,
                    neurons=("if",),
                    methods=BASES,
                    further=OTHER_NETWORKS,
                ),
            ),
        ),
        Preset(
            "conversion",
            "Every way from an ANN to a spiking network, read at 1 to 256 steps, 3 seeds to the end; hours on a CPU.",
            "standard",
            (
                *_conformance(("if",), _CONVERSIONS, ()),
                Selection(
                    ("accuracy", "anytime", "spike_times"),
                    ("mnist", "fashion-mnist"),
                    ("if",),
                    (*_CONVERSIONS, "cutoff"),
                    ("mlp", "conv"),
                    seeds=3,
                ),
            ),
        ),
        Preset(
            "streaming",
            "Spiking networks and hybrids on event cameras: both rollouts, detection; 3 seeds to convergence, hours.",
            "standard",
            (
                *_conformance(_STREAMED, ("bptt", "bptt-tet"), ()),
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
        ),
        Preset(
            "layers",
            "Parallel neurons against T and N, beside LIF step by step and fused; half an hour.",
            "quick",
            (*_conformance(("lif", *PARALLEL), (), ()), *_LAYERS),
        ),
        Preset(
            "graphs",
            "Every system that completes facts of a knowledge graph, on the generated ones, 3 seeds; minutes a core.",
            "quick",
            (
                Selection(("system_conformance",), systems=ANY, backends=NONE),
                Selection(("link_prediction",), _GRAPHS[:2], systems=ANY, backends=NONE, seeds=3),
            ),
        ),
        Preset(
            "control",
            "Every actor in gymnasium's classic control, 3 seeds; minutes a core, and the extra 'control'.",
            "quick",
            (
                Selection(("system_conformance",), systems=ANY, backends=NONE),
                Selection(("control",), _ENVIRONMENTS, systems=ANY, backends=NONE, seeds=3),
            ),
        ),
        Preset(
            "libraries",
            "Other libraries' LIF beside ours, alternating; minutes. Install them with: python -m nox -s peers.",
            "quick",
            _LIBRARIES,
        ),
        Preset(
            "video",
            "Video and optical flow from events: networks, ANNs and trivial answers, 3 seeds; half an hour on a core.",
            "quick",
            (
                Selection(("system_conformance",), systems=ANY, backends=NONE),
                Selection(("video", "flow"), ANY, systems=ANY, backends=NONE, seeds=3),
            ),
        ),
        Preset(
            "steps",
            "Whole training steps in every library, and speed against the density of spikes; a quarter of an hour.",
            "standard",
            (
                _PEERS,
                Selection(("conformance",), neurons=("if",), methods=("bptt",), topologies=("mlp",), dtype="float64"),
                *_STEPS,
            ),
        ),
        Preset(
            "standard",
            "Every implementation to convergence on every set that is present, 5 seeds; for a GPU, days on a CPU.",
            "standard",
            (
                *_conformance(ANY, ANY, ANY),
                Selection(("accuracy",), _SETS, ANY, ("bptt",), ("mlp", "conv"), FASTEST, seeds=5),
                Selection(("accuracy",), _SETS, ("if", "lif"), ANY, TRAINED, FASTEST, seeds=5),
                Selection(("tracking",), ("two-sines", "accordion"), POOL, ANY, RESERVOIR, seeds=5),
                Selection(("system_conformance",), systems=ANY, backends=NONE),
                Selection(("link_prediction",), _GRAPHS, systems=ANY, backends=NONE, seeds=5),
                Selection(("control",), _ENVIRONMENTS, systems=ANY, backends=NONE, seeds=5),
                Selection(("spikes", "frontier"), _SETS, ANY, ("bptt",), ("mlp", "conv"), FASTEST, seeds=5),
                Selection(("spikes", "frontier"), _SETS, ("if", "lif"), ANY, TRAINED, FASTEST, seeds=5),
                Selection((*_COST, "scaling"), _COSTED, ANY, ("bptt",), ("mlp", "conv"), ("eager", *FASTER)),
                Selection((*_COST, "scaling"), _COSTED, ("if", "lif"), ANY, TRAINED),
                Selection(("time_to_target",), _COSTED, ANY, ("bptt",), ("mlp", "conv"), ("eager", *FASTER), seeds=3),
                Selection(("time_to_target",), _COSTED, ("if", "lif"), ANY, TRAINED, seeds=3),
            ),
        ),
        Preset(
            "full",
            "Every combination there is, to convergence, 3 seeds; for many GPUs, or with filters.",
            "standard",
            ALL_CELLS,
        ),
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
