"""The contract of a system that completes facts of a knowledge graph, and what such systems share.

A fact says that a relation leads from a head to a tail. A reasoner is asked ``(entity, relation, ?)``; with every
relation r of a graph of R comes its inverse, r + R, so that asking for the head is the same question. Must not know
where a graph comes from, nor how an answer is judged.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor, nn

from reference_impls.neuron import SequentialNeuron

__all__ = ["Answers", "Edges", "KnowledgeGraph", "MakeOptimizer", "Reasoner", "Work", "both_ways"]

MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


def both_ways(facts: Tensor, relations: int) -> tuple[Tensor, Tensor]:
    """Return the two questions that each fact answers: queries ``[2N, 2]`` and their answers ``[2N]``.

    Parameters
    ----------
    facts : ``[N, 3]``: head, relation, tail.
    relations : R; relation r + R is the inverse of r.

    Returns
    -------
    First all tails that are asked for, then all heads.
    """
    head, relation, tail = facts.unbind(1)
    queries = torch.cat([torch.stack([head, relation], 1), torch.stack([tail, relation + relations], 1)])
    return queries, torch.cat([tail, head])


class Edges(NamedTuple):
    """The edges that messages go along, ``[E]`` each: every fact, and its inverse."""

    source: Tensor
    relation: Tensor
    """0 to 2 R - 1."""
    target: Tensor

    def kept(self, keep: Tensor) -> Edges:
        """Return those where ``keep[E]`` is true."""
        return Edges(self.source[keep], self.relation[keep], self.target[keep])


@dataclass(frozen=True)
class KnowledgeGraph:
    """What a reasoner may know: the training facts.

    Parameters
    ----------
    entities, relations : how many there are; relations without their inverses.
    facts : ``[N, 3]``, int64: head, relation, tail.
    """

    entities: int
    relations: int
    facts: Tensor

    @cached_property
    def edges(self) -> Edges:
        """Return all facts as edges, both ways."""
        queries, answers = both_ways(self.facts, self.relations)
        return Edges(queries[:, 0], queries[:, 1], answers)

    def to(self, device: torch.device) -> KnowledgeGraph:
        """Return it on `device`."""
        return KnowledgeGraph(self.entities, self.relations, self.facts.to(device))


class Answers:
    """Which entities complete a query, by all `facts` given: what no ranking may count as wrong.

    Parameters
    ----------
    facts : ``[N, 3]``.
    entities, relations : of the graph.
    """

    def __init__(self, facts: Tensor, entities: int, relations: int) -> None:
        self._entities, self._relations = entities, relations
        queries, answers = both_ways(facts, relations)
        order = self._keys(queries).argsort(stable=True)
        self._sorted, self._answers = self._keys(queries)[order], answers[order]

    def _keys(self, queries: Tensor) -> Tensor:
        return queries[:, 0] * (2 * self._relations) + queries[:, 1]

    def mask(self, queries: Tensor) -> Tensor:
        """Return ``[B, entities]``, true where an entity completes a query of ``[B, 2]``."""
        keys = self._keys(queries)
        first, last = (torch.searchsorted(self._sorted, keys, right=right) for right in (False, True))
        counts = last - first
        rows = torch.repeat_interleave(torch.arange(len(keys), device=keys.device), counts)
        before = torch.repeat_interleave(counts.cumsum(0) - counts, counts)
        within = torch.arange(len(rows), device=keys.device) - before
        found = torch.zeros(len(keys), self._entities, dtype=torch.bool, device=keys.device)
        found[rows, self._answers[torch.repeat_interleave(first, counts) + within]] = True
        return found


class Work(NamedTuple):
    """What answering a batch of queries took, summed over its queries."""

    spikes: int = 0
    accumulates: int = 0
    """A spike adds a weight or a number to a sum."""
    multiply_accumulates: int = 0
    updates: int = 0
    """Updates of spiking neurons."""
    neurons: int = 0
    """Spiking neurons, once a query."""

    def __add__(self, other: object) -> Work:
        assert isinstance(other, Work)
        return Work(*(one + more for one, more in zip(self, other, strict=True)))


class Reasoner(nn.Module, ABC):
    """A system that says for every entity how well it completes a fact.

    Parameters of a constructor come from its card; what depends on the graph is made in `prepare`.
    """

    def __init__(self) -> None:
        super().__init__()

    @property
    def spiking_neuron(self) -> SequentialNeuron | None:
        """Return the neuron whose updates `work` counts; None if there is none."""
        return None

    @abstractmethod
    def prepare(self, graph: KnowledgeGraph, make_optimizer: MakeOptimizer) -> None:
        """Take the training facts and build what depends on them; weights are drawn from torch's generator."""

    @abstractmethod
    def update(self, facts: Tensor) -> float:
        """Learn from training facts ``[B, 3]`` and return the loss; what learns nothing returns 0."""

    @abstractmethod
    def score(self, queries: Tensor) -> Tensor:
        """Return ``[B, entities]`` for queries ``[B, 2]`` (entity, relation of 0 to 2 R - 1): higher is likelier."""

    def work(self, queries: Tensor) -> Work | None:
        """Return what `score` takes for queries ``[B, 2]``; None if that is no arithmetic worth counting."""
        return None
