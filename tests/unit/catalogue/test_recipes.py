"""A recipe is an axis that leaves what was there as it was; its file is checked like a card, to the last name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.catalogue.cell import Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import load_registry, with_recipes
from harness.catalogue.recipes import (
    FOLDER,
    TUNED,
    Combination,
    OptimizerValues,
    Origin,
    Recipe,
    Values,
    combination_of,
    read_recipes,
    write_recipes,
)

REGISTRY = load_registry()
CELL = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick")
ORIGIN = Origin("5eed", "ca4d", 12, 5, 0.0125, (1000,), "laptop", "0" * 40, ("tau",))
VALUES = Values(OptimizerValues(learning_rate=0.06, schedule="cosine"), {"tau": 4.0, "surrogate.alpha": 3.0})
RECIPE = Recipe(combination_of(CELL), VALUES, ORIGIN)


def known(part: str, row: str) -> set[str] | None:
    return {"tau", "surrogate"} if (part, row) == ("neuron", "lif") else set() if row in ("bptt", "mlp") else None


def read(folder: Path) -> tuple[list[Recipe], list[str]]:
    found, problems = read_recipes(folder, ["digits"], known)
    return list(found.get(TUNED, {}).values()), [str(problem) for problem in problems]


def written(folder: Path, **changes: Any) -> Path:
    """Write a file with one recipe, of which some keys are other ones."""
    path = write_recipes(folder, TUNED, "digits", [RECIPE])
    content = json.loads(path.read_text())
    content["recipes"][0] |= changes
    path.write_text(json.dumps(content))
    return path


def test_cells_without_a_recipe_have_the_ids_of_before_there_was_one() -> None:
    assert CELL.id == "9783fe2dddff"
    assert "recipe" not in CELL.written()
    tuned = replace(CELL, recipe=TUNED)
    assert tuned.id != CELL.id
    assert (CELL.label, tuned.label) == ("lif+bptt+mlp+eager+s0", "lif+bptt+mlp+eager+tuned+s0")


def test_what_is_written_is_read_again_sorted_and_over_what_was_there(tmp_path: Path) -> None:
    other = replace(RECIPE, combination=RECIPE.combination._replace(budget="another"))
    write_recipes(tmp_path, TUNED, "digits", [RECIPE])
    path = write_recipes(tmp_path, TUNED, "digits", [other])
    better = replace(RECIPE, values=Values(OptimizerValues(learning_rate=0.1)))
    write_recipes(tmp_path, TUNED, "digits", [better])
    assert read(tmp_path) == ([other, better], [])
    assert [one["budget"] for one in json.loads(path.read_text())["recipes"]] == ["another", "quick"]
    assert path.read_text() == json.dumps(json.loads(path.read_text()), indent=1, sort_keys=True) + "\n"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"values": {"optimizer": {"learning_rat": 0.1}}}, "learning_rate"),
        ({"values": {"optimizer": {"learning_rate": -0.1}}}, "greater than 0"),
        ({"values": {"optimizer": {"schedule": "linear"}}}, "constant"),
        ({"values": {"optimiser": {}}}, "optimizer"),
        ({"values": {"neuron": {"tua": 3.0}}}, "'tua': did you mean 'tau'"),
        ({"values": {"neuron": {"surogate.alpha": 3.0}}}, "'surogate': did you mean 'surrogate'"),
        ({"values": {"method": {"window": 3}}}, "unknown parameter of method 'bptt'"),
        ({"neuron": "lfi"}, "no neuron 'lfi'"),
    ],
)
def test_a_mistake_is_named_and_leaves_the_others_alone(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    written(tmp_path, **changes)
    found, problems = read(tmp_path)
    assert found == []
    assert len(problems) == 1
    assert named in problems[0]
    assert "digits.json" in problems[0]


def test_a_recipe_that_rests_on_seeds_of_the_boards_is_refused(tmp_path: Path) -> None:
    write_recipes(tmp_path, TUNED, "digits", [replace(RECIPE, origin=replace(ORIGIN, seeds=(1000, 3)))])
    found, problems = read(tmp_path)
    assert found == []
    assert "seed 3 is not one that tuning may use" in problems[0]


def test_files_that_are_none_are_named(tmp_path: Path) -> None:
    (tmp_path / TUNED).mkdir()
    (tmp_path / TUNED / "digits.json").write_text("[")
    (tmp_path / "default").mkdir()
    for path in (tmp_path / TUNED / "other.json", tmp_path / "default" / "digits.json"):
        path.write_text(json.dumps({"task": "digits", "recipes": []}))
    assert [problem.partition("json: ")[2][:20] for problem in read(tmp_path)[1]] == [
        "the recipe 'default'",
        "cannot be read as JS",
        "holds recipes of the",
    ]


def test_one_combination_has_one_recipe(tmp_path: Path) -> None:
    path = write_recipes(tmp_path, TUNED, "digits", [RECIPE])
    content = json.loads(path.read_text())
    content["recipes"] *= 2
    path.write_text(json.dumps(content))
    assert "two recipes for digits quick lif bptt mlp" in read(tmp_path)[1][0]


def test_a_cell_has_a_recipe_where_there_is_one(tmp_path: Path) -> None:
    write_recipes(tmp_path, TUNED, "digits", [RECIPE])
    registry = with_recipes(REGISTRY, tmp_path)
    assert registry.problems == ()
    tuned = replace(CELL, recipe=TUNED)
    assert registry.recipe(tuned) == RECIPE
    assert registry.recipe(CELL) is None
    assert why_unsupported(tuned, registry) is None
    assert "no recipe 'tuned' for psn" in (why_unsupported(replace(tuned, neuron="psn"), registry) or "")
    assert "under smoke" in (why_unsupported(replace(tuned, budget="smoke"), registry) or "")


def test_recipes_that_travel_with_the_package_fit_its_cards() -> None:
    files = sorted(FOLDER.glob("*/*.json"))
    found, problems = read_recipes(FOLDER, REGISTRY.tasks, REGISTRY.parameters)
    assert problems == []
    of_files = sum(len(json.loads(path.read_text())["recipes"]) for path in files)
    assert sum(map(len, found.values())) == of_files
    for path in files:
        budgets = REGISTRY.task(path.stem).budgets
        assert all(key.budget in budgets for one in found.values() for key in one if key.task == path.stem)


def test_a_combination_is_named_by_its_axes() -> None:
    assert combination_of(CELL) == Combination("digits", "quick", "lif", "bptt", "mlp")
