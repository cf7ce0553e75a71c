"""Targets: the validation error that training is timed to, per task and budget, as data with its origin.

A target is what the field's workhorse, LIF under BPTT, ends with: one that a good row reaches, and no row at once. It
stands in one file of JSON under version control; `spikeboard targets --write` makes it anew from records. Must not know
how a target is found; must not import torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from harness.catalogue.validation import validated
from harness.writing import write_whole
from reference_impls.card import CardError

__all__ = ["TARGETS", "Target", "read_targets", "write_targets"]

TARGETS = Path(__file__).parents[1] / "targets.json"


@dataclass(frozen=True, slots=True)
class Target:
    """A validation error, and what it comes from."""

    task: str
    budget: str
    error_fraction: float
    """The largest validation error at the chosen epoch that a seed of the reference ends with: all get there."""
    mean_error_fraction: float
    """Their mean, for who would rather take that."""
    topology: str
    recipe: str
    seeds: tuple[int, ...]
    commit: str
    """Of the records; empty if they say none."""

    @property
    def key(self) -> tuple[str, str]:
        """Return what it is the target of."""
        return self.task, self.budget


def read_targets(path: Path = TARGETS) -> tuple[dict[tuple[str, str], Target], list[CardError]]:
    """Return the targets by task and budget, and what cannot be read; no file is no target."""
    if not path.exists():
        return {}, []
    try:
        literal = json.loads(path.read_text())
    except ValueError as error:
        return {}, [CardError(f"{path}: no JSON: {error}")]
    found: dict[tuple[str, str], Target] = {}
    problems = []
    for number, entry in enumerate(literal if isinstance(literal, list) else [literal]):
        try:
            target: Target = validated(Target, path, entry, f"[{number}]")
        except CardError as error:
            problems.append(error)
            continue
        if 0 <= target.error_fraction < 1:
            found[target.key] = target
        else:
            problems.append(CardError(f"{path}[{number}]: error_fraction must lie in [0, 1)"))
    return found, problems


def write_targets(targets: Iterable[Target], path: Path = TARGETS) -> None:
    """Write the targets, sorted, one a line: a changed one is a changed line."""
    names = [item.name for item in fields(Target)]
    lines = [json.dumps({name: asdict(one)[name] for name in names}) for one in sorted(targets, key=lambda t: t.key)]
    write_whole(path, "[\n" + ",\n".join(f" {line}" for line in lines) + "\n]\n")
