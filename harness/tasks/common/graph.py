"""The contract of a task that is a knowledge graph: which facts are known, which validate and which test.

A graph is no batch of sequences, so a task of this kind is no `Task`: it has no encoding, no samples and no networks,
and its suite brings a workload of its own. Must not know the systems that are asked.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.catalogue.cards import TaskCard
from harness.data.triples import Triples
from reference_impls.graphs import KnowledgeGraph

__all__ = ["GraphSplit", "GraphTask", "split_of"]


@dataclass(frozen=True, slots=True)
class GraphSplit:
    """The parts of a graph; no fact is in two of them."""

    graph: KnowledgeGraph
    """All entities and relations, and the training facts."""
    validation: Tensor
    """Facts ``[N, 3]`` that choose the epoch: head, relation, tail."""
    test: Tensor
    digest: str
    """Hash of which fact lies where."""


class GraphTask(ABC):
    """A knowledge graph. A subclass lives alone in its file and takes the card's parameters as keywords."""

    def __init__(self, card: TaskCard, **params: Any) -> None:
        self.card = card
        self.params: Mapping[str, Any] = params

    @abstractmethod
    def load(self, data_root: Path | None) -> GraphSplit:
        """Read the graph; the same every time.

        Parameters
        ----------
        data_root : folder of data sets (None: the default places).

        Raises
        ------
        harness.errors.UserError
            If the data set is missing or broken.
        """


def split_of(found: Triples) -> GraphSplit:
    """Return the parts of a graph as tensors."""
    train, validation, test = (torch.from_numpy(part) for part in (found.train, found.valid, found.test))
    graph = KnowledgeGraph(len(found.entities), len(found.relations), train)
    return GraphSplit(graph, validation, test, found.digest)
