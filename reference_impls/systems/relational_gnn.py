"""A message-passing network without spikes, of GRSNN's shape: what its spikes and delays are compared with."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from reference_impls.graphs import Edges, KnowledgeGraph, Work
from reference_impls.link_training import TrainedReasoner

CARD = {
    "name": "relational-gnn",
    "kind": "system",
    "version": 1,
    "title": "Message passing without spikes",
    "summary": (
        "As many units a node, layers of the same sizes and as many parameters as GRSNN. Where that delays a spike, "
        "this multiplies a message: a weight for every relation and unit, moved by the query, as NBFNet does."
    ),
    "equations": (
        "m_e[t] = w_r(q) h_a[t-1], w(q) = A q; u_b[t] = sum_e m_e[t]; h[t] = relu(norm(W u[t] + b)) + g; "
        "g = q at the source; score = MLP([h[T], q])"
    ),
    "citations": [
        {
            "authors": "Z. Zhu, Z. Zhang, L.-P. Xhonneux, J. Tang",
            "title": "Neural Bellman-Ford Networks: A General Graph Neural Network Framework for Link Prediction",
            "venue": "NeurIPS",
            "year": 2021,
            "arxiv": "2106.06935",
            "code": "https://github.com/DeepGraphLearning/NBFNet",
        }
    ],
    "capabilities": {"answers": "links", "spiking": False, "learns": True},
    "defaults": {"width": 32, "rounds": 6, "negatives": 256, "temperature": 1.0},
    "divergences": [
        "NBFNet has weights of their own in each of its six rounds, and several aggregations; here the rounds share "
        "them and messages are summed, so that the sizes are GRSNN's. Its idea is from the paper as remembered; no "
        "figure of the paper is compared with."
    ],
}


class RelationalGNN(TrainedReasoner):
    """Rounds of messages that relations weight.

    Parameters
    ----------
    width : units a node.
    rounds : how far a message goes.
    negatives, temperature, remove_one_hop : of the loss, see `TrainedReasoner`.
    """

    def __init__(
        self,
        width: int = 32,
        rounds: int = 6,
        negatives: int = 256,
        temperature: float = 1.0,
        remove_one_hop: bool = False,
    ) -> None:
        super().__init__(negatives, temperature, remove_one_hop)
        if min(width, rounds) < 1:
            raise ValueError(f"need units and rounds, got width {width} and {rounds} rounds")
        self.width, self.rounds = width, rounds
        self.linear = nn.Linear(width, width)
        self.read_out = nn.Sequential(nn.Linear(2 * width, 2 * width), nn.ReLU(), nn.Linear(2 * width, 1))

    def build(self, graph: KnowledgeGraph) -> None:
        """Make what depends on the number of relations."""
        kinds = 2 * graph.relations
        self.query = nn.Embedding(kinds, self.width)
        self.relation = nn.Linear(self.width, kinds * self.width)

    def scored(self, queries: Tensor, edges: Edges) -> Tensor:
        """Pass messages and read out every node."""
        nodes = self.graph.entities
        asked = self.query(queries[:, 1])
        weights = self.relation(asked).unflatten(1, (-1, self.width)).index_select(1, edges.relation)
        everyone = torch.arange(len(queries), device=queries.device)
        injected = asked.new_zeros(len(queries), nodes, self.width).index_put((everyone, queries[:, 0]), asked)
        h = injected
        for _ in range(self.rounds):
            messages = h.index_select(1, edges.source) * weights
            summed = torch.zeros_like(h).index_add(1, edges.target, messages)
            h = functional.relu(functional.layer_norm(self.linear(summed), (self.width,))) + injected
        scores: Tensor = self.read_out(torch.cat([h, asked[:, None].expand_as(h)], -1))[..., 0]
        return scores

    def work(self, queries: Tensor) -> Work:
        """Count products and sums of dense messages; what depends on the relation alone is kept, not counted."""
        nodes, edges = self.graph.entities, len(self.graph.edges.source)
        a_round = edges * self.width + nodes * self.width**2
        read = nodes * (self.width * 2 * self.width + 2 * self.width)
        return Work(multiply_accumulates=len(queries) * (self.rounds * a_round + read))
