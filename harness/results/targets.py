"""Targets from records: what LIF under BPTT ends with on each task, tuned where it is, and which seeds that rests on.

Must not know where records or targets lie.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

from harness.catalogue.cell import DEFAULT_RECIPE
from harness.catalogue.deciding import BESIDE, FOR_METHODS, FOR_NEURONS
from harness.catalogue.recipes import TUNED, is_tuning_seed
from harness.catalogue.targets import Target
from harness.results.record import MEASURED, Record

__all__ = ["REFERENCE", "targets_from"]

REFERENCE = {"suite": "accuracy", "neuron": "lif", "method": "bptt"}
ERROR = "validation_error_fraction"
LEAST_SEEDS = 2
"""One seed says nothing of what another ends with."""
_RECIPES = (TUNED, DEFAULT_RECIPE)
"""The first of them that has records counts."""
DIGITS = 6


def targets_from(records: Iterable[Record]) -> list[Target]:
    """Return a target for each task and budget that the reference was trained on with at least two seeds.

    On the network that the task decides with, else on an mlp, else on the one with the lowest mean error.
    """
    by_run: dict[tuple[str, str], dict[tuple[str, str], dict[int, Record]]] = defaultdict(lambda: defaultdict(dict))
    for record in sorted(records, key=lambda record: record.provenance.moment):
        cell = record.cell
        is_reference = all(getattr(cell, axis) == value for axis, value in REFERENCE.items())
        if not is_reference or record.status not in MEASURED or ERROR not in record.metrics:
            continue
        if cell.recipe in _RECIPES and not is_tuning_seed(cell.seed):
            by_run[cell.task, cell.budget][cell.recipe, cell.topology][cell.seed] = record
    found = (_target(task, budget, runs) for (task, budget), runs in sorted(by_run.items()))
    return [target for target in found if target is not None]


def _target(task: str, budget: str, runs: dict[tuple[str, str], dict[int, Record]]) -> Target | None:
    decides = {one.task: one.topology for one in (*BESIDE, *FOR_METHODS, *FOR_NEURONS)}
    enough = {key: seeds for key, seeds in runs.items() if len(seeds) >= LEAST_SEEDS}
    if not enough:
        return None

    def preference(key: tuple[str, str]) -> tuple[int, bool, float]:
        recipe, topology = key
        return _RECIPES.index(recipe), topology != decides.get(task, "mlp"), _mean(enough[key])

    recipe, topology = chosen = min(enough, key=preference)
    seeds = enough[chosen]
    commits = {record.provenance.commit or "" for record in seeds.values()}
    return Target(
        task=task,
        budget=budget,
        error_fraction=_up(max(record.metrics[ERROR].value for record in seeds.values())),
        mean_error_fraction=round(_mean(seeds), DIGITS),
        topology=topology,
        recipe=recipe,
        seeds=tuple(sorted(seeds)),
        commit=commits.pop() if len(commits) == 1 else "",
    )


def _mean(seeds: dict[int, Record]) -> float:
    return sum(record.metrics[ERROR].value for record in seeds.values()) / len(seeds)


def _up(error: float) -> float:
    """Round upwards: the seed that the target comes from must reach it."""
    return math.ceil(error * 10**DIGITS) / 10**DIGITS
