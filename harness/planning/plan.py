"""What to run: presets and filters become cells, less what is done, what is impossible and what lacks its data.

A plan is data; it can be shown (``--dry-run``) or handed to a pool. Must not import torch.
"""

from __future__ import annotations

import fnmatch
import functools
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace

from harness.catalogue.cards import Row, Rows, match
from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.presets import ALL_CELLS, BASES, FASTEST, PARALLEL, Preset, Selection
from harness.errors import UserError
from harness.planning.durations import Durations
from harness.results.fingerprint import code_hash
from harness.results.record import Record
from harness.results.store import Store
from reference_impls import backends
from reference_impls.names import unknown_message

__all__ = ["DTYPES", "Filters", "NothingLeftError", "Plan", "Planned", "make_plan"]

GATE = "conformance"
DEFAULT_BUDGET = "quick"
DTYPES = ("float32", "float64", "bfloat16", "float16")
SUITE_ORDER = (
    "conformance",
    "accuracy",
    "tracking",
    "spikes",
    "throughput",
    "memory",
    "scaling",
    "time_to_target",
    "libraries",
)
"""The gate first; what others build on (trained weights) before them; what needs the machine to itself last."""


class NothingLeftError(UserError):
    """Filters that a preset's cells have nothing in common with."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Patterns per axis; an empty tuple lets everything through."""

    suite: tuple[str, ...] = ()
    task: tuple[str, ...] = ()
    neuron: tuple[str, ...] = ()
    method: tuple[str, ...] = ()
    topology: tuple[str, ...] = ()
    backend: tuple[str, ...] = ()
    dtype: tuple[str, ...] = ()
    seed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """A cell that is to be run."""

    cell: Cell
    code_hash: str
    estimated_seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run, and what is not and why."""

    todo: tuple[Planned, ...]
    done: tuple[Cell, ...]
    unsupported: tuple[tuple[Cell, str, str], ...]
    """(cell, code hash, sentence)."""
    missing: Mapping[str, int]
    """Data set -> number of cells that wait for it."""

    @property
    def estimated_seconds(self) -> float:
        """Return the sum over cells, as if each ran alone."""
        return sum(planned.estimated_seconds for planned in self.todo)


def make_plan(
    rows: Rows,
    store: Store,
    machine: str,
    *,
    preset: Preset | None,
    budget: str | None,
    filters: Filters,
    device: str,
    cores: int,
    data_present: Callable[[str], bool],
    history: Iterable[Record] = (),
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
    history : records to estimate durations from, of any machine.
    again : plan done cells too.

    Raises
    ------
    UserError
        If a name is not known, or the filters leave nothing; the message says which filter.
    """
    name = budget or (preset.budget if preset else DEFAULT_BUDGET)
    budgets = {known for task in rows.tasks for known in rows.task(task).budgets}
    if name not in budgets:
        raise UserError(unknown_message("budget", name, budgets), "a task's card lists its budgets")
    products = [_axes(selection, rows, name) for selection in (ALL_CELLS if preset is None else preset.selections)]
    _narrow(products, rows, filters, preset)
    everything = {cell for axes in products for cell in _expand(axes, rows, name, device, cores, filters.seed)}
    chosen = sorted(_gated(everything), key=_order)

    def is_done(cell: Cell, code: str) -> bool:
        return not again and store.has(cell, machine, code)

    return sort_out(chosen, rows, is_done, data_present, Durations(history, rows))


@dataclass(slots=True)
class _Axes:
    """A selection with its patterns resolved: the product of these names are its cells."""

    names: dict[str, list[str]]
    seeds: int


def _axes(selection: Selection, rows: Rows, budget: str) -> _Axes:
    """Resolve the patterns of a selection; one that matches nothing contributes nothing."""
    tasks = [task for task in _select(selection.tasks, rows.tasks) if _has_budget(task, budget, rows)]
    names = {
        "suite": _select(selection.suites, rows.suites),
        "task": tasks,
        "neuron": _select_rows(selection.peers or selection.neurons, rows.peers if selection.peers else rows.neurons),
        "method": _select_rows(selection.methods, rows.methods),
        "topology": _select(selection.topologies, rows.topologies),
        "backend": [*FASTEST] if selection.backends == FASTEST else _select(selection.backends, backends.names()),
        "dtype": [selection.dtype],
    }
    return _Axes(names, selection.seeds)


def _narrow(products: Sequence[_Axes], rows: Rows, filters: Filters, preset: Preset | None) -> None:
    """Apply the filters, axis after axis, before anything is multiplied out: there are millions of cells."""
    known: dict[str, Iterable[str]] = {
        "suite": rows.suites,
        "task": rows.tasks,
        "neuron": rows.cell_neurons,
        "method": rows.methods,
        "topology": rows.topologies,
        "backend": backends.names(),
        "dtype": DTYPES,
    }
    for axis, names in known.items():
        patterns: tuple[str, ...] = getattr(filters, axis)
        if not patterns:
            continue
        allowed = {NOT_APPLICABLE, *match(axis, patterns, dict.fromkeys(names))}
        for axes in products:
            if axis == "backend" and axes.names[axis] == [*FASTEST]:
                axes.names[axis] = [*names]  # who names a backend need not be given the fastest
        offered = {name for axes in products if all(axes.names.values()) for name in axes.names[axis]}
        for axes in products:
            axes.names[axis] = [name for name in axes.names[axis] if name in allowed]
        left = {name for axes in products if all(axes.names.values()) for name in axes.names[axis]}
        if not left - {NOT_APPLICABLE}:
            _nothing_left(axis, patterns, sorted(offered - {NOT_APPLICABLE}), preset)


def _expand(axes: _Axes, rows: Rows, budget: str, device: str, cores: int, seeds: Sequence[int]) -> Iterator[Cell]:
    """Yield the product of a selection."""
    for suite, task, neuron, method, topology, backend, dtype in itertools.product(*axes.names.values()):
        cell = Cell(
            suite=suite,
            task=task,
            neuron=neuron,
            method=method,
            topology=topology,
            backend=backend,
            device=device,
            dtype=dtype,
            budget=NOT_APPLICABLE if task == NOT_APPLICABLE else budget,
            threads=cores if rows.suite(suite).exclusive else 1,
        )
        if backend in FASTEST:
            cell = _with_fastest_backend(cell, rows)
        for seed in seeds or range(axes.seeds):
            yield replace(cell, seed=seed)


def _with_fastest_backend(cell: Cell, rows: Rows) -> Cell:
    """Return `cell` with the first backend that can run its neuron, the fastest first.

    A method that updates at every step calls the step itself, which no backend replaces.
    """
    method = rows.methods.get(cell.method)
    if method is None or method.capabilities.updates == "per_batch":
        for name in ("fused-cupy", "fused-numba"):
            faster = replace(cell, backend=name)
            if why_unsupported(faster, rows) is None:
                return faster
    return replace(cell, backend="eager")


def _select(patterns: Sequence[str], known: Iterable[str]) -> list[str]:
    """Return the known names that a pattern matches; an axis that does not apply is selected as such."""
    if NOT_APPLICABLE in patterns:
        return [NOT_APPLICABLE]
    return [name for name in known if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def _select_rows(patterns: Sequence[str], known: Mapping[str, Row]) -> list[str]:
    """Return the names that a pattern matches, and those that `BASES` and `PARALLEL` mean; ``!pattern`` takes away."""
    wanted = [pattern for pattern in patterns if not pattern.startswith(("!", "@"))]
    if BASES[0] in patterns:
        wanted += [name for name, row in known.items() if row.card.name == name]
    if PARALLEL[0] in patterns:
        wanted += _one_of_each_parallel_form(known)
    unwanted = _select([pattern[1:] for pattern in patterns if pattern.startswith("!")], known)
    return [name for name in _select(wanted, known) if name not in unwanted]


def _one_of_each_parallel_form(neurons: Mapping[str, Row]) -> list[str]:
    """Return the neurons that compute all steps at once, of a file's rows with equal capabilities the first."""
    first: dict[tuple[object, ...], str] = {}
    for name, row in neurons.items():
        if row.capabilities.parallel != "sequential":
            first.setdefault((row.card.name, *astuple(row.capabilities)), name)
    return list(first.values())


def _has_budget(task: str, budget: str, rows: Rows) -> bool:
    return task == NOT_APPLICABLE or budget in rows.task(task).budgets


def _order(cell: Cell) -> tuple[int, int, Cell]:
    """Put every row's first seed before anybody's second: figures of all rows come soon, and a kernel compiles once."""
    place = SUITE_ORDER.index(cell.suite) if cell.suite in SUITE_ORDER else len(SUITE_ORDER)
    return place, cell.seed, cell


def _gated(cells: Iterable[Cell]) -> list[Cell]:
    """Keep of the conformance gate what the work stands behind: eager is what other backends are compared with."""
    remaining = list(cells)
    work = [cell for cell in remaining if cell.suite != GATE]
    if not work:
        return remaining
    neurons = {(cell.neuron, backend) for cell in work for backend in (cell.backend, "eager")}
    methods = {(cell.method, cell.topology) for cell in work}
    gate = [
        cell
        for cell in remaining
        if cell.suite == GATE
        and (
            (cell.neuron, cell.backend) in neurons
            if cell.method == NOT_APPLICABLE
            else (cell.method, cell.topology) in methods
        )
    ]
    return gate + work


def _nothing_left(axis: str, patterns: Sequence[str], offered: Sequence[str], preset: Preset | None) -> None:
    asked = ", ".join(map(repr, patterns))
    where = f"preset {preset.name!r}" if preset else "what there is"
    hint = "add --budget quick to choose from every combination there is, or try another --preset"
    raise NothingLeftError(
        f"no cell of {where} has the {axis} {asked}; left to choose from: {', '.join(offered) or 'none'}", hint
    )


def sort_out(
    cells: Sequence[Cell],
    rows: Rows,
    is_done: Callable[[Cell, str], bool],
    data_present: Callable[[str], bool],
    seconds: Durations,
) -> Plan:
    """Tell apart what is to be run, is done, is impossible, and waits for its data."""
    todo, done, unsupported = [], [], []
    missing: dict[str, int] = defaultdict(int)
    present = functools.cache(data_present)
    for cell in cells:
        code = code_hash(cell, rows)
        reason = why_unsupported(cell, rows)
        if is_done(cell, code):
            done.append(cell)
        elif reason is not None:
            unsupported.append((cell, code, reason))
        elif cell.task != NOT_APPLICABLE and not present(rows.task(cell.task).data):
            missing[rows.task(cell.task).data] += 1
        else:
            todo.append(Planned(cell, code, seconds.of(cell)))
    return Plan(tuple(todo), tuple(done), tuple(unsupported), dict(missing))
