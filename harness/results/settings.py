"""The values of a cell that decide its figures: what the cards hand to constructors, data and training, and no more.

A key of a card counts where code that decides the figure names it. Prose, limits, headings, the budgets and networks
that are not in use, and what is only looked up do not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any

from harness.catalogue.cards import Budget, Registry, Row, SuiteCard, TaskCard
from harness.catalogue.cell import DEFAULT_RECIPE, NOT_APPLICABLE, Cell
from reference_impls.card import (
    Card,
    NeuronCapabilities,
    PeerCapabilities,
    SystemCapabilities,
    TopologyCapabilities,
    TrainingCapabilities,
)

__all__ = [
    "ASKABLE",
    "budget_settings",
    "recipe_settings",
    "row_settings",
    "sized_settings",
    "suite_settings",
    "task_settings",
]

_FACTS = ("T", "sample_shape", "classes", "input_kind", "target", "step_seconds", "target_error")
"""Of a task, what code may ask for; its budgets, networks and parameters are looked up by name."""
_CAPABILITIES = (
    NeuronCapabilities,
    TrainingCapabilities,
    TopologyCapabilities,
    PeerCapabilities,
    SystemCapabilities,
)
ASKABLE = frozenset({item.name for cls in (*_CAPABILITIES, Budget) for item in fields(cls)}) | frozenset(_FACTS)
"""Keys of cards that count where they are named."""

Settings = Mapping[str, Any]


def row_settings(row: Row, asked: Collection[str]) -> Settings:
    """Return what a neuron's, peer's or training method's card decides."""
    card = row.card
    assert isinstance(card, Card)
    return {
        "version": card.version,
        "params": dict(row.params),
        "recipe": {part: dict(values) for part, values in card.recipe.items()},
        "capabilities": _asked(row.capabilities, asked),
    }


def sized_settings(cell: Cell, row: Row, registry: Registry, asked: Collection[str]) -> Settings:
    """Return what decides the network: the card of the topology or system and its sizes on the task."""
    sizes = registry.network(cell.task, row.name) if cell.task in registry.tasks else None
    settings = row_settings(row, asked)
    return {**settings, "params": {**settings["params"], **(sizes or {})}}


def task_settings(row: Row, asked: Collection[str]) -> Settings:
    """Return what decides data and encoding."""
    card = row.card
    assert isinstance(card, TaskCard)
    facts = {name: getattr(card, name) for name in _FACTS if name in asked}
    return {"version": card.version, "data": card.data, "params": dict(row.params), **facts}


def budget_settings(cell: Cell, row: Row, asked: Collection[str]) -> Settings:
    """Return the training budget in use."""
    card = row.card
    assert isinstance(card, TaskCard)
    budget = card.budgets.get(cell.budget)
    return {} if budget is None or cell.budget == NOT_APPLICABLE else _asked(budget, asked)


def recipe_settings(cell: Cell, registry: Registry) -> Settings:
    """Return the hyper-parameters that the cell's recipe sets; where they come from decides nothing."""
    if cell.recipe == DEFAULT_RECIPE:
        return {}
    recipe = registry.recipe(cell)
    return {"unknown": cell.recipe} if recipe is None else recipe.values.written()


def suite_settings(row: Row) -> Settings:
    """Return what decides how a suite's figures are taken and what they mean."""
    card = row.card
    assert isinstance(card, SuiteCard)
    return {
        "version": card.version,
        "exclusive": card.exclusive,
        "units": {name: metric.unit for name, metric in card.metrics.items()},
    }


def _asked(values: Any, asked: Collection[str]) -> Settings:
    """Return those fields of a dataclass that are asked for."""
    return {item.name: getattr(values, item.name) for item in fields(values) if item.name in asked}
