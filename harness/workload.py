"""A cell made real: the neuron, network, training method and data that its names stand for, on its device.

Suites receive a workload and nothing else. Everything is built on demand and seeded from the cell, so that a suite
pays only for what it uses. Must not know how the process it runs in was started.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from harness.catalogue.cards import Budget, Registry, TaskCard
from harness.catalogue.cell import DEFAULT_RECIPE, NOT_APPLICABLE, Cell
from harness.catalogue.recipes import Recipe
from harness.errors import UserError
from harness.optimizers import Course, OptimizerSettings, make_optimizer
from harness.sizing import as_many_parameters
from harness.tasks.common.base import Split, Task
from reference_impls.api import LayerShape, Network, Neuron, TrainingMethod, build_method, build_network, build_neuron
from reference_impls.card import Card
from reference_impls.discovery import load_class

__all__ = ["Progress", "Workload"]

Progress = Callable[[float, str], None]
"""Called with (fraction done, what is being done)."""


def _lif(shape: LayerShape) -> Neuron:
    return build_neuron("lif", shape=shape)


def _silent(fraction: float, note: str) -> None:
    pass


@dataclass(frozen=True)
class Workload:
    """What a suite works on.

    Parameters
    ----------
    cell : what to build.
    registry : where its names are looked up.
    data_root : folder of data sets; None: the default places.
    scratch : folder that survives the cell, for what later cells may use again (trained weights).
    vectors : folder of golden vectors that the contract is checked with; None: those that travel with the project.
    progress : told how far the work has come.
    course : told by whoever trains how far that has come, for what the optimizers do over time.
    """

    cell: Cell
    registry: Registry
    data_root: Path | None = None
    scratch: Path | None = None
    vectors: Path | None = None
    progress: Progress = field(default=_silent, compare=False)
    course: Course = field(default_factory=Course, compare=False)

    @property
    def device(self) -> torch.device:
        """Return the device to work on."""
        return torch.device(self.cell.device)

    @property
    def dtype(self) -> torch.dtype:
        """Return the floating-point type of parameters and activations."""
        dtype = getattr(torch, self.cell.dtype)
        assert isinstance(dtype, torch.dtype)
        return dtype

    @property
    def task_card(self) -> TaskCard:
        """Return the card of the cell's task."""
        return self.registry.task(self.cell.task)

    @property
    def budget(self) -> Budget:
        """Return the task's training budget under the cell's name for it."""
        return self.task_card.budgets[self.cell.budget]

    @functools.cached_property
    def task(self) -> Task:
        """Build the task."""
        row = self.registry.tasks[self.cell.task]
        task: Task = load_class(row.module, Task)(self.task_card, **row.params)
        return task

    @functools.cached_property
    def split(self) -> Split:
        """Load the task's data, in host memory."""
        return self.task.load(self.data_root, self.cell.seed)

    def neuron(self, T: int | None = None, *, shape: LayerShape | None = None, **params: Any) -> Neuron:
        """Build one layer's neuron; `params` go over the card's and the training method's recipe.

        `T` is the number of time steps for neurons whose parameters depend on it (None: the task's); `shape` that of
        the layer, for neurons whose parameters are a channel's or a neuron's own.
        """
        row = self.registry.neurons[self.cell.neuron]
        given = dict(self.recipe("neuron")) | params
        if row.capabilities.needs_T:
            given["T"] = self.task_card.T if T is None else T
        neuron = build_neuron(self.cell.neuron, backend=self.cell.backend, shape=shape, **given)
        return neuron.to(self.device, self.dtype)

    def network(self, T: int | None = None) -> Network:
        """Build the cell's network with weights drawn from its seed, on its device."""
        torch.manual_seed(self.cell.seed)
        card, (name, sizes) = self.task_card, self.topology()

        def build(params: Mapping[str, Any], neuron: Callable[..., Neuron]) -> Network:
            return build_network(name, card.sample_shape, card.classes, neuron, **params)

        own = functools.partial(self.neuron, T)
        if self.registry.neurons[self.cell.neuron].capabilities.connected:
            with_own, with_lif = (functools.partial(build, neuron=neuron) for neuron in (own, _lif))
            sizes = as_many_parameters(sizes, with_own, with_lif)
        return build(sizes, own).to(self.device, self.dtype)

    def method(self) -> TrainingMethod:
        """Build the cell's training method, not yet prepared."""
        return build_method(self.cell.method, **self.recipe("method"))

    def optimizer(self, parameters: Any) -> torch.optim.Optimizer:
        """Build the optimizer that the budget names, or the method's recipe, or the cell's."""
        return make_optimizer(parameters, self.optimizer_settings, self.course)

    @property
    def optimizer_settings(self) -> OptimizerSettings:
        """Return what decides a step."""
        budget = {"name": self.budget.optimizer, "learning_rate": self.budget.learning_rate}
        return OptimizerSettings(**{**budget, **self.recipe("optimizer")})

    def topology(self) -> tuple[str, dict[str, Any]]:
        """Return the name of the topology's file and the parameters of the cell's network."""
        row = self.registry.topologies[self.cell.topology]
        sizes = self.registry.network(self.cell.task, self.cell.topology) or {}
        return row.card.name, {**row.params, **sizes, **self.recipe("topology")}

    def recipe(self, part: str) -> Mapping[str, Any]:
        """Return what the method's card sets of a part, and over that what the cell's recipe does."""
        if self.cell.method == NOT_APPLICABLE:
            return {}
        card = self.registry.methods[self.cell.method].card
        assert isinstance(card, Card)
        of_method = card.recipe.get(part, {})
        if self.cell.recipe == DEFAULT_RECIPE:
            return of_method
        return _over({**self._card_params(part), **of_method}, of_method, self._own_recipe().values.part(part))

    def _card_params(self, part: str) -> Mapping[str, Any]:
        rows = {"neuron": self.registry.neurons, "method": self.registry.methods, "topology": self.registry.topologies}
        return rows[part][getattr(self.cell, part)].params if part in rows else {}

    def _own_recipe(self) -> Recipe:
        recipe = self.registry.recipe(self.cell)
        if recipe is None:
            raise UserError(
                f"there is no recipe {self.cell.recipe!r} for {self.cell.label}", "spikeboard tune finds one"
            )
        return recipe


def _over(known: Mapping[str, Any], below: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` over `below`; ``surrogate.alpha`` sets a parameter of what is `known` as ``surrogate``."""
    result = dict(below)
    for key, value in values.items():
        name, dot, inner = key.partition(".")
        if not dot:
            result[name] = value
            continue
        spec = result.get(name, known[name])
        spec = {"name": spec} if isinstance(spec, str) else spec
        result[name] = {**spec, "params": {**spec.get("params", {}), inner: value}}
    return result
