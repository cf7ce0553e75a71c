"""The regressions that asv's step detection found, read from its pages, and which of them are new since a commit.

Must not decide what counts as a step; asv does.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from harness.asv.series import graph_link, split_name
from harness.catalogue.cards import Registry

__all__ = ["Jump", "Regression", "new_regressions", "published_regressions", "threshold_of"]

DEFAULT_THRESHOLD = 0.05
"""asv's own, where no pattern matches."""


class Jump(NamedTuple):
    """A step upward of a series."""

    after: str | None
    """Last commit with the old value; None if `commit` comes directly after it."""
    commit: str
    """First commit with the new value."""
    old: float
    new: float


@dataclass(frozen=True, slots=True)
class Regression:
    """A figure that has grown for good, beyond its threshold in asv.conf.json."""

    entry: str
    """asv's name of the series, which the patterns of asv.conf.json are matched with."""
    suite: str
    metric: str
    label: str
    where: str
    """Machine, interpreter and packages, as far as they tell graphs apart."""
    jumps: tuple[Jump, ...]
    """Oldest first; at least one."""
    best: float
    latest: float
    machine: str | None = None
    """None where the pages have one machine only."""

    @property
    def commit(self) -> str:
        """Return the first commit with the latest value."""
        return self.jumps[-1].commit

    @property
    def after(self) -> str | None:
        """Return the last commit before the latest value, or None if `commit` comes directly after it."""
        return self.jumps[-1].after

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


def new_regressions(
    found: Iterable[Regression],
    commits: Collection[str],
    registry: Registry,
    thresholds: Mapping[str, float],
    labels: Collection[str] | None = None,
    is_accepted: Callable[[Regression, Jump], bool] = lambda _regression, _jump: False,
) -> list[Regression]:
    """Return what commits of `commits` alone brought, in metrics that are judged at all; `best` is the value before.

    Parameters
    ----------
    found : of the whole history.
    commits : full hashes of those that are judged.
    rows : say which metrics of a suite are judged.
    thresholds : relative growth that counts, as asv.conf.json has it. asv has compared with the best of all times, so
        a series that was accepted as slower would be reported for any trifle on top.
    labels : series that are judged; None for all.
    is_accepted : whether somebody has accepted a jump; it is not judged then.
    """
    judged = []
    for item in found:
        jumps = tuple(jump for jump in item.jumps if jump.commit in commits and not is_accepted(item, jump))
        if not jumps or (labels is not None and item.label not in labels):
            continue
        card = registry.suite(item.suite).metrics.get(item.metric)
        recent = replace(item, jumps=jumps, best=jumps[0].old)
        if card is not None and card.judged and recent.growth > 1 + threshold_of(item.entry, thresholds):
            judged.append(recent)
    return sorted(judged, key=lambda item: item.growth, reverse=True)


def threshold_of(entry: str, thresholds: Mapping[str, float]) -> float:
    """Return what asv takes for the threshold of a series: the largest of those whose pattern matches."""
    return max((value for pattern, value in thresholds.items() if re.match(pattern, entry)), default=DEFAULT_THRESHOLD)


def _regressions(found: list[Any], index: dict[str, Any]) -> Iterator[Regression]:
    hashes: dict[str, str] = index["revision_to_hash"]
    for entry, _, graph, number, latest, best, jumps in found:
        name = entry.partition("(")[0]
        split = split_name(name)
        if split is None or number is None or not jumps:
            continue
        label = ast.literal_eval(index["benchmarks"][name]["params"][0][number])
        yield Regression(
            f"{entry}@{graph.get('branch', 'HEAD')}",
            *split,
            label=label,
            where=", ".join(f"{key} {value}" for key, value in sorted(graph.items()) if key != "branch"),
            jumps=tuple(
                Jump(None if before is None else hashes[str(before)], hashes[str(after)], old, new)
                for before, after, old, new in jumps
            ),
            best=best,
            latest=latest,
            machine=graph.get("machine"),
        )
