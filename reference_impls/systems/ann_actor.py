"""The actor without spikes: layers of the same sizes, ReLU, and a tanh."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from reference_impls.control import Actor
from reference_impls.graphs import Work

CARD = {
    "name": "ann-actor",
    "kind": "system",
    "version": 1,
    "title": "Actor without spikes",
    "summary": "A fully connected network with ReLU, as wide and as deep as the spiking actors beside it.",
    "citations": [
        {
            "authors": "S. Fujimoto, H. van Hoof, D. Meger",
            "title": "Addressing Function Approximation Error in Actor-Critic Methods",
            "venue": "ICML",
            "year": 2018,
            "arxiv": "1802.09477",
        }
    ],
    "capabilities": {"answers": "control", "spiking": False, "learns": True},
}


class AnnActor(Actor):
    """A multi-layer perceptron."""

    def __init__(self, observations: int, actions: int, hidden: Sequence[int]) -> None:
        super().__init__(observations, actions, hidden)
        sizes = [observations, *hidden, actions]
        self.maps = nn.ModuleList([nn.Linear(before, after) for before, after in pairwise(sizes)])
        self.products = sum(before * after for before, after in pairwise(sizes))

    def forward(self, observation: Tensor) -> Tensor:
        """Decide at once."""
        *before, last = self.maps
        for layer in before:
            observation = torch.relu(layer(observation))
        return torch.tanh(last(observation))

    def work(self, observation: Tensor) -> Work:
        """Count dense products."""
        return Work(multiply_accumulates=len(observation) * self.products)
