"""Runs studies on the local pool: trials are cells like any others, isolated and side by side; each is kept as it ends.

A Ctrl-C leaves files from which the same command goes on. No trial is cut short: one that starts slowly may end best.
Must not know what a point means, nor where the command line is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.catalogue.cards import Registry
from harness.catalogue.cell import DEFAULT_RECIPE, Cell
from harness.catalogue.recipes import TRIAL, TUNED, Combination, Origin, Recipe, combination_of, write_recipes
from harness.errors import UserError
from harness.execute.display import Display
from harness.execute.job import Job, Listener, Summary
from harness.execute.jobs import jobs_of
from harness.execute.where import Where
from harness.planning.durations import Durations
from harness.planning.plan import PlannedCell
from harness.results.fingerprint import code_hash
from harness.results.record import Record
from harness.results.store import CODE_DIGITS, Store
from harness.tuning.design import points, seed_of
from harness.tuning.space import Params, digest, values_at
from harness.tuning.study import SEED, Study, study_of, trial_of

__all__ = ["PlannedStudy", "TuningPlan", "cell_of", "plan_tuning", "run_tuning"]

SUITE = "accuracy"
_UNCHOSEN = Origin("", "", 0, 0, 0.0, (), "")
"""Origin of a recipe that is only tried."""


@dataclass(frozen=True, slots=True)
class PlannedStudy:
    """A study and what is left of it."""

    cell: Cell
    """Of the default trial."""
    study: Study
    params: Sequence[Params]
    """Of every trial, by number."""
    missing: Sequence[int]
    expected_seconds: float
    """Of the missing trials, as if each ran alone."""


@dataclass(frozen=True, slots=True)
class TuningPlan:
    """What is to be tuned, and into which files."""

    studies: Sequence[PlannedStudy]
    trials: int
    folder: Path
    """Of studies."""
    recipes: Path

    @property
    def missing(self) -> int:
        """Return how many trials are left."""
        return sum(len(one.missing) for one in self.studies)

    @property
    def expected_seconds(self) -> float:
        """Return how long they take, as if each ran alone."""
        return sum(one.expected_seconds for one in self.studies)


def plan_tuning(
    cells: Iterable[Cell], registry: Registry, trials: int, folder: Path, recipes: Path, durations: Durations
) -> TuningPlan:
    """Plan a study of `trials` trials for each combination among `cells`, less what `folder` has of it."""
    wanted: dict[Combination, Cell] = {}
    for cell in cells:
        default = replace(cell, suite=SUITE, seed=SEED, threads=1, recipe=DEFAULT_RECIPE)
        wanted.setdefault(combination_of(cell), default)
    planned = []
    for cell in sorted(wanted.values()):
        study = study_of(cell, registry, folder)
        params = [{}, *points(study.space, trials - 1, seed_of(study.combination))]
        missing = study.missing(trials)
        planned.append(PlannedStudy(cell, study, params, missing, len(missing) * durations.of(cell)))
    return TuningPlan(planned, trials, folder, recipes)


def cell_of(planned: PlannedStudy, number: int) -> Cell:
    """Return the cell of a trial: the default of the cards, or a recipe that only this trial has."""
    if number == 0:
        return planned.cell
    name = f"{TRIAL}{digest([planned.study.combination, planned.params[number]])}"
    return replace(planned.cell, recipe=name)


def run_tuning(
    plan: TuningPlan,
    registry: Registry,
    data_root: Path | None,
    slots: int | None,
    told: Callable[[Study, Recipe | None], None],
    where: Where | None = None,
) -> Summary:
    """Run what is left of a plan, keep every trial, and write the recipe of every study that is complete.

    Parameters
    ----------
    told : called with each study that was completed, and the recipe it comes to.
    where : what runs the trials; None: this machine.
    """
    where = where or Where()
    trying = replace(registry, recipes={**registry.recipes, **dict(_recipes(plan))})
    owners = {cell_of(one, number): (one, number) for one in plan.studies for number in one.missing}
    planned = [PlannedCell(cell, one.expected_seconds / len(one.missing)) for cell, (one, _) in owners.items()]
    jobs = jobs_of(planned, trying, machine=where.machine())
    with tempfile.TemporaryDirectory(prefix="spikeboard-tuning-") as scratch:
        keeper = _Keeper(plan, owners, registry, told)
        for one in plan.studies:
            keeper.conclude(one.study)
        backends = {job.cell.backend for job in jobs}
        with (
            where.executor_for(
                Store(Path(scratch)), data_root, slots=slots, registry=trying, backends=backends
            ) as executor,
            Display(jobs, worth_a_line=lambda record: record.status != "ok") as display,
        ):
            summary = executor.run(jobs, _Both(display, keeper))
    if keeper.error is not None:
        raise UserError(
            f"trials could not be kept: {keeper.error}", "make room or name another folder; the same command goes on"
        ) from keeper.error
    return summary


def _recipes(plan: TuningPlan) -> Iterator[tuple[str, Mapping[Combination, Recipe]]]:
    for one in plan.studies:
        key = one.study.combination
        for number in one.missing:
            if number:
                yield cell_of(one, number).recipe, {key: Recipe(key, values_at(one.params[number]), _UNCHOSEN)}


class _Keeper(Listener):
    """Keeps every trial as it ends, and the recipe of a study with its last one."""

    def __init__(
        self,
        plan: TuningPlan,
        owners: dict[Cell, tuple[PlannedStudy, int]],
        registry: Registry,
        told: Callable[[Study, Recipe | None], None],
    ) -> None:
        self._plan, self._owners, self._registry, self._told = plan, owners, registry, told
        self.error: OSError | None = None
        """Why the last file could not be written; a study's next trial writes all of it."""

    def finished(self, job: Job, record: Record) -> None:
        """Enter the trial of `job`; one that was interrupted is tried again by the next run."""
        if record.status == "interrupted":
            return
        planned, number = self._owners[job.cell]
        study = planned.study
        code = code_hash(planned.cell, self._registry)[:CODE_DIGITS]
        study.trials[number] = trial_of(number, planned.params[number], record, code)
        try:
            study.write(self._plan.folder)
            self.conclude(study)
        except OSError as error:
            self.error = error
        else:
            self.error = None

    def conclude(self, study: Study) -> None:
        """Write the recipe that a study comes to, if it has the trials that were asked for, or more.

        Whoever asks for fewer than there are gets what all of them say: a recipe of 12 trials never becomes one of 2.
        """
        if study.complete < self._plan.trials:
            return
        recipe = study.recipe(study.complete)
        if recipe is not None:
            write_recipes(self._plan.recipes, TUNED, study.combination.task, [recipe])
        self._told(study, recipe)


class _Both(Listener):
    """Tells two listeners: what is kept first, for a display may fail."""

    def __init__(self, display: Display, keeper: _Keeper) -> None:
        self._display, self._keeper = display, keeper

    def started(self, job: Job) -> None:
        """Show it."""
        self._display.started(job)

    def progressed(self, job: Job, fraction: float, note: str) -> None:
        """Show it."""
        self._display.progressed(job, fraction, note)

    def finished(self, job: Job, record: Record) -> None:
        """Keep it, then show it."""
        self._keeper.finished(job, record)
        self._display.finished(job, record)

    def noticed(self, what: str) -> None:
        """Show it."""
        self._display.noticed(what)
