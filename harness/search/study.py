"""A search from its first evaluation to its last: resumable, and beside it as many evaluations at random.

Every evaluation is in a SQLite file of optuna as soon as it has ended. Must not know how a candidate is trained or what
becomes of the best.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from harness.errors import UserError
from harness.search.evaluation import Evaluation, details
from harness.search.sampler import INTERRUPTED, SkipSampler, candidate_of, distributions, settled
from harness.search.space import Candidate, Space

__all__ = ["BAYES", "RANDOM", "Search", "Settings", "Tried"]

BAYES, RANDOM = "bayes", "random"
SETTINGS = "settings"
OBJECTIVE = "validation_error_fraction"


@dataclass(frozen=True, slots=True)
class Settings:
    """What two runs must share to be one search."""

    task: str
    topology: str
    neuron: str
    method: str
    device: str
    budget: str
    seeds: int
    """Trainings of each candidate, from the seeds 0, 1, ...; their mean counts."""
    form: str
    types: tuple[str, ...]
    max_skips: int | None
    max_parameters: int | None
    initial: int
    kappa: float
    seed: int
    code: str
    """Hash of the code that decides the figures."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A candidate and what it gave."""

    number: int
    """From 1, in the order of evaluation."""
    candidate: Candidate
    accuracy: float | None
    """On the validation part, mean over the seeds; None if it failed."""
    parameters: float | None
    reason: str | None
    """Why it failed."""


class Search:
    """A search in a folder, new or to be gone on with.

    Parameters
    ----------
    folder : takes ``study.db``.
    settings : of the search; a folder with others is refused.
    space : what may be chosen.

    Raises
    ------
    UserError
        If the folder holds a search with other settings, or a file that is none.
    """

    def __init__(self, folder: Path, settings: Settings, space: Space) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "study.db"
        self._settings = settings
        self._space = space
        samplers = {
            BAYES: SkipSampler(space, settings.seed, settings.initial, settings.kappa),
            RANDOM: SkipSampler(space, settings.seed, initial=None),
        }
        try:
            storage = RDBStorage(f"sqlite:///{self._path}")
            self._studies = {
                name: optuna.create_study(
                    storage=storage, sampler=sampler, study_name=name, direction="maximize", load_if_exists=True
                )
                for name, sampler in samplers.items()
            }
        except Exception as error:  # SQLAlchemy, alembic and optuna each have their own
            raise UserError(
                f"{self._path} cannot be used as a search: {error}", "give another --name, or delete it"
            ) from error
        for study in self._studies.values():
            self._check(study)

    def tried(self, name: str) -> list[Tried]:
        """Return what `name` (bayes or random) has evaluated, in order."""
        return [_tried(self._space, n, trial) for n, trial in enumerate(settled(self._studies[name]), start=1)]

    def best(self, name: str) -> Tried | None:
        """Return the first of the best that `name` has evaluated, or None if nothing gave a figure."""
        having = [tried for tried in self.tried(name) if tried.accuracy is not None]
        return max(having, key=lambda tried: tried.accuracy or 0.0, default=None)

    def run(
        self,
        name: str,
        evaluations: int,
        evaluate: Callable[[Candidate], Evaluation],
        told: Callable[[str, Tried], None],
    ) -> bool:
        """Evaluate until there are `evaluations`; return whether there are, or a Ctrl-C came before.

        Parameters
        ----------
        name : bayes or random.
        evaluations : what is wanted in all, those of earlier runs included.
        evaluate : trains a candidate.
        told : called with what each evaluation gave.
        """
        study = self._studies[name]
        for left in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._forget(study, left.number)  # of a process that was killed
        while len(settled(study)) < evaluations:
            trial = study.ask(distributions(self._space))
            try:
                found = evaluate(candidate_of(self._space, trial))
            except BaseException:
                self._forget(study, trial.number)
                raise
            if found.interrupted:
                self._forget(study, trial.number)
                return False
            failure = found.failure
            if failure is not None:
                trial.set_user_attr("reason", f"{failure.status}: {failure.reason}")
                study.tell(trial, state=TrialState.FAIL)
            else:
                for key, value in details(found).items():
                    trial.set_user_attr(key, value)
                study.tell(trial, 1 - found.mean(OBJECTIVE))
            told(name, self.tried(name)[-1])
        return True

    def _forget(self, study: optuna.Study, number: int) -> None:
        storage = study._storage
        identifier = storage.get_trial_id_from_study_id_trial_number(study._study_id, number)
        storage.set_trial_user_attr(identifier, INTERRUPTED, True)
        study.tell(number, state=TrialState.FAIL)

    def _check(self, study: optuna.Study) -> None:
        wanted: dict[str, Any] = json.loads(json.dumps(asdict(self._settings)))
        kept: Mapping[str, Any] | None = study.user_attrs.get(SETTINGS)
        if kept is None:
            study.set_user_attr(SETTINGS, wanted)
            return
        other = [key for key in wanted if wanted[key] != kept.get(key)]
        if other:
            said = ", ".join(f"{key} {kept.get(key)} and not {wanted[key]}" for key in other)
            what = "an older state of the code" if other == ["code"] else said
            raise UserError(f"the search in {self._path.parent} was made with {what}", "give another --name")


def _tried(space: Space, number: int, trial: FrozenTrial) -> Tried:
    attributes = trial.user_attrs
    return Tried(
        number, candidate_of(space, trial), trial.value, attributes.get("parameters"), attributes.get("reason")
    )
