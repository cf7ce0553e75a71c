"""Combinations are expanded axis by axis: the same cells as the whole product, less what the cards rule out."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from harness.catalogue.cards import load_registry
from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.presets import PRESETS, Preset, Selection
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


@pytest.mark.parametrize("name", ["smoke", "quick", "layers", "libraries"])
def test_presets_keep_to_what_is_possible(name: str) -> None:
    for cell in expanded(PRESETS[name]).possible:
        assert why_unsupported(cell, REGISTRY) is None
        assert cell.suite in REGISTRY.suites
        assert (cell.budget == NOT_APPLICABLE) == (cell.task == NOT_APPLICABLE)
