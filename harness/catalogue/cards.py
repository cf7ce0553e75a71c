"""What there is: cards of tasks and suites, the rows that cards stand for, and the registry of all rows.

Neurons, training methods, topologies, peers and systems come from ``reference_impls`` (and from installed packages),
whose `Card` is there; tasks and suites from ``harness``. How cards are read is `harness.catalogue.loading`'s.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from harness.catalogue.cell import DEFAULT_RECIPE, Cell
from harness.catalogue.recipes import Recipe, Recipes, combination_of
from reference_impls.card import (
    Card,
    CardError,
    Citation,
    NeuronCapabilities,
    PeerCapabilities,
    Reported,
    SystemCapabilities,
    TopologyCapabilities,
    TrainingCapabilities,
    Variant,
)

__all__ = ["CAPABILITIES", "Budget", "MetricCard", "Registry", "Row", "SuiteCard", "TaskCard"]

Direction = Literal["lower", "higher", "none"]
TargetKind = Literal["classes", "signal", "frames", "flow", "boxes", "links", "control"]


@dataclass(frozen=True, slots=True)
class Budget:
    """How long and how a task trains under one preset."""

    epochs: int
    batch_size: int
    learning_rate: float = 1e-3
    optimizer: Literal["adam", "sgd"] = "adam"
    train_limit: int | None = None
    """Use only the first so many training samples (None: all)."""
    test_limit: int | None = None
    target_error: float | None = None
    """Validation error that training is timed to under this budget; from the file of targets, not from the card."""


@dataclass(frozen=True, slots=True)
class TaskCard:
    """Data set + split + encoding + T + network + training budget, under one version."""

    name: str
    kind: Literal["task"]
    title: str
    summary: str
    version: int
    data: str | None
    """Name of the data set (``spikeboard data`` lists them); ``embedded`` ones need no files. None: the task's `load`
    reads data of its own, and says what is missing."""
    T: int
    sample_shape: tuple[int, ...]
    """Shape of one sample at one time step."""
    classes: int
    input_kind: Literal["analog", "events"]
    """Whether an encoded sample holds values to be multiplied, or spikes (0, 1, or counts of them)."""
    encoding: str
    split: str
    networks: Mapping[str, Mapping[str, Any]]
    """For each topology that fits, its parameters."""
    budgets: Mapping[str, Budget]
    target: TargetKind = "classes"
    """Whether a sample has a class, a signal with `classes` components that goes on at every step, or something for
    every window of steps, of `classes` components: for each pixel intensity (``frames``) or optical ``flow``, for each
    place of a grid ``boxes``. Or whether the task is a knowledge graph of `classes` entities, or an environment with
    `classes` components of an action."""
    step_seconds: float | None = None
    """Duration of a time step, where a task has one."""
    target_error: float = 0.1
    """Validation error (a fraction) that training is timed to where no target has been found for a budget."""
    citations: tuple[Citation, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    variants: Mapping[str, Variant] = field(default_factory=dict)
    reported: tuple[Reported, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MetricCard:
    """What a figure of a suite is called, in which unit, and which way is better."""

    title: str
    unit: str
    direction: Direction
    short: str = ""
    """Heading in a narrow table; empty: the title."""
    exact: bool = False
    """Whether the same code must give the same figure, so that any change is a change."""
    judged: bool = True
    """Whether a comparison judges it: not what tells of the machine alone, nor what restates another metric."""
    bounds: tuple[float | None, float | None] | None = None
    """Least and greatest value that can be, None for no bound; left out: what the unit says (a fraction is a share)."""


@dataclass(frozen=True, slots=True)
class SuiteCard:
    """One question asked of everything."""

    name: str
    kind: Literal["suite"]
    title: str
    summary: str
    version: int
    exclusive: bool
    """Whether a cell must have the machine to itself, because it measures time."""
    timeout_seconds: float
    typical_seconds: float
    """Guess for a dry run where nothing has been measured yet."""
    metrics: Mapping[str, MetricCard]
    targets: tuple[TargetKind, ...] = ("classes",)
    """Kinds of target that the question can be asked about."""
    baseline: Mapping[str, str] = field(default_factory=dict)
    """Rows that are measured beside the cell's own, by axis (``neuron``, ``method``): figures depend on them too."""
    asks: tuple[str, ...] = ()
    """Capabilities that a training method must have (``anytime``): without them the question makes no sense."""

    @property
    def timed(self) -> bool:
        """Whether the figures are times, which a neighbour on the machine would spoil."""
        return self.exclusive and any("second" in metric.unit for metric in self.metrics.values())

    @property
    def of_machine(self) -> bool:
        """Whether the figures tell of the machine: of its speed, or of what its system keeps in memory."""
        peaks = any(metric.unit == "bytes" and not metric.exact for metric in self.metrics.values())
        return self.exclusive or peaks


AnyCard = Card | TaskCard | SuiteCard
CAPABILITIES: Mapping[str, type] = {
    "neuron": NeuronCapabilities,
    "training": TrainingCapabilities,
    "topology": TopologyCapabilities,
    "peer": PeerCapabilities,
    "system": SystemCapabilities,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One row: a card, or one of its variants."""

    name: str
    kind: str
    title: str
    summary: str
    card: AnyCard
    params: Mapping[str, Any]
    capabilities: Any
    """NeuronCapabilities, TrainingCapabilities, ... by kind; None for tasks and suites."""
    path: Path
    module: str
    changes: str = ""
    """Of a neuron, what it changes relative to `lif`, in a phrase."""


@dataclass(frozen=True, slots=True)
class Registry:
    """All rows, by kind and name, and the cards that could not be used."""

    neurons: Mapping[str, Row]
    methods: Mapping[str, Row]
    topologies: Mapping[str, Row]
    tasks: Mapping[str, Row]
    suites: Mapping[str, Row]
    problems: tuple[CardError, ...]
    peers: Mapping[str, Row] = field(default_factory=dict)
    """Neurons out of other libraries; in a cell they stand on the axis ``neuron``."""
    recipes: Recipes = field(default_factory=dict)
    systems: Mapping[str, Row] = field(default_factory=dict)
    """Whole systems, which bring their own training; in a cell they stand on the axis ``neuron``, too."""

    @property
    def cell_neurons(self) -> Mapping[str, Row]:
        """Return what the axis ``neuron`` of a cell can name: ours, the peers and the systems."""
        return {**self.systems, **self.peers, **self.neurons}

    def task(self, name: str) -> TaskCard:
        """Return the card of task row `name`."""
        card = self.tasks[name].card
        assert isinstance(card, TaskCard)
        return card

    def network(self, task: str, name: str) -> Mapping[str, Any] | None:
        """Return the parameters of a topology or a system on a task, or None if the task defines no such network.

        Rows of one system's file have the same sizes.
        """
        networks = self.task(task).networks
        topology = self.topologies.get(name)
        sized_as = self.systems[name].card.name if topology is None else topology.capabilities.sized_as
        return networks.get(name, networks.get(sized_as) if sized_as else None)

    def recipe(self, cell: Cell) -> Recipe | None:
        """Return the recipe that `cell` names; None for the default, and where there is none for its combination."""
        return self.recipes.get(cell.recipe, {}).get(combination_of(cell))

    def for_cell(self, cell: Cell) -> Registry:
        """Return the rows without the recipes of other cells: there are hundreds, and every process is handed them."""
        recipe = self.recipe(cell)
        return replace(self, recipes={} if recipe is None else {cell.recipe: {recipe.combination: recipe}})

    @property
    def recipe_names(self) -> tuple[str, ...]:
        """Return what the axis ``recipe`` of a cell can name."""
        return DEFAULT_RECIPE, *sorted(self.recipes)

    def parameters(self, axis: str, name: str) -> Collection[str] | None:
        """Return the parameters that the card of a neuron, method or topology names; None if there is no such row."""
        row = {"neuron": self.neurons, "method": self.methods, "topology": self.topologies}[axis].get(name)
        if row is None:
            return None
        assert isinstance(row.card, Card)
        return {*row.params, *row.card.space}

    def suite(self, name: str) -> SuiteCard:
        """Return the card of suite `name`."""
        card = self.suites[name].card
        assert isinstance(card, SuiteCard)
        return card
