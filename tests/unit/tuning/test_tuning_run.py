"""Tuning from the command to the figure: equal trials, kept as they end, a recipe, fresh seeds that judge it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from synthetic import record

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.catalogue.recipes import FOLDER_VARIABLE, TUNED, Recipe, is_tuning_seed
from harness.errors import UserError
from harness.execute.job import Job
from harness.results.record import Record
from harness.results.store import Store

pytest.importorskip("optuna", reason="optuna is not installed: pip install -c constraints.txt -e '.[search]'")

from harness.cli.running import run
from harness.cli.tuning import tune
from harness.planning.durations import Durations, no_history
from harness.tuning.design import points, seed_of
from harness.tuning.run import TuningPlan, _Keeper, cell_of, plan_tuning
from harness.tuning.space import space_of
from harness.tuning.study import Study, Trial, study_of

REGISTRY = load_registry()
CELL = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="smoke")
SPACE = space_of(CELL, REGISTRY)
PINNED = {
    "optimizer.learning_rate": 0.01,
    "optimizer.weight_decay": 0.0228,
    "optimizer.schedule": "cosine",
    "optimizer.clip_norm": 0.237,
}
"""The first point of `CELL`; a version of optuna that draws another needs another version of the design."""


@pytest.fixture
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of recipes in place of the package's; what is remembered of it is forgotten before and after."""
    folder = tmp_path / "recipes"
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    load_registry.cache_clear()
    yield folder
    load_registry.cache_clear()


def test_points_spread_over_ranges_and_choices_and_a_longer_study_begins_with_the_shorter() -> None:
    found = points(SPACE, 32, seed=7)
    assert found[:5] == points(SPACE, 5, seed=7)
    assert found != points(SPACE, 32, seed=8)
    shared, everything = found[::2], found[1::2]
    assert all(point.keys() == SPACE.keys() for point in everything)
    assert all({name for name in SPACE if name.startswith("optimizer.")} == point.keys() for point in shared)
    for point in found:
        assert all(SPACE[name].holds(value) for name, value in point.items())
    for half in (shared, everything):
        rates = sorted(float(point["optimizer.learning_rate"]) for point in half)
        for rate, (lower, upper) in zip(rates, strata(1e-4, 0.3, 16), strict=True):
            assert lower * 0.99 <= rate <= upper * 1.01, "a Sobol sequence puts one of 16 points into each sixteenth"
        assert 6 <= sum(point["optimizer.schedule"] == "cosine" for point in half) <= 10
    assert 6 <= sum(point["neuron.input_gain"] == "one" for point in everything) <= 10
    only_shared = {name: one for name, one in SPACE.items() if name.startswith("optimizer.")}
    assert points(only_shared, 3, seed=7)[:2] == [shared[0], shared[1]]


def strata(low: float, high: float, count: int) -> list[tuple[float, float]]:
    step = (high / low) ** (1 / count)
    return [(low * step**index, low * step ** (index + 1)) for index in range(count)]


def test_the_points_of_a_combination_are_always_the_same_and_nobodys_choice() -> None:
    key = study_of(CELL, REGISTRY, Path("nowhere")).combination
    assert points(SPACE, 1, seed_of(key)) == [PINNED]
    assert seed_of(key) != seed_of(key._replace(neuron="if"))
    assert points({}, 3, 0) == [{}, {}, {}]


def plan(folder: Path, recipes: Path, *neurons: str, trials: int = 4) -> TuningPlan:
    cells = [replace(CELL, neuron=neuron, seed=seed) for neuron in neurons for seed in (0, 1)]
    return plan_tuning(cells, REGISTRY, trials, folder, recipes, Durations(no_history, REGISTRY))


def test_every_row_gets_the_same_means_and_seeds_of_its_own(tmp_path: Path) -> None:
    planned = plan(tmp_path, tmp_path, "lif", "if", "psn")
    assert planned.missing == 3 * 4
    for one in planned.studies:
        cells = [cell_of(one, number) for number in range(4)]
        assert len({cell.id for cell in cells}) == 4
        assert all(is_tuning_seed(cell.seed) for cell in cells)
        assert cells[0].recipe == "default"
        assert all(cell.recipe.startswith("trial-") for cell in cells[1:])


def kept(one: Record, folder: Path) -> list[int]:
    """Return the trials that a study has after a record of its second one."""
    planned = plan(folder, folder, "lif")
    (study,) = planned.studies
    cell = cell_of(study, 1)
    keeper = _Keeper(planned, {cell: (study, 1)}, REGISTRY, lambda *_: None)
    keeper.finished(Job(cell, "c0de", False, 1.0, 1), one)
    return sorted(study_of(CELL, REGISTRY, folder).trials)


def test_a_trial_that_was_interrupted_is_tried_again_and_one_that_diverged_is_not(tmp_path: Path) -> None:
    assert kept(record(CELL, status="interrupted"), tmp_path / "a") == []
    assert kept(record(CELL, status="diverged"), tmp_path / "b") == [1]


def test_a_shorter_study_never_replaces_the_recipe_of_a_longer_one(tmp_path: Path) -> None:
    (planned,) = plan(tmp_path, tmp_path, "lif", trials=4).studies
    errors = [0.4, 0.3, 0.1, 0.2]
    for number, error in enumerate(errors):
        found = Trial(number, planned.params[number], "ok", error, error, reason=None)
        planned.study.trials[number] = found
    planned.study.write(tmp_path)
    told: list[tuple[int, int]] = []
    shorter = plan(tmp_path, tmp_path, "lif", trials=2)
    (again,) = shorter.studies
    assert not shorter.missing

    def note(_: Study, recipe: Recipe | None) -> None:
        assert recipe is not None
        told.append((recipe.origin.trials, recipe.origin.chosen))

    _Keeper(shorter, {}, REGISTRY, note).conclude(again.study)
    assert told == [(4, 2)]
    del again.study.trials[1]
    _Keeper(shorter, {}, REGISTRY, note).conclude(again.study)
    assert len(told) == 1, "it has not even the two that were asked for"


def test_what_to_tune_must_be_said(recipes: Path) -> None:
    with pytest.raises(UserError, match="nothing says what to tune"):
        tune(budget="smoke", dry_run=True)


def tuned(folder: Path, dry_run: bool = False) -> None:
    tune(
        task=["digits"], neuron=["lif", "if"], method=["bptt"], topology=["mlp"], budget="smoke", trials=4,
        studies=folder, dry_run=dry_run,
    )  # fmt: skip


@pytest.mark.slow
def test_from_the_command_to_a_figure_of_a_fresh_seed(
    tmp_path: Path, recipes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    studies = tmp_path / "studies"
    tuned(studies)
    said = capsys.readouterr().out
    assert "2 studies of 4 trials: 8 to run, 0 done already" in said
    files = sorted(studies.rglob("*.jsonl"))
    assert [len(path.read_text().splitlines()) for path in files] == [5, 5]
    for path in files:
        header, *lines = map(json.loads, path.read_text().splitlines())
        best = min(lines, key=lambda line: (line["validation_error_fraction"], line["trial"]))
        recipe = recipe_of(recipes, header["study"]["neuron"])
        assert recipe["origin"]["chosen"] == best["trial"]
        assert sum(map(len, recipe["values"].values())) == len(best["params"])
    files[1].write_text("".join(files[1].read_text().splitlines(keepends=True)[:-1]))  # as a Ctrl-C leaves it
    tuned(studies, dry_run=True)
    assert "2 studies of 4 trials: 1 to run, 7 done already" in capsys.readouterr().out
    load_registry.cache_clear()
    store = tmp_path / "store"
    run(suite=["accuracy"], task=["digits"], neuron=["lif"], method=["bptt"], topology=["mlp"], backend=["eager"],
        budget="smoke", recipe=[TUNED], dry_run=True, store=store)  # fmt: skip
    assert "8 cells to measure" in capsys.readouterr().out
    run(suite=["accuracy"], task=["digits"], neuron=["lif"], method=["bptt"], topology=["mlp"], backend=["eager"],
        budget="smoke", recipe=[TUNED], seed=[0], store=store)  # fmt: skip
    assert "digits, bptt, mlp, smoke, tuned" in capsys.readouterr().out
    (found,) = Store(store).read(load_registry()).records
    check_hyper_parameters(found, recipe_of(recipes, "lif")["values"])


def recipe_of(folder: Path, neuron: str) -> dict[str, Any]:
    content = json.loads((folder / TUNED / "digits.json").read_text())
    (found,) = (one for one in content["recipes"] if one["neuron"] == neuron)
    return dict(found)


def check_hyper_parameters(found: Record, values: dict[str, dict[str, Any]]) -> None:
    said = found.details["hyper_parameters"]
    assert said["optimizer"].items() >= values["optimizer"].items()
    assert said["budget"] == {"epochs": 1, "batch_size": 64, "train_limit": 256, "test_limit": 128}
    own = {name: value for name, value in values.get("neuron", {}).items() if "." not in name}
    assert said["neuron"].items() >= own.items()
    assert {"loss", "window"} <= said["method"].keys()
    assert said["topology"]["hidden"] == [64]
