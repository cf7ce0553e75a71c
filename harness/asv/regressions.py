"""The regressions that asv's step detection found, read from its pages. Must not decide what counts as one."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.asv.series import graph_link, split_name

__all__ = ["Regression", "published_regressions"]


@dataclass(frozen=True, slots=True)
class Regression:
    """A figure that has grown for good, beyond its threshold in asv.conf.json."""

    suite: str
    metric: str
    label: str
    where: str
    """Machine, interpreter and packages, as far as they tell graphs apart."""
    after: str | None
    """Last commit with the old value; None if `commit` comes directly after it."""
    commit: str
    """First commit with the new value."""
    best: float
    latest: float

    @property
    def growth(self) -> float:
        """Return the latest figure as a multiple of the best; infinite where the best was none at all."""
        return self.latest / self.best if self.best else math.inf

    @property
    def link(self) -> str:
        """Return the address of its graph below the folder of asv's pages."""
        return graph_link(self.suite, self.metric, self.label)


def published_regressions(pages: Path) -> list[Regression]:
    """Return the regressions in asv's pages in the folder `pages`, the largest ratio first."""
    found = json.loads((pages / "regressions.json").read_text(encoding="utf-8"))["regressions"]
    index = json.loads((pages / "index.json").read_text(encoding="utf-8"))
    return sorted(_regressions(found, index), key=lambda item: item.growth, reverse=True)


def _regressions(found: list[Any], index: dict[str, Any]) -> Iterator[Regression]:
    hashes: dict[str, str] = index["revision_to_hash"]
    for entry, _, graph, number, latest, best, jumps in found:
        name = entry.partition("(")[0]
        split = split_name(name)
        if split is None or number is None or not jumps:
            continue
        label = ast.literal_eval(index["benchmarks"][name]["params"][0][number])
        before, after, *_ = jumps[-1]
        yield Regression(
            *split,
            label=label,
            where=", ".join(f"{key} {value}" for key, value in sorted(graph.items()) if key != "branch"),
            after=None if before is None else hashes[str(before)],
            commit=hashes[str(after)],
            best=best,
            latest=latest,
        )
