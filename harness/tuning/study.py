"""A study: every trial of one combination, in a file of JSON Lines, and the recipe that it comes to.

The choice is made on the validation part alone. Test errors are kept beside it because tunability is a figure of its
own, and nothing here chooses by them. Must not know how a trial is run, and must not import torch or optuna.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.catalogue.cards import Registry
from harness.catalogue.cell import Cell
from harness.catalogue.recipes import TUNING_SEEDS, Combination, Origin, Recipe, combination_of
from harness.catalogue.validation import validated
from harness.results.record import Record
from harness.text import inside, slug
from harness.tuning.space import Params, Space, digest, on_edge, space_of, values_at, written
from harness.writing import write_whole
from reference_impls.card import CardError

__all__ = [
    "ENDING",
    "SEED",
    "Study",
    "Trial",
    "best_of",
    "path_of",
    "read_study",
    "read_trials",
    "study_of",
    "trial_of",
]

ENDING = ".jsonl"
DESIGN = 2
"""Version of the way that points are drawn: a trial's number must mean the same point in all of a study."""
SEED = TUNING_SEEDS.start
"""Every trial is trained once, from this seed: the choice is among parameters, not among seeds."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What one point gave."""

    trial: int
    """0 is the default of the cards."""
    params: Mapping[str, bool | int | float | str]
    status: str
    validation_error_fraction: float | None = None
    """None where the trial failed."""
    test_error_fraction: float | None = None
    best_epoch: int | None = None
    updates: int | None = None
    seconds: float = 0.0
    reason: str | None = None
    machine: str = ""
    commit: str | None = None
    code: str = ""
    """Digest of what decides the figure, but for the point itself."""


@dataclass(frozen=True, slots=True)
class _Header:
    """The first line of a study's file."""

    study: Mapping[str, str]
    design: str
    space: Mapping[str, Any]
    seed: int
    budget: Mapping[str, Any]
    classes: int


@dataclass(slots=True)
class Study:
    """All trials of one combination that were made by one design."""

    combination: Combination
    space: Space
    budget: Mapping[str, Any]
    """What a trial's training has."""
    version: int
    """Of the task."""
    classes: int
    trials: dict[int, Trial] = field(default_factory=dict)

    @property
    def design(self) -> str:
        """Return the digest of what makes trials comparable; those of another design do not count."""
        return digest([DESIGN, self.combination, written(self.space), dict(self.budget), self.version, SEED])

    def missing(self, count: int) -> list[int]:
        """Return the numbers of the first `count` trials that are not there."""
        return [number for number in range(count) if number not in self.trials]

    @property
    def complete(self) -> int:
        """Return how many trials there are before the first that is not there."""
        return next(number for number in itertools.count() if number not in self.trials)

    def ordered(self, count: int | None = None) -> list[Trial]:
        """Return the first `count` trials (None: all), by number."""
        return [self.trials[number] for number in sorted(self.trials) if count is None or number < count]

    def write(self, folder: Path) -> Path:
        """Write the study's file: a line on what was searched, then a line a trial."""
        header = _Header(
            self.combination._asdict(), self.design, written(self.space), SEED, dict(self.budget), self.classes
        )
        lines = [asdict(header), *(_line(trial) for trial in self.ordered())]
        path = path_of(folder, self.combination)
        write_whole(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
        return path

    def recipe(self, count: int) -> Recipe | None:
        """Return the recipe that the first `count` trials come to; None if none of them gave a figure."""
        tried = self.ordered(count)
        best = best_of(tried)
        if best is None or best.validation_error_fraction is None:
            return None
        origin = Origin(
            study=digest([_line(trial) for trial in tried]),
            space=digest(written(self.space)),
            trials=len(tried),
            chosen=best.trial,
            validation_error_fraction=best.validation_error_fraction,
            seeds=(SEED,),
            machine=best.machine,
            commit=best.commit,
            on_edge=on_edge(self.space, best.params),
        )
        return Recipe(self.combination, values_at(best.params), origin)


def best_of(trials: Iterable[Trial]) -> Trial | None:
    """Return the trial with the least validation error, of several the first: the default before anything tried."""
    having = [trial for trial in trials if trial.validation_error_fraction is not None]
    return min(having, key=lambda one: (one.validation_error_fraction, one.trial), default=None)


def study_of(cell: Cell, registry: Registry, folder: Path) -> Study:
    """Return the study of a combination with the trials that `folder` has of today's design."""
    task = registry.task(cell.task)
    budget = asdict(task.budgets[cell.budget])
    study = Study(combination_of(cell), space_of(cell, registry), budget, task.version, task.classes)
    path = path_of(folder, study.combination)
    if path.exists():
        header, trials = read_study(path)
        if header["design"] == study.design:
            study.trials = {trial.trial: trial for trial in trials}
    return study


def path_of(folder: Path, combination: Combination) -> Path:
    """Return the file of a study."""
    names = (combination.neuron, combination.method, combination.topology, combination.budget)
    return inside(folder, slug(combination.task), "+".join(map(slug, names)) + ENDING)


def read_study(path: Path) -> tuple[dict[str, Any], list[Trial]]:
    """Return the first line of a study's file, and its trials.

    Raises
    ------
    CardError
        If the file is no study.
    """
    try:
        header, *lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise CardError(f"{path}: cannot be read as a study: {error}") from error
    validated(_Header, path, header, "line 1: ")
    return header, [validated(Trial, path, line, f"line {n}: ") for n, line in enumerate(lines, start=2)]


def read_trials(path: Path) -> tuple[Combination, int, Sequence[Trial]]:
    """Return what a study's file is about, how many classes its task has, and the trials."""
    header, trials = read_study(path)
    return Combination(**header["study"]), header["classes"], trials


def trial_of(number: int, params: Params, record: Record, code: str) -> Trial:
    """Return what a record says of a point."""
    metrics = record.metrics if record.status == "ok" else {}
    figures = {name: metric.value for name, metric in metrics.items()}
    return Trial(
        trial=number,
        params=params,
        status=record.status,
        validation_error_fraction=figures.get("validation_error_fraction"),
        test_error_fraction=figures.get("error_fraction"),
        best_epoch=int(figures["best_epoch"]) if "best_epoch" in figures else None,
        updates=int(figures["optimizer_updates"]) if "optimizer_updates" in figures else None,
        seconds=round(record.provenance.duration_seconds, 2),
        reason=record.reason,
        machine=record.provenance.machine.name,
        commit=record.provenance.commit,
        code=code,
    )


def _line(trial: Trial) -> dict[str, Any]:
    """Return a trial as its line has it, without what there is not."""
    return {key: value for key, value in asdict(trial).items() if value is not None}
