"""How systems learn to complete facts: negatives that are no facts, weighted by how much they are believed.

As GRSNN's and NBFNet's authors train, so that rows differ in their network and in nothing else. Must not know what
the network is.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn import functional

from reference_impls.graphs import Answers, Edges, KnowledgeGraph, MakeOptimizer, Reasoner

__all__ = ["TrainedReasoner", "link_loss"]


def link_loss(scores: Tensor, answers: Tensor, negatives: Tensor, temperature: float) -> Tensor:
    """Return the binary cross-entropy of one right answer and several wrong ones, the mean over queries.

    A wrong answer weighs ``softmax(score / temperature)`` among those of its query, without gradient: the more it is
    believed, the more it counts (Z. Sun et al., ICLR 2019, arXiv 1902.10197; GRSNN's and NBFNet's code).

    Parameters
    ----------
    scores : ``[B, N]``, logits.
    answers : ``[B]``.
    negatives : ``[B, N]``, true for the wrong answers that count; a query may have none.
    temperature : positive.
    """
    right = functional.softplus(-scores.gather(1, answers[:, None])[:, 0])
    believed = (scores.detach() / temperature).masked_fill(~negatives, -torch.inf)
    weights = torch.where(negatives.any(1, keepdim=True), believed, 0).softmax(1) * negatives
    wrong = (weights * functional.softplus(scores)).sum(1)
    return ((right + wrong) / 2).mean()


class TrainedReasoner(Reasoner):
    """A reasoner that learns by gradient from facts that are hidden from its graph while it is asked for them.

    Parameters
    ----------
    negatives : wrong answers a query, drawn evenly among the entities that no training fact makes right.
    temperature : of the weights of wrong answers.
    remove_one_hop : whether all edges between head and tail of a fact are hidden with it, whatever their relation;
        else those of the fact alone.
    """

    graph: KnowledgeGraph

    def __init__(self, negatives: int = 256, temperature: float = 1.0, remove_one_hop: bool = False) -> None:
        super().__init__()
        if negatives < 1 or not temperature > 0:
            raise ValueError(f"need negatives and a positive temperature, got {negatives} and {temperature}")
        self.negatives, self.temperature, self.remove_one_hop = negatives, temperature, remove_one_hop

    @abstractmethod
    def build(self, graph: KnowledgeGraph) -> None:
        """Make the parameters, which depend on the relations of the graph."""

    @abstractmethod
    def scored(self, queries: Tensor, edges: Edges) -> Tensor:
        """Return ``[B, entities]`` for queries ``[B, 2]``, with messages along `edges`."""

    def prepare(self, graph: KnowledgeGraph, make_optimizer: MakeOptimizer) -> None:
        """Build for the graph and take an optimizer."""
        self.graph = graph
        self._known = Answers(graph.facts, graph.entities, graph.relations)
        self.build(graph)
        self.to(graph.facts.device)
        self._optimizer = make_optimizer(self.parameters())

    def update(self, facts: Tensor) -> float:
        """Ask the first half of ``[B, 3]`` for tails and the others for heads, and step."""
        self.train()
        head, relation, tail = facts.unbind(1)
        for_tail = torch.arange(len(facts), device=facts.device) < len(facts) / 2
        queries = torch.stack(
            [torch.where(for_tail, head, tail), torch.where(for_tail, relation, relation + self.graph.relations)], 1
        )
        scores = self.scored(queries, self._without(facts))
        loss = link_loss(scores, torch.where(for_tail, tail, head), self._drawn(queries), self.temperature)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        return float(loss.detach())

    @torch.no_grad()
    def score(self, queries: Tensor) -> Tensor:
        """Ask with all training facts as edges."""
        self.eval()
        return self.scored(queries, self.graph.edges)

    def _without(self, facts: Tensor) -> Edges:
        """Return the edges that are left when those of `facts` are hidden, both ways."""
        edges, entities = self.graph.edges, self.graph.entities
        head, relation, tail = facts.unbind(1)
        here, there = head * entities + tail, tail * entities + head
        pairs = edges.source * entities + edges.target
        if self.remove_one_hop:
            return edges.kept(~torch.isin(pairs, torch.cat([here, there])))
        kinds = 2 * self.graph.relations
        hidden = torch.cat([here * kinds + relation, there * kinds + relation + self.graph.relations])
        return edges.kept(~torch.isin(pairs * kinds + edges.relation, hidden))

    def _drawn(self, queries: Tensor) -> Tensor:
        """Return ``[B, entities]``, true for the wrong answers that were drawn."""
        wrong = ~self._known.mask(queries)
        if self.negatives >= self.graph.entities:
            return wrong
        # The largest of random numbers, which are negative for right answers: without replacement.
        drawn = torch.rand(wrong.shape, device=wrong.device).masked_fill_(~wrong, -1.0)
        chosen = torch.zeros_like(wrong).scatter_(1, drawn.topk(self.negatives, 1).indices, True)
        return chosen & wrong
