"""The trivial baseline of a knowledge graph: what completes a relation most often, whoever is asked about."""

from __future__ import annotations

import torch
from torch import Tensor

from reference_impls.graphs import KnowledgeGraph, MakeOptimizer, Reasoner

CARD = {
    "name": "relation-frequency",
    "kind": "system",
    "version": 1,
    "title": "Frequency of a relation",
    "summary": (
        "An entity scores how often it completes the relation among the training facts, and among equals how many "
        "facts it has. Nothing is learned, and the entity that is asked about does not matter."
    ),
    "equations": "score(t) = facts (., r, t) + facts of t / (1 + facts of the busiest entity)",
    "capabilities": {"answers": "links", "spiking": False, "learns": False},
}


class RelationFrequency(Reasoner):
    """Count facts."""

    def prepare(self, graph: KnowledgeGraph, make_optimizer: MakeOptimizer) -> None:
        """Count which entity completes which relation, both ways."""
        edges = graph.edges
        counts = torch.zeros(2 * graph.relations, graph.entities, device=edges.target.device)
        ones = torch.ones(len(edges.target), device=edges.target.device)
        counts.index_put_((edges.relation, edges.target), ones, accumulate=True)
        degree = counts.sum(0)
        self.register_buffer("scores", counts + degree / (1 + degree.max()))

    def update(self, facts: Tensor) -> float:
        """Learn nothing."""
        return 0.0

    def score(self, queries: Tensor) -> Tensor:
        """Return the relation's scores."""
        scores: Tensor = self.scores  # type: ignore[assignment]
        return scores[queries[:, 1]]
