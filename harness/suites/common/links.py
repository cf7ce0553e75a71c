"""What a suite that asks for links works on: a graph instead of samples, a system instead of a network and a method.

The workload of other suites builds neurons, networks and batches of sequences; of it only what is common is used here
(cell, budget, optimizer, device). Must not judge.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.suites.common.base import DivergedError
from harness.tasks.common.graph import GraphSplit, GraphTask
from harness.workload import Workload
from reference_impls.building import build
from reference_impls.discovery import load_class
from reference_impls.graphs import Answers, Reasoner, both_ways

__all__ = ["Ranks", "graph_of", "ranked", "reasoner_of"]

HITS = (1, 3, 10)


def graph_of(workload: Workload) -> GraphSplit:
    """Load the graph of the cell's task."""
    row = workload.registry.tasks[workload.cell.task]
    task: GraphTask = load_class(row.module, GraphTask)(workload.task_card, **row.params)
    return task.load(workload.data_root)


def reasoner_of(workload: Workload, split: GraphSplit) -> Reasoner:
    """Build the cell's system for a graph, with weights drawn from its seed, on its device."""
    torch.manual_seed(workload.cell.seed)
    reasoner: Reasoner = build("system", workload.cell.neuron, Reasoner, {})
    reasoner.prepare(split.graph.to(workload.device), workload.optimizer)
    return reasoner.to(workload.device, workload.dtype)


@dataclass(frozen=True, slots=True)
class Ranks:
    """Where the right answers stand, fact by fact: the mean of its two questions."""

    reciprocal: Tensor
    """``[N]``, 1 / rank."""
    hits: dict[int, Tensor]
    """For k of 1, 3 and 10, ``[N]``: whether the rank is at most k; between 0 and 1 where scores are equal."""


def ranked(reasoner: Reasoner, facts: Tensor, split: GraphSplit, known: Answers, batch: int) -> Ranks:
    """Ask for tail and head of every fact and rank the right answer among what is not known to be right (filtered).

    Equal scores stand in every order equally often: what is returned is the mean over all of them, so that a system
    that answers always the same is worth what chance is worth (Z. Sun et al., ACL 2020, arXiv 1911.03903).

    Parameters
    ----------
    facts : ``[N, 3]``.
    known : right answers of all parts.
    batch : queries at a time.

    Raises
    ------
    DivergedError
        If a score is not finite: it has no rank.
    """
    queries, answers = both_ways(facts, split.graph.relations)
    better, equal = [], []
    for some, right in zip(queries.split(batch), answers.split(batch), strict=True):
        scores = reasoner.score(some).double()
        own = scores.gather(1, right[:, None])
        if not torch.isfinite(scores).all():
            raise DivergedError("a score is not finite")
        others = ~known.mask(some)
        better.append(((scores > own) & others).sum(1))
        equal.append(((scores == own) & others).sum(1))
    return _means(torch.cat(better).cpu(), torch.cat(equal).cpu(), split.graph.entities)


def _means(better: Tensor, equal: Tensor, entities: int) -> Ranks:
    """Return the means over the orders of `equal` others, with `better` before all: ranks are better + 1 and on."""
    places = torch.arange(entities + 1, dtype=torch.float64)
    harmonic = torch.cat([places.new_zeros(1), (1 / (places + 1)).cumsum(0)])
    orders = equal + 1

    def of_fact(values: Tensor) -> Tensor:
        return values.view(2, -1).mean(0)

    hits = {k: of_fact(((k - better).clamp(min=0).minimum(orders) / orders).double()) for k in HITS}
    return Ranks(of_fact((harmonic[better + orders] - harmonic[better]) / orders), hits)
