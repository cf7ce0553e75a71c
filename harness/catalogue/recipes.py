"""Recipes: hyper-parameters over those of the cards, found by tuning, as data under version control.

A recipe belongs to one combination (task, budget, neuron, method, topology) and says where it comes from. Those of one
name and task stand in one file of JSON, sorted, so that a changed one is a few changed lines. Must not know how a
recipe is found or applied; must not import torch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from harness.catalogue.cell import DEFAULT_RECIPE, Cell
from harness.catalogue.validation import validated
from harness.writing import write_whole
from reference_impls.card import CardError
from reference_impls.names import UnknownNameError, check_name

__all__ = [
    "FOLDER",
    "FRESH_SEEDS",
    "PARTS",
    "TRIAL",
    "TUNED",
    "TUNING_SEEDS",
    "Combination",
    "OptimizerValues",
    "Origin",
    "Recipe",
    "RecipeFile",
    "Recipes",
    "Values",
    "combination_of",
    "is_tuning_seed",
    "read_recipes",
    "recipe_folder",
    "trains",
    "values_of",
    "write_recipes",
]

FOLDER = Path(__file__).parents[1] / "recipes"
"""A folder in it for each name of a recipe, and in that a file for each task."""
FOLDER_VARIABLE = "SPIKEBOARD_RECIPES"
"""Environment variable that names another folder in its place."""
TUNED = "tuned"
TRIAL = "trial-"
"""What the name of a recipe that is only tried begins with; nothing of it is published or ranked."""
PARTS = ("optimizer", "neuron", "method", "topology")
"""Whose parameters a recipe may set."""
TUNING_SEEDS = range(1000, 2000)
"""Seeds that tuning trains with, and nothing else: a figure of a seed that has chosen its own recipe is no evidence."""
FRESH_SEEDS = 8
"""Seeds that a tuned figure rests on at least, unless they are named."""

Scalar = bool | int | float | str
_Positive = Annotated[float, Field(gt=0)]


class Combination(NamedTuple):
    """What a recipe is for; it sorts a file."""

    task: str
    budget: str
    neuron: str
    method: str
    topology: str


@dataclass(frozen=True, slots=True)
class OptimizerValues:
    """What a recipe says of the optimizer; None: what the card or the budget says."""

    name: Literal["adam", "sgd"] | None = None
    learning_rate: _Positive | None = None
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Of SGD."""
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    """Of weights, not of biases or of what neurons learn; under Adam decoupled from the gradient (AdamW)."""
    schedule: Literal["constant", "cosine"] | None = None
    """Of the learning rate over the budget."""
    clip_norm: _Positive | None = None
    """Largest norm of a step's gradient over all parameters."""


@dataclass(frozen=True, slots=True)
class Values:
    """The hyper-parameters that a recipe sets, by whose they are.

    ``surrogate.alpha`` is the parameter ``alpha`` of what the card gives as ``surrogate``.
    """

    optimizer: OptimizerValues = OptimizerValues()
    neuron: Mapping[str, Scalar] = field(default_factory=dict)
    method: Mapping[str, Scalar] = field(default_factory=dict)
    topology: Mapping[str, Scalar] = field(default_factory=dict)

    def part(self, name: str) -> Mapping[str, Scalar]:
        """Return what is set of a part of `PARTS`."""
        if name == "optimizer":
            return {key: value for key, value in asdict(self.optimizer).items() if value is not None}
        part: Mapping[str, Scalar] = getattr(self, name)
        return part

    def written(self) -> dict[str, dict[str, Scalar]]:
        """Return the parts that set anything, as a file has them."""
        return {name: dict(sorted(part.items())) for name in PARTS if (part := self.part(name))}


@dataclass(frozen=True, slots=True)
class Origin:
    """How a recipe was found."""

    study: str
    """Digest of every trial of the study."""
    space: str
    """Digest of the space that was searched."""
    trials: int
    chosen: int
    """Number of the trial with the least validation error; 0 is the default of the cards."""
    validation_error_fraction: float
    seeds: tuple[int, ...]
    """Those that the trials were trained with."""
    machine: str
    commit: str | None = None
    on_edge: tuple[str, ...] = ()
    """Parameters whose best value lies on the edge of what was searched."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Hyper-parameters for one combination."""

    combination: Combination
    values: Values
    origin: Origin


Recipes = Mapping[str, Mapping[Combination, Recipe]]
"""By name, then by what they are for."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A recipe in a file."""

    budget: str
    neuron: str
    method: str
    topology: str
    values: Values
    origin: Origin


@dataclass(frozen=True, slots=True)
class RecipeFile:
    """The recipes of one name for one task, as they are written."""

    task: str
    recipes: tuple[_Entry, ...]


def recipe_folder() -> Path:
    """Return the folder of recipes: that of the package, unless the environment names another."""
    return Path(os.environ.get(FOLDER_VARIABLE) or FOLDER)


def combination_of(cell: Cell) -> Combination:
    """Return what a recipe of `cell` must be for."""
    return Combination(*(getattr(cell, axis) for axis in Combination._fields))


def trains(cell: Cell) -> bool:
    """Whether `cell` builds a network and a method on a task, and so has hyper-parameters."""
    return "-" not in (cell.task, cell.neuron, cell.method, cell.topology)


def is_tuning_seed(seed: int) -> bool:
    """Whether `seed` is kept for tuning."""
    return seed in TUNING_SEEDS


def values_of(literal: Any, path: Path) -> Values:
    """Return the hyper-parameters that a literal says, checked; `path` is where it stands, for messages.

    Raises
    ------
    CardError
        If a part or a setting of the optimizer is not known, or a value cannot be.
    """
    values: Values = validated(Values, path, literal)
    return values


Known = Callable[[str, str], Collection[str] | None]
"""Of a part and a row's name, the parameters that the row's card names; None if there is no such row."""


def read_recipes(
    folder: Path, tasks: Collection[str], known: Known
) -> tuple[dict[str, dict[Combination, Recipe]], list[CardError]]:
    """Read every recipe below `folder`, and what cannot be used of it.

    Parameters
    ----------
    folder : see `FOLDER`; one that is not there holds none.
    tasks : names of tasks.
    known : says which parameters a recipe may set.
    """
    found: dict[str, dict[Combination, Recipe]] = {}
    problems: list[CardError] = []
    for path in sorted(folder.glob("*/*.json")):
        try:
            entries = _read(path)
        except CardError as error:
            problems.append(error)
            continue
        for recipe in entries:
            try:
                _check(recipe, tasks, known)
            except (UnknownNameError, CardError) as error:
                problems.append(CardError(f"{path}: {error}"))
            else:
                found.setdefault(path.parent.name, {})[recipe.combination] = recipe
    return found, problems


def write_recipes(folder: Path, name: str, task: str, recipes: Iterable[Recipe]) -> Path:
    """Put `recipes` into the file of `name` and `task` below `folder`, over those that it has for the same.

    Raises
    ------
    CardError
        If the file that is there is none of recipes: it would be lost.
    """
    path = folder / name / f"{task}.json"
    held = {recipe.combination: recipe for recipe in (_read(path) if path.exists() else ())}
    held |= {recipe.combination: recipe for recipe in recipes}
    content = {"task": task, "recipes": [_written(held[key]) for key in sorted(held)]}
    write_whole(path, json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    return path


def _written(recipe: Recipe) -> dict[str, Any]:
    names = recipe.combination._asdict()
    del names["task"]
    return {**names, "values": recipe.values.written(), "origin": asdict(recipe.origin)}


def _read(path: Path) -> Iterator[Recipe]:
    try:
        literal = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CardError(f"{path}: cannot be read as JSON: {error}") from error
    file: RecipeFile = validated(RecipeFile, path, literal)
    if file.task != path.stem:
        raise CardError(f"{path}: holds recipes of the task {file.task!r}; its name must be {file.task}.json")
    if path.parent.name == DEFAULT_RECIPE:
        raise CardError(f"{path}: the recipe {DEFAULT_RECIPE!r} is what the cards say, and no file's")
    combinations = [Combination(file.task, one.budget, one.neuron, one.method, one.topology) for one in file.recipes]
    twice = next((one for one in combinations if combinations.count(one) > 1), None)
    if twice is not None:
        raise CardError(f"{path}: has two recipes for {' '.join(twice)}")
    return (Recipe(key, one.values, one.origin) for key, one in zip(combinations, file.recipes, strict=True))


def _check(recipe: Recipe, tasks: Collection[str], known: Known) -> None:
    """Raise if the recipe names what no card has, or rests on seeds that others are measured with."""
    what = " ".join(recipe.combination)
    check_name("task", recipe.combination.task, tasks)
    for part in PARTS[1:]:
        row = getattr(recipe.combination, part)
        parameters = known(part, row)
        if parameters is None:
            raise CardError(f"recipe for {what}: there is no {part} {row!r}")
        for name in recipe.values.part(part):
            check_name(f"parameter of {part} {row!r} in the recipe for {what}:", name.partition(".")[0], parameters)
    foreign = [seed for seed in recipe.origin.seeds if not is_tuning_seed(seed)]
    if foreign:
        raise CardError(
            f"recipe for {what}: seed {foreign[0]} is not one that tuning may use "
            f"({TUNING_SEEDS.start} to {TUNING_SEEDS.stop - 1})"
        )
