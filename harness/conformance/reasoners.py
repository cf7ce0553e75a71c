"""The contract of a system that completes facts, clause by clause, on a graph of a few entities.

Must not know any system by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from harness.catalogue.cards import Row
from harness.conformance import Check, require
from reference_impls.building import build
from reference_impls.graphs import KnowledgeGraph, Reasoner, both_ways

__all__ = ["REASONER_CHECKS", "ReasonerSubject", "small_graph"]

ENTITIES, RELATIONS = 9, 3
UPDATES = 40


def small_graph() -> KnowledgeGraph:
    """Return a ring whose relation 0 leads one entity on, relation 1 two, and relation 2 three."""
    heads = torch.arange(ENTITIES)
    facts = [torch.stack([heads, torch.full_like(heads, r), (heads + r + 1) % ENTITIES], 1) for r in range(RELATIONS)]
    return KnowledgeGraph(ENTITIES, RELATIONS, torch.cat(facts))


@dataclass(frozen=True)
class ReasonerSubject:
    """A row that completes facts."""

    row: Row

    def built(self, seed: int = 0) -> Reasoner:
        """Return it on the small graph, untrained."""
        torch.manual_seed(seed)
        reasoner: Reasoner = build("system", self.row.name, Reasoner, {})
        reasoner.prepare(small_graph(), lambda parameters: torch.optim.Adam(parameters, lr=1e-2))
        return reasoner

    @property
    def queries(self) -> torch.Tensor:
        """Return some queries, both ways."""
        return both_ways(small_graph().facts[::4], RELATIONS)[0]


def _scores_every_entity(subject: ReasonerSubject) -> None:
    scores = subject.built().score(subject.queries)
    wanted = (len(subject.queries), ENTITIES)
    require(tuple(scores.shape) == wanted, f"score gives {tuple(scores.shape)}, not [queries, entities] = {wanted}")
    require(bool(torch.isfinite(scores).all()), "score gives values that are not finite")
    require(not scores.requires_grad, "score gives values with a gradient: nobody asks for one")


def _same_again(subject: ReasonerSubject) -> None:
    first, second = (subject.built().score(subject.queries) for _ in range(2))
    require(torch.equal(first, second), "the same seed gives other scores the second time")
    reasoner = subject.built()
    again = [reasoner.score(subject.queries) for _ in range(2)]
    require(torch.equal(*again), "asking changes what is answered next: state must not survive a call")


def _each_alone(subject: ReasonerSubject) -> None:
    reasoner = subject.built()
    together = reasoner.score(subject.queries)
    for index in range(len(subject.queries)):
        alone = reasoner.score(subject.queries[index : index + 1])[0]
        require(torch.allclose(alone, together[index], rtol=1e-4, atol=1e-5), f"query {index} scores other in a batch")


def _learns_as_it_says(subject: ReasonerSubject) -> None:
    learns = subject.row.capabilities.learns
    reasoner, facts = subject.built(), small_graph().facts
    before = [parameter.detach().clone() for parameter in reasoner.parameters()]
    losses = [reasoner.update(facts[torch.randperm(len(facts))]) for _ in range(UPDATES if learns else 1)]
    changed = any(not torch.equal(*pair) for pair in zip(before, reasoner.parameters(), strict=True))
    require(changed == learns, f"its card says learns = {learns}, but update {'moves' if changed else 'keeps'} weights")
    if learns:
        early, late = sum(losses[:5]), sum(losses[-5:])
        require(late < early, f"{UPDATES} updates raise the loss from {early / 5:.3g} to {late / 5:.3g}")


def _counts_its_work(subject: ReasonerSubject) -> None:
    reasoner = subject.built()
    spiking = subject.row.capabilities.spiking
    require(
        (reasoner.spiking_neuron is not None) == spiking, f"its card says spiking = {spiking}; spiking_neuron does not"
    )
    work = reasoner.work(subject.queries)
    if work is None:
        require(not subject.row.capabilities.learns, "what learns has arithmetic: work must count it")
        return
    require(all(isinstance(count, int) and count >= 0 for count in work), f"work gives {work}: whole numbers from 0")
    require(
        bool(work.neurons) == spiking,
        f"work counts {work.neurons} spiking neurons of a system with spiking = {spiking}",
    )
    one = sum((reasoner.work(query[None]) or work for query in subject.queries), start=type(work)())
    require(one == work, f"work counts {work} for a batch and {one} for its queries one by one")


_CLAUSES: tuple[tuple[str, str, Callable[[ReasonerSubject], None]], ...] = (
    ("scores", "Every query has a finite score for every entity.", _scores_every_entity),
    ("same again", "The same seed gives the same scores, and asking changes nothing.", _same_again),
    ("each alone", "What a query scores does not depend on its batch.", _each_alone),
    ("learns", "Updates move weights and lower the loss, if its card says that it learns.", _learns_as_it_says),
    ("work", "Operations are counted, query by query as in a batch.", _counts_its_work),
)
REASONER_CHECKS = tuple(Check(name, promise, run) for name, promise, run in _CLAUSES)
