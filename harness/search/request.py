"""What a search is asked for, checked: names, constraints and sizes become a space and a cell, or an error that helps.

Must not import torch or optuna.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.catalogue.cards import Registry, Row
from harness.catalogue.cell import Cell
from harness.catalogue.compatibility import why_unsupported
from harness.errors import UserError
from harness.search.space import TYPES, Candidate, Space
from reference_impls.names import check_name
from reference_impls.topologies._wiring import parameter_count, read_wiring

__all__ = ["SearchRequest", "searchable"]

SUITE = "accuracy"


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """Where a search runs, and within which constraints."""

    task: str
    topology: str
    neuron: str
    method: str
    device: str
    form: str
    types: tuple[str, ...]
    max_skips: int | None
    max_parameters: int | None

    def cell(self, registry: Registry, *budgets: str) -> Cell:
        """Return the cell of the plain topology, when every name and budget is known and goes together.

        Raises
        ------
        UserError
            If one does not.
        """
        for what, name, known in (
            ("task", self.task, registry.tasks),
            ("topology to search", self.topology, searchable(registry)),
            ("neuron", self.neuron, registry.neurons),
            ("training method", self.method, registry.methods),
            ("device", self.device, ("cpu", "cuda")),
        ):
            check_name(what, name, tuple(known))
        for budget in budgets:
            check_name(f"budget of {self.task}", budget, registry.task(self.task).budgets)
        cell = Cell(
            SUITE, self.task, self.neuron, self.method, self.topology, device=self.device, budget=budgets[0], threads=1
        )
        reason = why_unsupported(cell, registry)
        if reason is not None:
            raise UserError(f"nothing to search: {reason}", "spikeboard list shows what there is")
        return cell

    def space(self, registry: Registry) -> Space:
        """Return the wirings that the constraints admit on the task's network."""
        row = registry.topologies[self.topology]
        sizes = {**row.params, **(registry.network(self.task, self.topology) or {})}
        depths = tuple(sizes.get("depths") or (len(_widths(sizes)) - 1,))
        types = tuple(TYPES[check_name("type of skip", name, TYPES)] for name in self.types)
        most = self.max_parameters

        def count(candidate: Candidate) -> int:
            return _parameters(candidate, sizes, registry, self.task)

        def within(candidate: Candidate) -> bool:
            return most is None or count(candidate) <= most

        plain = Space(depths).plain
        if not within(plain):
            raise UserError(
                f"the network without skips has {count(plain):,} parameters already, more than {most:,}",
                "raise --max-parameters",
            )
        return Space(depths, self.form, types, self.max_skips, within)


def searchable(registry: Registry) -> dict[str, Row]:
    """Return the topologies whose skips can be searched: those that give others their sizes."""
    return {
        name: row
        for name, row in registry.topologies.items()
        if row.capabilities.structure == "skip" and row.capabilities.sized_as == name
    }


def _widths(sizes: Mapping[str, Any]) -> Sequence[int]:
    """Return the width of every layer: neurons, or channels."""
    widths: Sequence[int] = sizes["hidden"] if "hidden" in sizes else sizes["channels"]
    return widths


def _parameters(candidate: Candidate, sizes: Mapping[str, Any], registry: Registry, task: str) -> int:
    """Return the weights and biases of the network of a card's `sizes`, without what its neurons learn."""
    card = registry.task(task)
    widths = _widths(sizes)
    wiring = read_wiring(candidate, len(widths))
    if "hidden" in sizes:
        return parameter_count(wiring, widths, math.prod(card.sample_shape), widths[-1], card.classes)
    pools = sizes["pools"]
    height, width = card.sample_shape[1:]
    for pool in pools:
        height, width = height // pool, width // pool
    return parameter_count(
        wiring,
        widths,
        card.sample_shape[0],
        widths[-1] * height * width,
        card.classes,
        sizes.get("kernel_size", 3) ** 2,
        pools,
    )
