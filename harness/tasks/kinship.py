"""kinship: families whose grandparents, parents' siblings and parents-in-law follow from other facts."""

from __future__ import annotations

from pathlib import Path

from harness.data.kinship import kinship
from harness.tasks.common.graph import GraphSplit, GraphTask, split_of

CARD = {
    "name": "kinship",
    "kind": "task",
    "version": 1,
    "title": "Kinship",
    "summary": (
        "A generated graph of families over four generations. Fathers, mothers and husbands are given; who else is "
        "related how follows from chains of two or three such facts, and has to be found along them."
    ),
    "data": "generated",
    "T": 10,
    "sample_shape": [2],
    "classes": 116,
    "target": "links",
    "input_kind": "analog",
    "encoding": "a query: an entity and a relation, or the inverse of one",
    "split": "624 training facts, all given ones among them; 56 validate and 116 test, of the relations that follow",
    "defaults": {"couples": 12, "given_held_back": 0.0},
    "variants": {
        "kinship-sparse": {
            "title": "Kinship, with gaps",
            "summary": "More families; of fathers, mothers and husbands a tenth is held back, too: chains are longer.",
            "params": {"couples": 20, "given_held_back": 0.1},
            "overrides": {
                "classes": 210,
                "split": "1,159 training facts; 124 validate and 257 test, of all relations",
            },
        },
    },
    "networks": {},
    "budgets": {
        "smoke": {"epochs": 1, "batch_size": 16, "learning_rate": 2e-3, "train_limit": 64, "test_limit": 32},
        # Adam at the authors' rate for graphs without inductive split. 195 updates: half a minute on a core.
        "quick": {"epochs": 5, "batch_size": 16, "learning_rate": 2e-3},
        "standard": {"epochs": 20, "batch_size": 16, "learning_rate": 2e-3},
    },
}


class Kinship(GraphTask):
    """Generated families."""

    def load(self, data_root: Path | None) -> GraphSplit:  # noqa: ARG002 - nothing is read
        """Make the families."""
        return split_of(kinship(self.params["couples"], given_held_back=self.params["given_held_back"]))
