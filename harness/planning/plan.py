"""What to run: presets and filters become cells, less what is done, what is impossible and what lacks its data.

A plan is data; it can be shown (``--dry-run``) or handed to a pool. Must not import torch. Which combinations there
are is ``expansion``'s.
"""

from __future__ import annotations

import functools
import operator
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.catalogue.cards import Registry
from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.catalogue.presets.model import Preset
from harness.errors import UserError
from harness.planning.durations import Durations, History, no_history
from harness.planning.expansion import DTYPES, Combinations, Filters, Impossible, NothingLeftError, combinations
from harness.results.fingerprint import code_hash
from harness.results.store import CODE_DIGITS, Finished, Store
from reference_impls.names import unknown_message

__all__ = [
    "DTYPES",
    "GATE",
    "Filters",
    "Impossible",
    "NothingLeftError",
    "Plan",
    "PlannedCell",
    "make_plan",
    "plan_cells",
]

GATE = "conformance"
DEFAULT_BUDGET = "quick"
SUITE_ORDER = (
    "conformance",
    "system_conformance",
    "accuracy",
    "tracking",
    "link_prediction",
    "control",
    "spikes",
    "frontier",
    "anytime",
    "spike_times",
    "video",
    "flow",
    "detection",
    "over_time",
    "streaming",
    "robustness",
    "memory",
    "throughput",
    "scaling",
    "time_to_target",
    "libraries",
    "training",
    "crossover",
)
"""The gate first; what others build on (trained weights) before them; what needs the machine to itself last."""


_axes = operator.attrgetter(*Cell.__dataclass_fields__)
"""A tuple is compared faster than a dataclass, and there may be a hundred thousand cells."""


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """A cell that is to be run."""

    cell: Cell
    estimated_seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run, and what is not and why."""

    todo: tuple[PlannedCell, ...]
    done: tuple[Cell, ...]
    impossible: tuple[Impossible, ...]
    """What the cards rule out; nothing is recorded of it, because the cards say it again at any time."""
    missing: Mapping[str, int]
    """Data set -> number of cells that wait for it."""

    @property
    def estimated_seconds(self) -> float:
        """Return the sum over cells, as if each ran alone."""
        return sum(planned.estimated_seconds for planned in self.todo)


def make_plan(
    registry: Registry,
    store: Store,
    machine: str,
    *,
    preset: Preset | None,
    budget: str | None,
    filters: Filters,
    device: str,
    cores: int,
    data_present: Callable[[str], bool],
    history: History = no_history,
    again: bool = False,
) -> Plan:
    """Expand, filter, and subtract what is done.

    Parameters
    ----------
    rows : what exists.
    store : what is done, under the name of this `machine`.
    preset : where the cells come from; None: every combination there is (then name a budget).
    budget : training budget; None: the preset's.
    device : ``cpu`` or ``cuda``.
    cores : threads of suites that have the machine to themselves.
    data_present : whether a data set is there.
    history : how long cells took, on any machine.
    again : plan done cells too.

    Raises
    ------
    UserError
        If a name is not known, or the filters leave nothing; the message says which filter.
    """
    name = budget or (preset.budget if preset else DEFAULT_BUDGET)
    budgets = {known for task in registry.tasks for known in registry.task(task).budgets}
    if name not in budgets:
        raise UserError(unknown_message("budget", name, budgets), "a task's card lists its budgets")
    found = combinations(registry, preset=preset, budget=name, filters=filters, device=device, cores=cores)
    finished = done_in(store, machine, registry)

    def is_done(cell: Cell) -> bool:
        return not again and finished(cell)

    plan = sort_out(_gated(found), registry, is_done, data_present, Durations(history, registry))
    return replace(
        plan,
        todo=tuple(sorted(plan.todo, key=lambda planned: _order(planned.cell))),
        done=tuple(sorted(plan.done, key=_order)),
        impossible=_impossible(found),
    )


def plan_cells(cells: Iterable[Cell], registry: Registry) -> list[PlannedCell]:
    """Plan cells that are chosen already, whatever is done of them."""
    return [PlannedCell(cell, registry.suite(cell.suite).typical_seconds) for cell in cells]


def _order(cell: Cell) -> tuple[int, int, tuple[str, ...]]:
    """Put every row's first seed before anybody's second: figures of all rows come soon, and a kernel compiles once."""
    place = SUITE_ORDER.index(cell.suite) if cell.suite in SUITE_ORDER else len(SUITE_ORDER)
    return place, cell.seed, _axes(cell)


def _gated(found: Combinations) -> list[Cell]:
    """Keep of the conformance gate what the work stands behind: eager is what other backends are compared with."""
    if found.suites <= {GATE}:
        return list(found.possible)
    work = [cell for cell in found.possible if cell.suite != GATE]
    neurons = {(cell.neuron, backend) for cell in work for backend in (cell.backend, "eager")}
    methods = {(cell.method, cell.topology) for cell in work}
    gate = [
        cell
        for cell in found.possible
        if cell.suite == GATE
        and (
            (cell.neuron, cell.backend) in neurons
            if cell.method == NOT_APPLICABLE
            else (cell.method, cell.topology) in methods
        )
    ]
    return gate + work


def _impossible(found: Combinations) -> tuple[Impossible, ...]:
    """Return what cannot be run; of a gate that stands before work, nobody asked for the rest."""
    asked_for = found.suites - {GATE} or found.suites
    return tuple(one for one in found.impossible if asked_for.intersection(one.suites))


def done_in(store: Store, machine: str, registry: Registry) -> Callable[[Cell], bool]:
    """Return what tells whether a cell is done with today's code; that is worked out only for cells with a record."""
    finished = Finished(store, machine)

    def is_done(cell: Cell) -> bool:
        codes = finished.codes(cell)
        return bool(codes) and code_hash(cell, registry)[:CODE_DIGITS] in codes

    return is_done


def sort_out(
    cells: Sequence[Cell],
    registry: Registry,
    is_done: Callable[[Cell], bool],
    data_present: Callable[[str], bool],
    seconds: Durations,
) -> Plan:
    """Tell apart what is to be run, what is done, and what waits for its data."""
    todo, done = [], []
    missing: dict[str, int] = defaultdict(int)
    present = functools.cache(data_present)
    for cell in cells:
        if is_done(cell):
            done.append(cell)
        elif (data := _data_of(cell, registry)) is not None and not present(data):
            missing[data] += 1
        else:
            todo.append(PlannedCell(cell, seconds.of(cell)))
    return Plan(tuple(todo), tuple(done), (), dict(sorted(missing.items())))


def _data_of(cell: Cell, registry: Registry) -> str | None:
    """Return the data set that a cell needs; None if it needs none, or its task reads data of its own."""
    return None if cell.task == NOT_APPLICABLE else registry.task(cell.task).data
