"""fb15k-237 and wn18rr: the two graphs that most papers on completing facts report."""

from __future__ import annotations

from pathlib import Path

from harness.data.base import data_root as resolve_root
from harness.data.triples import FB15K237, WN18RR
from harness.tasks.common.graph import GraphSplit, GraphTask, split_of

CARD = {
    "name": "fb15k-237",
    "kind": "task",
    "version": 1,
    "title": "FB15k-237",
    "summary": "Facts of Freebase, without relations that are all but the inverse of another. Work for a GPU.",
    "data": "fb15k-237",
    "T": 10,
    "sample_shape": [2],
    "classes": 14541,
    "target": "links",
    "input_kind": "analog",
    "encoding": "a query: an entity and a relation, or the inverse of one",
    "split": "official: 272,115 training facts, 17,535 validate, 20,466 test",
    "variants": {
        "wn18rr": {
            "title": "WN18RR",
            "summary": "How words of WordNet are related, without relations that are all but the inverse of another.",
            "overrides": {
                "data": "wn18rr",
                "classes": 40943,
                "split": "official: 86,835 training facts, 3,034 validate, 3,134 test",
            },
        },
    },
    "networks": {},
    "budgets": {
        "smoke": {"epochs": 1, "batch_size": 2, "learning_rate": 2e-3, "train_limit": 4, "test_limit": 4},
        # A part of the facts is asked for; all of them are edges.
        "quick": {"epochs": 1, "batch_size": 4, "learning_rate": 2e-3, "train_limit": 4000, "test_limit": 500},
        # The authors accumulate gradients to 30 (FB15k-237) and 32 (WN18RR) facts an update, and go on for 20 epochs.
        "standard": {"epochs": 20, "batch_size": 16, "learning_rate": 2e-3},
    },
}


class PublishedGraph(GraphTask):
    """A graph from files."""

    def load(self, data_root: Path | None) -> GraphSplit:
        """Read the official parts."""
        files = {known.name: known for known in (FB15K237, WN18RR)}[str(self.card.data)]
        return split_of(files.read(resolve_root(data_root)))
