"""A study keeps every trial, chooses by the validation part alone, and says when it has not searched far enough."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.catalogue.recipes import TUNING_SEEDS, is_tuning_seed
from harness.tuning.space import SHARED, on_edge, space_of, values_at
from harness.tuning.study import SEED, Study, Trial, best_of, path_of, read_trials, study_of
from reference_impls.card import CardError, Dimension

REGISTRY = load_registry()
CELL = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick")


def trial(number: int, validation: float | None, test: float | None = 0.5, **params: float) -> Trial:
    status = "ok" if validation is not None else "diverged"
    return Trial(number, params, status, validation, test if validation is not None else None, reason=None)


def study(*trials: Trial) -> Study:
    made = study_of(CELL, REGISTRY, Path("nowhere"))
    made.trials = {one.trial: one for one in trials}
    return made


def test_the_choice_looks_at_the_validation_part_alone() -> None:
    tried = [trial(0, 0.2, test=0.01), trial(1, 0.1, test=0.9), trial(2, 0.15, test=0.0)]
    best = best_of(tried)
    assert best is not None
    assert best.trial == 1
    for hidden in (0.0, 1.0):
        assert best_of([replace(one, test_error_fraction=hidden) for one in tried]).trial == 1  # type: ignore[union-attr]


def test_of_several_that_are_as_good_the_first_is_taken_so_a_default_is_left_for_a_reason() -> None:
    best = best_of([trial(2, 0.1), trial(1, 0.1), trial(0, 0.1)])
    assert best is not None
    assert best.trial == 0
    recipe = study(trial(0, 0.1), trial(1, 0.1)).recipe(2)
    assert recipe is not None
    assert recipe.values.written() == {}


def test_what_failed_is_kept_and_never_chosen() -> None:
    assert best_of([trial(0, None), trial(1, 0.9)]) == trial(1, 0.9)
    assert study(trial(0, None), trial(1, None)).recipe(2) is None


def test_a_recipe_says_where_it_comes_from() -> None:
    chosen = replace(
        trial(2, 0.1, **{"optimizer.learning_rate": 0.06, "neuron.tau": 31.0}), machine="laptop", commit="c0ffee"
    )
    made = study(trial(0, 0.3), trial(1, 0.2), chosen, trial(3, 0.05))
    recipe = made.recipe(3)
    assert recipe is not None
    assert recipe.values.written() == {"optimizer": {"learning_rate": 0.06}, "neuron": {"tau": 31.0}}
    origin = recipe.origin
    assert (origin.trials, origin.chosen, origin.validation_error_fraction) == (3, 2, 0.1)
    assert (origin.machine, origin.commit, origin.on_edge) == ("laptop", "c0ffee", ("neuron.tau (upper)",))
    assert all(map(is_tuning_seed, origin.seeds))
    assert made.recipe(4) != recipe


def test_an_edge_is_one_on_the_scale_of_the_range() -> None:
    space = {
        "optimizer.learning_rate": SHARED["learning_rate"],
        "a.b": Dimension(0.0, 1.0),
        "a.c": Dimension(choices=(1, 2)),
    }
    low, middle, high = ({"optimizer.learning_rate": rate, "a.b": 0.5, "a.c": 1} for rate in (1.1e-4, 6e-3, 0.29))
    assert on_edge(space, low) == ("optimizer.learning_rate (lower)",)
    assert on_edge(space, middle) == ()
    assert on_edge(space, high) == ("optimizer.learning_rate (upper)",)
    assert on_edge(space, {"a.b": 0.97}) == ("a.b (upper)",)
    assert on_edge(space, {}) == ()


def test_nothing_lies_beyond_an_end_where_a_setting_does_nothing() -> None:
    space = {f"optimizer.{name}": SHARED[name] for name in ("clip_norm", "weight_decay")}
    assert on_edge(space, {"optimizer.clip_norm": 9.9, "optimizer.weight_decay": 1e-6}) == ()
    assert on_edge(space, {"optimizer.clip_norm": 0.1, "optimizer.weight_decay": 0.1}) == (
        "optimizer.clip_norm (lower)",
        "optimizer.weight_decay (upper)",
    )


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    made = study(trial(1, 0.2, 0.3, **{"optimizer.learning_rate": 0.06}), trial(0, None))
    path = made.write(tmp_path)
    assert path == tmp_path / "digits" / "lif+bptt+mlp+quick.jsonl"
    again = study_of(CELL, REGISTRY, tmp_path)
    assert again == made
    assert again.missing(3) == [2]
    assert read_trials(path) == (made.combination, 10, made.ordered())
    assert [json.loads(line).get("trial") for line in path.read_text().splitlines()] == [None, 0, 1]


def test_trials_of_another_budget_or_space_do_not_count(tmp_path: Path) -> None:
    study(trial(0, 0.1)).write(tmp_path)
    task = REGISTRY.task("digits")
    longer = replace(task, budgets={**task.budgets, "quick": replace(task.budgets["quick"], epochs=99)})
    other = replace(REGISTRY, tasks={**REGISTRY.tasks, "digits": replace(REGISTRY.tasks["digits"], card=longer)})
    assert study_of(CELL, other, tmp_path).trials == {}
    card = replace(REGISTRY.neurons["lif"].card, space={"tau": Dimension(1.1, 64.0, "log")})
    wider = replace(REGISTRY, neurons={**REGISTRY.neurons, "lif": replace(REGISTRY.neurons["lif"], card=card)})
    assert study_of(CELL, wider, tmp_path).trials == {}


def test_a_file_that_is_no_study_is_named(tmp_path: Path) -> None:
    path = path_of(tmp_path, study().combination)
    path.parent.mkdir()
    path.write_text("{")
    with pytest.raises(CardError, match="cannot be read as a study"):
        study_of(CELL, REGISTRY, tmp_path)
    path.write_text('{"study": {}, "desing": ""}\n')
    with pytest.raises(CardError, match="did you mean 'design'"):
        study_of(CELL, REGISTRY, tmp_path)


def test_tuning_has_seeds_that_nothing_else_uses() -> None:
    assert SEED in TUNING_SEEDS
    assert not any(is_tuning_seed(seed) for seed in range(100))


def test_a_point_is_hyper_parameters_by_whose_they_are() -> None:
    point = {"optimizer.schedule": "cosine", "neuron.surrogate.alpha": 3.0, "method.window": 4}
    assert values_at(point).written() == {
        "optimizer": {"schedule": "cosine"},
        "neuron": {"surrogate.alpha": 3.0},
        "method": {"window": 4},
    }
    assert all(name.partition(".")[0] in ("optimizer", "neuron", "method") for name in space_of(CELL, REGISTRY))
