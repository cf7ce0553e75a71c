"""link_prediction: which entity completes a fact of a knowledge graph, after the task's training budget.

A graph is no batch of sequences, and a system that reasons over it brings network and training together. So this suite
has a workload of its own (:mod:`harness.suites.common.links`): the cell names a system on the axis ``neuron`` and a
graph on the axis ``task``, and neither method nor topology.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from harness.results.record import Series
from harness.suites.common.base import Answer, DivergedError, Measurement, Suite
from harness.suites.common.figures import mean_with_interval, work_figures
from harness.suites.common.links import Ranks, graph_of, ranked, reasoner_of
from harness.tasks.common.graph import GraphSplit
from harness.workload import Workload
from reference_impls.building import parameters_of
from reference_impls.graphs import Answers, Reasoner, Work, both_ways

CARD = {
    "name": "link_prediction",
    "kind": "suite",
    "version": 1,
    "title": "Completing facts",
    "summary": (
        "Trains a system on the facts of a knowledge graph, then asks for tail and head of every test fact and ranks "
        "the right answer among all entities that no known fact makes right. The validation part chooses the epoch; "
        "equal scores count as the mean over their orders."
    ),
    "exclusive": False,
    "timeout_seconds": 86400.0,
    "typical_seconds": 30.0,
    "targets": ["links"],
    "metrics": {
        "mean_reciprocal_rank": {
            "short": "MRR",
            "title": "mean reciprocal rank, filtered",
            "unit": "fraction",
            "direction": "higher",
        },
        "hits_at_1_fraction": {
            "short": "hits at 1",
            "title": "right answers that stand first, filtered",
            "unit": "fraction",
            "direction": "higher",
        },
        "hits_at_3_fraction": {
            "short": "hits at 3",
            "title": "right answers among the first three, filtered",
            "unit": "fraction",
            "direction": "higher",
        },
        "hits_at_10_fraction": {
            "short": "hits at 10",
            "title": "right answers among the first ten, filtered",
            "unit": "fraction",
            "direction": "higher",
        },
        "last_reciprocal_rank": {
            "title": "mean reciprocal rank, last epoch",
            "unit": "fraction",
            "direction": "higher",
            "judged": False,
        },
        "validation_reciprocal_rank": {
            "title": "mean reciprocal rank, validation part",
            "unit": "fraction",
            "direction": "higher",
            "judged": False,
        },
        "best_epoch": {"title": "epoch chosen", "unit": "epochs", "direction": "none"},
        "optimizer_updates": {"title": "optimizer updates", "unit": "updates", "direction": "none"},
        "spikes_per_neuron": {
            "short": "spikes/neuron",
            "title": "spikes per neuron and query",
            "unit": "spikes",
            "direction": "lower",
        },
        "accumulates_per_query": {"title": "accumulates per query", "unit": "operations", "direction": "lower"},
        "multiply_accumulates_per_query": {
            "title": "multiply-accumulates per query",
            "unit": "operations",
            "direction": "lower",
        },
        "energy_joules": {
            "short": "energy",
            "title": "arithmetic energy per query (45 nm)",
            "unit": "joules",
            "direction": "lower",
        },
        "parameters": {"title": "parameters", "unit": "parameters", "direction": "lower", "exact": True},
    },
}

COUNTED = 128
"""Test facts on whose two queries operations are counted; all, if there are fewer."""
_BUDGET = ("epochs", "batch_size", "train_limit", "test_limit")


@dataclass
class _Training:
    """What happened, epoch by epoch, and the best so far by validation."""

    losses: list[float] = field(default_factory=list)
    validation: list[Ranks] = field(default_factory=list)
    test: list[Ranks] = field(default_factory=list)
    best: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    updates: int = 0

    def add(self, reasoner: Reasoner, validation: Ranks, test: Ranks) -> None:
        """Append an epoch; keep its weights if no earlier one is as good."""
        self.validation.append(validation)
        self.test.append(test)
        before = self.validation[self.best].reciprocal.mean()
        if len(self.validation) == 1 or validation.reciprocal.mean() > before:
            self.best = len(self.validation) - 1
            self.best_weights = {key: value.detach().clone() for key, value in reasoner.state_dict().items()}


class LinkPrediction(Suite):
    """Train on facts, and rank what completes others."""

    def run(self, workload: Workload) -> Answer:
        """Train the cell's system and report where the right answers stand."""
        split = graph_of(workload)
        reasoner = reasoner_of(workload, split)
        learns = workload.registry.systems[workload.cell.neuron].capabilities.learns
        training = _train(workload, reasoner, split, learns)
        reasoner.load_state_dict(training.best_weights)
        chosen = training.test[training.best]
        figures = {
            "mean_reciprocal_rank": _mean(chosen.reciprocal),
            **{f"hits_at_{k}_fraction": _mean(values) for k, values in chosen.hits.items()},
            "last_reciprocal_rank": _mean(training.test[-1].reciprocal),
            "validation_reciprocal_rank": _mean(training.validation[training.best].reciprocal),
            "parameters": Measurement(float(sum(parameter.numel() for parameter in reasoner.parameters()))),
        }
        if learns:
            figures["best_epoch"] = Measurement(float(training.best + 1))
            figures["optimizer_updates"] = Measurement(float(training.updates))
        figures |= _cost(reasoner, _limited(split.test, COUNTED), split, workload)
        return Answer(figures, _curves(training) if learns else {}, _details(workload, split))


def _limited(facts: Tensor, limit: int | None) -> Tensor:
    """Return `limit` facts, evenly spread over all (None: all): files are sorted by relation."""
    if limit is None or limit >= len(facts):
        return facts
    return facts[torch.linspace(0, len(facts) - 1, limit, dtype=torch.float64).round().long()]


def _mean(values: Tensor) -> Measurement:
    """Return the mean over facts with its interval, of which nothing lies outside of what a share can be."""
    found = mean_with_interval(values.tolist(), "test facts")
    if found.low is None or found.high is None:
        return found
    return replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))


def _train(workload: Workload, reasoner: Reasoner, split: GraphSplit, learns: bool) -> _Training:
    """Go through the training facts for the budget's epochs; what learns nothing is only asked.

    Raises
    ------
    DivergedError
        If a loss or a score stops being finite.
    """
    budget, found = workload.budget, _Training()
    facts, validation, test = (
        _limited(part, limit).to(workload.device)
        for part, limit in (
            (split.graph.facts, budget.train_limit),
            (split.validation, budget.test_limit),
            (split.test, budget.test_limit),
        )
    )
    every = torch.cat([split.graph.facts, split.validation, split.test]).to(workload.device)
    known = Answers(every, split.graph.entities, split.graph.relations)
    order = torch.Generator().manual_seed(workload.cell.seed)
    epochs = budget.epochs if learns else 1
    for epoch in range(epochs):
        loss, seen = 0.0, 0
        for chosen in torch.randperm(len(facts), generator=order).split(budget.batch_size) if learns else ():
            workload.course.fraction = (epoch + seen / len(facts)) / epochs
            workload.progress(workload.course.fraction, f"epoch {epoch + 1}/{epochs}")
            of_batch = reasoner.update(facts[chosen.to(workload.device)])
            if not math.isfinite(of_batch):
                raise DivergedError(f"the loss became {of_batch} in epoch {epoch + 1}")
            loss, seen, found.updates = loss + of_batch * len(chosen), seen + len(chosen), found.updates + 1
        found.losses.append(loss / max(seen, 1))
        on = (ranked(reasoner, part, split, known, 2 * budget.batch_size) for part in (validation, test))
        found.add(reasoner, *on)
    return found


def _cost(reasoner: Reasoner, facts: Tensor, split: GraphSplit, workload: Workload) -> dict[str, Measurement]:
    """Count what queries take, and what that costs; nothing for what has no arithmetic."""
    queries = both_ways(facts.to(workload.device), split.graph.relations)[0]
    total = Work()
    for some in queries.split(2 * workload.budget.batch_size):
        work = reasoner.work(some)
        if work is None:
            return {}
        total += work
    return work_figures(total, reasoner.spiking_neuron, workload.task_card.T, len(queries), "query")


def _curves(training: _Training) -> dict[str, Series]:
    def curve(name: str, unit: str, values: list[float]) -> Series:
        points = tuple((float(epoch), value) for epoch, value in enumerate(values, start=1))
        return Series(x="epoch", x_unit="epochs", y=name, y_unit=unit, points=points)

    ranks = {"validation": training.validation, "test": training.test}
    return {
        "train_loss": curve("train_loss", "nats", training.losses),
        **{
            f"{part}_reciprocal_rank": curve(
                f"{part}_reciprocal_rank", "fraction", [float(one.reciprocal.mean()) for one in of_part]
            )
            for part, of_part in ranks.items()
        },
    }


def _details(workload: Workload, split: GraphSplit) -> Mapping[str, Any]:
    """Return the sizes of the graph, and everything that the training rests on."""
    return {
        "split_digest": split.digest,
        "entities": split.graph.entities,
        "relations": split.graph.relations,
        "training_facts": len(split.graph.facts),
        "validation_facts": len(split.validation),
        "test_facts": len(split.test),
        "system": parameters_of("system", workload.cell.neuron, Reasoner, {}),
        "budget": {name: getattr(workload.budget, name) for name in _BUDGET},
        "learning_rate": workload.budget.learning_rate,
        "optimizer": workload.budget.optimizer,
    }
