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
from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.tasks.common.base import Split, Task
from reference_impls.api import LayerShape, Network, Neuron, TrainingMethod, build_method, build_network, build_neuron
from reference_impls.card import Card
from reference_impls.discovery import load_class

__all__ = ["Progress", "Workload"]

Progress = Callable[[float, str], None]
"""Called with (fraction done, what is being done)."""


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
    """

    cell: Cell
    registry: Registry
    data_root: Path | None = None
    scratch: Path | None = None
    vectors: Path | None = None
    progress: Progress = field(default=_silent, compare=False)

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
        given = dict(self._recipe("neuron")) | params
        if row.capabilities.needs_T:
            given["T"] = self.task_card.T if T is None else T
        neuron = build_neuron(self.cell.neuron, backend=self.cell.backend, shape=shape, **given)
        return neuron.to(self.device, self.dtype)

    def network(self, T: int | None = None) -> Network:
        """Build the cell's network with weights drawn from its seed, on its device."""
        torch.manual_seed(self.cell.seed)
        card, row = self.task_card, self.registry.topologies[self.cell.topology]
        sizes = self.registry.network(self.cell.task, self.cell.topology) or {}
        network = build_network(
            row.card.name,
            card.sample_shape,
            card.classes,
            functools.partial(self.neuron, T),
            **{**row.params, **sizes, **self._recipe("topology")},
        )
        return network.to(self.device, self.dtype)

    def method(self) -> TrainingMethod:
        """Build the cell's training method, not yet prepared."""
        return build_method(self.cell.method)

    def optimizer(self, parameters: Any) -> torch.optim.Optimizer:
        """Build the optimizer that the budget names (or the method's recipe)."""
        recipe = self._recipe("optimizer")
        name = recipe.get("name", self.budget.optimizer)
        rate = recipe.get("learning_rate", self.budget.learning_rate)
        if name == "sgd":
            return torch.optim.SGD(parameters, lr=rate, momentum=recipe.get("momentum", 0.9))
        return torch.optim.Adam(parameters, lr=rate)

    def _recipe(self, part: str) -> Mapping[str, Any]:
        if self.cell.method == NOT_APPLICABLE:
            return {}
        card = self.registry.methods[self.cell.method].card
        assert isinstance(card, Card)
        return card.recipe.get(part, {})
