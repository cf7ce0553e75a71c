"""Combinations are expanded axis by axis: the same cells as the whole product, less what the cards rule out."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from harness.catalogue.cards import Registry
from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import load_registry
from harness.catalogue.presets import PRESETS
from harness.catalogue.presets.model import Preset, Selection
from harness.catalogue.recipes import FRESH_SEEDS, TUNED, Combination, OptimizerValues, Origin, Recipe, Values
from harness.errors import UserError
from harness.planning.expansion import Combinations, Filters, combinations
from reference_impls import backends

REGISTRY = load_registry()
TASKS, NEURONS = ("digits", "digits-rows", "two-sines"), ("lif", "psn", "klif")
METHODS, TOPOLOGIES = ("bptt", "ottt-a", "ide"), ("mlp", "conv", "feedback")
CORNER = Preset(
    "corner",
    "",
    "quick",
    (
        Selection(("accuracy", "throughput"), TASKS, NEURONS, METHODS, TOPOLOGIES, ("*",), seeds=2),
        Selection(("accuracy",), TASKS[:1], NEURONS, METHODS[:1], TOPOLOGIES[:1], seeds=3),
    ),
)


def expanded(preset: Preset | None, filters: Filters | None = None, device: str = "cpu") -> Combinations:
    return combinations(REGISTRY, preset=preset, budget="quick", filters=filters or Filters(), device=device, cores=2)


def product() -> list[Cell]:
    """Return every combination of the first selection, possible or not."""
    axes = (("accuracy", "throughput"), TASKS, NEURONS, METHODS, TOPOLOGIES, backends.names(), range(2))
    return [
        Cell(suite, task, neuron, method, topology, backend, "cpu", "float32", "quick", seed, 2 * (suite != "accuracy"))
        for suite, task, neuron, method, topology, backend, seed in itertools.product(*axes)
        if "quick" in REGISTRY.task(task).budgets
    ]


def test_the_cells_are_those_of_the_whole_product_that_are_possible() -> None:
    found = expanded(replace(CORNER, selections=CORNER.selections[:1]))
    whole = [replace(cell, threads=max(1, cell.threads)) for cell in product()]
    assert found.possible == {cell for cell in whole if why_unsupported(cell, REGISTRY) is None}
    assert len(found.possible) + sum(one.cells for one in found.impossible) == len(whole)
    assert found.suites == {"accuracy", "throughput"}


def test_a_cell_of_two_selections_is_one() -> None:
    found = expanded(CORNER)
    first = expanded(replace(CORNER, selections=CORNER.selections[:1]))
    added = found.possible - first.possible
    assert {(cell.seed, cell.backend, cell.topology) for cell in added} == {(2, "eager", "mlp")}


def test_what_is_ruled_out_is_ruled_out_for_everything_it_stands_for() -> None:
    for one in expanded(CORNER).impossible:
        assert why_unsupported(one.cell, REGISTRY) == one.reason
        for suite, seed in itertools.product(one.suites, range(2)):
            whole = replace(one.cell, suite=suite, budget="quick", seed=seed)
            assert why_unsupported(whole, REGISTRY) is not None


def test_one_neuron_of_everything_is_counted_and_not_multiplied_out() -> None:
    """Some two million combinations of one neuron, of which the cards rule out nine in ten."""
    found = expanded(PRESETS["full"], Filters(neuron=("psn",), task=("digits", "mnist")))
    ruled_out = sum(one.cells for one in found.impossible)
    assert len(found.impossible) * 10 < ruled_out
    assert {cell.neuron for cell in found.possible} == {"psn"}


@pytest.mark.parametrize("name", ["smoke", "quick", "layers", "libraries", "steps"])
def test_presets_keep_to_what_is_possible(name: str) -> None:
    for cell in expanded(PRESETS[name]).possible:
        assert why_unsupported(cell, REGISTRY) is None
        assert cell.suite in REGISTRY.suites
        assert (cell.budget == NOT_APPLICABLE) == (cell.task == NOT_APPLICABLE)


def recipe_registry() -> Registry:
    """Return the cards with one tuned recipe: LIF under BPTT on digits."""
    key = Combination("digits", "quick", "lif", "bptt", "mlp")
    recipe = Recipe(key, Values(OptimizerValues(learning_rate=0.06)), Origin("", "", 12, 3, 0.1, (1000,), ""))
    return replace(REGISTRY, recipes={TUNED: {key: recipe}})


def tuned(*suites: str, seeds: int, filters: Filters) -> Combinations:
    preset = replace(
        CORNER, selections=(Selection(suites, ("digits",), ("lif", "psn"), ("bptt",), ("mlp",), seeds=seeds),)
    )
    registry = recipe_registry()
    return combinations(registry, preset=preset, budget="quick", filters=filters, device="cpu", cores=2)


def test_a_recipe_that_is_asked_for_is_measured_on_enough_seeds_where_it_was_found() -> None:
    found = tuned("accuracy", seeds=3, filters=Filters(recipe=(TUNED,)))
    cell = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick", recipe=TUNED)
    assert found.possible == {replace(cell, seed=seed) for seed in range(FRESH_SEEDS)}
    (missing,) = found.impossible
    assert "There is no recipe 'tuned' for psn with bptt on mlp for digits under quick" in missing.reason
    assert missing.cells == FRESH_SEEDS
    both = tuned("accuracy", seeds=3, filters=Filters(recipe=("default", TUNED), neuron=("lif",)))
    assert len(both.possible) == 3 + FRESH_SEEDS


def test_what_is_measured_once_is_measured_once_whatever_the_recipe() -> None:
    found = tuned("throughput", seeds=1, filters=Filters(recipe=(TUNED,)))
    assert [(cell.seed, cell.recipe) for cell in found.possible] == [(0, TUNED)]


def test_what_trains_nothing_has_no_recipe() -> None:
    gate = replace(CORNER, selections=(Selection(("conformance",), neurons=("lif",), dtype="float64"),))
    asked = Filters(recipe=(TUNED,))
    found = combinations(recipe_registry(), preset=gate, budget="quick", filters=asked, device="cpu", cores=2)
    assert found.possible == {Cell("conformance", neuron="lif", dtype="float64")}


def test_seeds_that_tuning_uses_measure_nothing_else() -> None:
    with pytest.raises(UserError, match="seed 1000 is kept for tuning"):
        tuned("accuracy", seeds=1, filters=Filters(seed=(0, 1000)))


def test_a_recipe_that_nobody_knows_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(UserError, match="did you mean 'tuned'"):
        tuned("accuracy", seeds=1, filters=Filters(recipe=("tund",)))
