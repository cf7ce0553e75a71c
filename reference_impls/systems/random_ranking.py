"""The least that can be said of a knowledge graph: nothing. What chance gives, exactly."""

from __future__ import annotations

import torch
from torch import Tensor

from reference_impls.graphs import KnowledgeGraph, MakeOptimizer, Reasoner

CARD = {
    "name": "random-ranking",
    "kind": "system",
    "version": 1,
    "title": "Random order",
    "summary": (
        "Every entity scores the same. Equal scores are ranked by the mean over all their orders, so this is the "
        "figure of a random ranking, without its noise."
    ),
    "capabilities": {"answers": "links", "spiking": False, "learns": False},
}


class RandomRanking(Reasoner):
    """Prefer nothing."""

    def prepare(self, graph: KnowledgeGraph, make_optimizer: MakeOptimizer) -> None:
        """Take the number of entities."""
        self.entities = graph.entities

    def update(self, facts: Tensor) -> float:
        """Learn nothing."""
        return 0.0

    def score(self, queries: Tensor) -> Tensor:
        """Return zeros."""
        return torch.zeros(len(queries), self.entities, device=queries.device)
