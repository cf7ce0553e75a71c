"""A repository with a few commits and records measured at them, for tests of what asv makes of both."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthetic import LAPTOP, record, registry

from harness.asv.series import clock_version
from harness.catalogue.cell import Cell
from harness.results.record import Machine, Metric, Record

ROOT = Path(__file__).parents[2]
STARTED = 1_700_000_000


@dataclass(frozen=True)
class Repository:
    """A folder with asv's configuration of this project and a history."""

    root: Path
    commits: tuple[str, ...]
    """Oldest first."""

    def write(self, records: Iterable[Record]) -> Path:
        """Write records to a store as they are, figures that are no numbers included."""
        store = self.root / "store"
        store.mkdir(exist_ok=True)
        for number, one in enumerate(records, start=len(list(store.iterdir()))):
            (store / f"{number}.json").write_text(json.dumps(one.model_dump(mode="python"), default=vars_of))
        return store


def vars_of(value: Any) -> Any:
    """Return what JSON can hold of a cell."""
    return {name: getattr(value, name) for name in type(value).__dataclass_fields__}


def make_repository(root: Path, commits: int) -> Repository:
    """Make a repository with so many commits, a day apart."""
    root.mkdir(parents=True)
    shutil.copy(ROOT / "asv.conf.json", root)
    git(root, "init", "--quiet", "--initial-branch=main")
    for number in range(commits):
        date = f"{STARTED + 86_400 * number} +0000"
        who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        git(root, *who, "commit", "--quiet", "--allow-empty", "-m", f"Commit {number}", "--date", date)
    return Repository(root, tuple(reversed(git(root, "log", "--format=%H").split())))


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout


def cell(suite: str, neuron: str, **more: Any) -> Cell:
    return Cell(suite, "digits", neuron, "bptt", "mlp", budget="quick", **more)


def figure(suite: str, name: str, value: float, samples: Sequence[float] = ()) -> dict[str, Metric]:
    card = registry().suite(suite).metrics[name]
    kept = tuple(samples)
    return {name: Metric(value=value, unit=card.unit, direction=card.direction, samples=kept, n=len(kept) or 1)}


def measured_at(
    commit: str | None, one: Cell, metrics: dict[str, Metric] | None = None, machine: Machine = LAPTOP, **origin: Any
) -> Record:
    """Return a record of `one` that was measured at `commit`; a failure without `metrics`."""
    made = record(one, "ok" if metrics else "crashed", metrics, machine)
    changed = {
        "commit": commit,
        "code_hash": hashlib.sha256(str(commit).encode()).hexdigest(),
        "suite_version": registry().suite(one.suite).version,
        "task_version": registry().task(one.task).version if one.task != "-" else None,
        "clock_version": clock_version(),
        **origin,
    }
    return made.model_copy(update={"provenance": made.provenance.model_copy(update=changed)})


def around(value: float, count: int = 11, spread: float = 0.005) -> list[float]:
    """Return samples whose median is `value`."""
    half = count // 2
    return [value * (1 + spread * (number - half) / half) for number in range(count)]
