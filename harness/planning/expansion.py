"""Which combinations there are: selections become cells axis by axis, and what the cards forbid is cut off early.

Every combination of everything is hundreds of millions of cells, nearly all of them impossible. So an axis is added to
a partial cell, the cards are asked, and a branch that they forbid is counted instead of being multiplied out. Must not
know what is done, nor import torch.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from importlib.util import find_spec

from harness.catalogue.cards import Registry, Row
from harness.catalogue.cell import DEFAULT_RECIPE, NOT_APPLICABLE, Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import match
from harness.catalogue.presets.everything import ALL_CELLS
from harness.catalogue.presets.model import BASES, FASTEST, PARALLEL, Preset, Selection
from harness.catalogue.recipes import FRESH_SEEDS, TUNED, TUNING_SEEDS, is_tuning_seed, trains
from harness.errors import UserError
from reference_impls import backends

__all__ = ["Combinations", "Filters", "Impossible", "NothingLeftError", "combinations"]

DTYPES = ("float32", "float64", "bfloat16", "float16")
ORDER = ("task", "topology", "method", "neuron", "backend", "suite")
"""Axes in the order in which they are added: what rules out most comes first. The number format is always given."""
FUSED_WITH = {"fused-cupy": "cupy", "fused-numba": "numba"}
"""Backends that are faster than eager where they run -> the library that compiles for them."""
UNDECIDED = ""
"""The suite of a cell that has none yet; no suite is called so."""


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
    recipe: tuple[str, ...] = ()
    """Recipes in place of the selection's."""


@dataclass(frozen=True, slots=True)
class Impossible:
    """Combinations that the cards rule out by one sentence."""

    cell: Cell
    """What they have in common; an axis that the sentence does not need is not decided."""
    suites: tuple[str, ...]
    """Suites that would have asked."""
    reason: str
    cells: int
    """How many combinations that is; one that two selections of a preset name counts for each."""


@dataclass(slots=True)
class Combinations:
    """What the selections of a preset come to, once filtered."""

    suites: set[str] = field(default_factory=set)
    """Suites that are asked for, whether anything of them is possible or not."""
    possible: set[Cell] = field(default_factory=set)
    impossible: list[Impossible] = field(default_factory=list)


def combinations(
    registry: Registry, *, preset: Preset | None, budget: str, filters: Filters, device: str, cores: int
) -> Combinations:
    """Return the cells of `preset` (None: of everything) that `filters` let through.

    Raises
    ------
    NothingLeftError
        If the filters leave nothing; the message says which of them.
    """
    products = [
        _axes(selection, registry, budget) for selection in (ALL_CELLS if preset is None else preset.selections)
    ]
    _narrow(products, registry, filters, preset)
    found = Combinations()
    for axes in products:
        if all(axes.names.values()):
            found.suites.update(axes.names["suite"])
            start = Cell(UNDECIDED, device=device, dtype=axes.names["dtype"][0], budget=budget)
            for recipe in axes.recipes:
                seeds = filters.seed or tuple(range(_seeds(axes.seeds, recipe)))
                of_recipe = start.but(recipe=recipe)
                for cell in _possible(of_recipe, ORDER, axes, len(seeds), registry, found.impossible):
                    decided = _decided(cell, registry, cores)
                    found.possible.update(decided.but(seed=seed) if seed else decided for seed in seeds)
    return found


def _seeds(wanted: int, recipe: str) -> int:
    """Return how many seeds a selection comes to: where it repeats at all, what was tuned is judged on more."""
    return wanted if recipe == DEFAULT_RECIPE or wanted == 1 else max(wanted, FRESH_SEEDS)


def _decided(cell: Cell, registry: Registry, cores: int) -> Cell:
    """Return `cell` of seed 0 with what follows from the rest; what trains nothing has neither budget nor recipe."""
    return cell.but(
        budget=NOT_APPLICABLE if cell.task == NOT_APPLICABLE else cell.budget,
        recipe=cell.recipe if trains(cell) else DEFAULT_RECIPE,
        threads=cores if registry.suite(cell.suite).exclusive else 1,
    )


def _possible(
    cell: Cell, left: Sequence[str], axes: _Axes, seeds: int, registry: Registry, impossible: list[Impossible]
) -> Iterator[Cell]:
    """Yield every way to decide the axes `left` of `cell` that the cards allow; count the others as `impossible`."""
    if not left:
        yield cell
        return
    axis, *rest = left
    for name in axes.names[axis]:
        decided = _with_fastest_backend(cell, registry) if name in FASTEST else cell.but(**{axis: name})
        reason = why_unsupported(decided, registry, axis)
        if reason is None:
            yield from _possible(decided, rest, axes, seeds, registry, impossible)
        else:
            suites = (name,) if axis == "suite" else tuple(axes.names["suite"])
            further = math.prod(len(axes.names[other]) for other in rest)
            impossible.append(Impossible(decided, suites, reason, seeds * further))


@dataclass(slots=True)
class _Axes:
    """A selection with its patterns resolved: the product of these names are its cells."""

    names: dict[str, list[str]]
    seeds: int
    recipes: Sequence[str]


def _axes(selection: Selection, registry: Registry, budget: str) -> _Axes:
    """Resolve the patterns of a selection; one that matches nothing contributes nothing."""
    tasks = [task for task in _select(selection.tasks, registry.tasks) if _has_budget(task, budget, registry)]
    names = {
        "suite": _select(selection.suites, registry.suites),
        "task": tasks,
        "neuron": _select_rows(*_on_the_neurons_axis(selection, registry)),
        "method": _select_rows(selection.methods, registry.methods),
        "topology": _select(selection.topologies, registry.topologies),
        "backend": [*FASTEST] if selection.backends == FASTEST else _select(selection.backends, backends.names()),
        "dtype": [selection.dtype],
    }
    return _Axes(names, selection.seeds, selection.recipes)


def _on_the_neurons_axis(selection: Selection, registry: Registry) -> tuple[Sequence[str], Mapping[str, Row]]:
    """Return the patterns of what stands on the axis ``neuron``, and the rows that they are of."""
    if selection.systems:
        return selection.systems, registry.systems
    return (selection.peers, registry.peers) if selection.peers else (selection.neurons, registry.neurons)


def _narrow(products: Sequence[_Axes], registry: Registry, filters: Filters, preset: Preset | None) -> None:
    """Apply the filters, axis after axis, before anything is multiplied out: there are millions of cells."""
    known: dict[str, Iterable[str]] = {
        "suite": registry.suites,
        "task": registry.tasks,
        "neuron": registry.cell_neurons,
        "method": registry.methods,
        "topology": registry.topologies,
        "backend": backends.names(),
        "dtype": DTYPES,
    }
    _check_seeds(filters.seed)
    if filters.recipe:
        chosen = match("recipe", filters.recipe, dict.fromkeys((*registry.recipe_names, TUNED)))
        for axes in products:
            axes.recipes = chosen
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


def _check_seeds(seeds: Sequence[int]) -> None:
    kept = next((seed for seed in seeds if is_tuning_seed(seed)), None)
    if kept is not None:
        raise UserError(
            f"seed {kept} is kept for tuning ({TUNING_SEEDS.start} to {TUNING_SEEDS.stop - 1}): what has chosen a "
            "recipe cannot judge it",
            "name a seed below them",
        )


def _with_fastest_backend(cell: Cell, registry: Registry) -> Cell:
    """Return `cell` with the first backend that is installed and can run its neuron, the fastest first.

    A method that updates at every step calls the step itself, which no backend replaces.
    """
    method = registry.methods.get(cell.method)
    if method is None or method.capabilities.updates == "per_batch":
        for name, library in FUSED_WITH.items():
            faster = cell.but(backend=name)
            if why_unsupported(faster, registry, "backend") is None and find_spec(library) is not None:
                return faster
    return cell.but(backend="eager")


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
        if row.capabilities.parallel not in ("sequential", "layer_by_step", "memoryless"):
            first.setdefault((row.card.name, *astuple(row.capabilities)), name)
    return list(first.values())


def _has_budget(task: str, budget: str, registry: Registry) -> bool:
    return task == NOT_APPLICABLE or budget in registry.task(task).budgets


def _nothing_left(axis: str, patterns: Sequence[str], offered: Sequence[str], preset: Preset | None) -> None:
    asked = ", ".join(map(repr, patterns))
    where = f"preset {preset.name!r}" if preset else "what there is"
    hint = "add --budget quick to choose from every combination there is, or try another --preset"
    raise NothingLeftError(
        f"no cell of {where} has the {axis} {asked}; left to choose from: {', '.join(offered) or 'none'}", hint
    )
