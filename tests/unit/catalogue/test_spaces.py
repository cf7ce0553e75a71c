"""What a card offers for tuning can be built, at both ends and at every choice, and holds what the row is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.catalogue.cards import Row
from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.catalogue.recipes import Recipe, combination_of
from harness.catalogue.spaces import MOST_DIMENSIONS, check_space, own_space
from harness.tuning.space import SHARED, Space, space_of, values_at
from harness.workload import Workload
from reference_impls.api import Neuron, TrainingMethod
from reference_impls.building import parameters_of
from reference_impls.card import Card, CardError, Dimension

REGISTRY = load_registry()
CELL = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="smoke")
NEURONS = [Cell("accuracy", "digits", name, "bptt", "mlp", budget="smoke") for name in REGISTRY.neurons]
METHODS = [
    Cell("accuracy", "digits", "if", name, "mlp", budget="smoke")
    for name, row in REGISTRY.methods.items()
    if "classes" in row.capabilities.targets
]


def corners(space: Space) -> Iterator[dict[str, Any]]:
    """Yield points at which every end and every choice occurs."""
    listed = [dimension.choices or (dimension.low, dimension.high) for dimension in space.values()]
    for index in range(max(map(len, listed), default=1)):
        yield {name: values[index % len(values)] for name, values in zip(space, listed, strict=True)}


def built(cell: Cell, point: dict[str, Any]) -> tuple[Neuron, TrainingMethod]:
    key = combination_of(cell)
    origin: Any = None
    registry = replace(REGISTRY, recipes={"tuned": {key: Recipe(key, values_at(point), origin)}})
    workload = Workload(replace(cell, recipe="tuned"), registry)
    return workload.neuron(shape=(4,)), workload.method()


@pytest.mark.parametrize("cell", [*NEURONS, *METHODS], ids=lambda cell: f"{cell.neuron}-{cell.method}")
def test_every_corner_of_a_space_can_be_built(cell: Cell) -> None:
    for point in corners(space_of(cell, REGISTRY)):
        built(cell, point)


@pytest.mark.parametrize("cell", [*NEURONS, *METHODS], ids=lambda cell: f"{cell.neuron}-{cell.method}")
def test_a_space_holds_what_a_row_is_by_default(cell: Cell) -> None:
    kinds: tuple[tuple[Any, str, str, type], ...] = (
        ("neuron", "neuron", cell.neuron, Neuron),
        ("method", "training", cell.method, TrainingMethod),
    )
    space = space_of(cell, REGISTRY)
    for part, kind, name, base in kinds:
        known = parameters_of(kind, name, base, {})  # type: ignore[arg-type]
        for full, dimension in space.items():
            owner, _, parameter = full.partition(".")
            if owner == part and "." not in parameter and known[parameter] is not None:
                assert dimension.holds(known[parameter]), f"{full} = {known[parameter]}"


def test_every_neuron_and_trainer_of_classes_shares_the_same_settings() -> None:
    for cell in (*NEURONS, *METHODS):
        searched = {name.partition(".")[2] for name in space_of(cell, REGISTRY) if name.startswith("optimizer.")}
        if not REGISTRY.methods[cell.method].capabilities.gradient:  # its rule is its own: there is no optimizer
            assert not searched
            continue
        assert {"learning_rate", "weight_decay", "schedule"} <= searched <= SHARED.keys()


def test_a_variant_is_not_searched_in_what_it_is_about() -> None:
    row = REGISTRY.neurons["lif-decay-input"]
    assert own_space(card_of(row), row.name, row.params).keys() == {"tau", "v_threshold", "surrogate.alpha"}
    tet = REGISTRY.methods["bptt-tet"]
    assert own_space(card_of(tet), tet.name, tet.params).keys() == {"tet_weight"}


def test_what_a_method_sets_of_its_neurons_stays() -> None:
    searched = space_of(replace(CELL, neuron="if", method="t-revsnn"), REGISTRY)
    assert not {"neuron.v_threshold", "neuron.surrogate.alpha"} & searched.keys()


def card_of(row: Row) -> Card:
    assert isinstance(row.card, Card)
    return row.card


def with_space(**space: Dimension) -> Card:
    return replace(card_of(REGISTRY.neurons["lif"]), space=space)


def test_a_range_that_is_none_or_leaves_out_the_default_is_named() -> None:
    with pytest.raises(ValueError, match="low < high"):
        Dimension(2.0, 1.0)
    with pytest.raises(ValueError, match="above 0"):
        Dimension(0.0, 1.0, "log")
    with pytest.raises(ValueError, match="either 'choices'"):
        Dimension(0.0, 1.0, choices=(1, 2))
    card = with_space(tau=Dimension(3.0, 9.0))
    with pytest.raises(CardError, match=r"'lif' does not hold its default, tau = 2\.0"):
        check_space(card, "lif", card.defaults, Path("lif.py"))


def test_a_row_has_no_more_parameters_than_others() -> None:
    card = with_space(**{f"p{index}": Dimension(0.0, 1.0) for index in range(MOST_DIMENSIONS + 1)})
    with pytest.raises(CardError, match="5 parameters to tune; a row may have 4"):
        check_space(card, "lif", card.defaults, Path("lif.py"))
