"""The contract of a task that is a knowledge graph. The facts are read, twice; must not know any task by name."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from harness.catalogue.cards import Registry, TaskCard
from harness.conformance import Check, require
from harness.tasks.common.graph import GraphSplit, GraphTask
from reference_impls.discovery import load_class

__all__ = ["GRAPH_CHECKS", "GraphSubject"]


@dataclass(frozen=True)
class GraphSubject:
    """A task row, with the place of its data."""

    name: str
    registry: Registry
    data_root: Path | None = None

    @property
    def card(self) -> TaskCard:
        """Return what the task's card says."""
        return self.registry.task(self.name)

    @functools.cached_property
    def split(self) -> GraphSplit:
        """Return what `load` gives."""
        row = self.registry.tasks[self.name]
        task: GraphTask = load_class(row.module, GraphTask)(self.card, **row.params)
        return task.load(self.data_root)

    @property
    def parts(self) -> Iterable[tuple[str, Tensor]]:
        """Yield every part by its name."""
        split = self.split
        return (("train", split.graph.facts), ("validation", split.validation), ("test", split.test))


def _has_facts(subject: GraphSubject) -> None:
    for part, facts in subject.parts:
        require(facts.dtype == torch.int64, f"its {part} facts are {facts.dtype}; they are torch.int64")
        shape = tuple(facts.shape)
        require(len(shape) == 2 and shape[0] > 0 and shape[1] == 3, f"its {part} facts have shape {shape}, not [N, 3]")


def _has_the_cards_entities(subject: GraphSubject) -> None:
    graph = subject.split.graph
    require(
        graph.entities == subject.card.classes,
        f"it has {graph.entities} entities; the card says {subject.card.classes}",
    )
    most = torch.tensor([graph.entities, graph.relations, graph.entities])
    for part, facts in subject.parts:
        inside = bool(((facts >= 0) & (facts < most)).all())
        require(inside, f"its {part} facts name entities or relations that the graph does not have")


def _keeps_parts_apart(subject: GraphSubject) -> None:
    every = torch.cat([facts for _, facts in subject.parts])
    twice = len(every) - len(torch.unique(every, dim=0))
    require(twice == 0, f"{twice} facts stand there twice, in one part or in two")


def _reads_the_same_again(subject: GraphSubject) -> None:
    again = GraphSubject(subject.name, subject.registry, subject.data_root)
    require(again.split.digest == subject.split.digest, "load gives another split the second time: fix what it draws")
    same = all(torch.equal(one, other) for (_, one), (_, other) in zip(subject.parts, again.parts, strict=True))
    require(same, "load gives other facts the second time: fix what it draws")


GRAPH_CHECKS: tuple[Check[GraphSubject], ...] = (
    Check("facts", "Every part has facts [N, 3].", _has_facts),
    Check(
        "entities", "Facts name the graph's entities and relations, as many as the card says.", _has_the_cards_entities
    ),
    Check("apart", "No fact is in two parts.", _keeps_parts_apart),
    Check("same again", "The same facts are read into the same parts.", _reads_the_same_again),
)
