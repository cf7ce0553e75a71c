"""What is tried next, as a sampler of optuna: random wirings first, then those of the greatest upper confidence bound.

optuna's own GPSampler maximises expected improvement, cannot be kept within constraints before it proposes, and imports
torch; this one follows the paper's acquisition. The next proposal depends on the seed and on what was evaluated, not
on when: a search that was interrupted goes on as if it had not been.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, Trial, TrialState

from harness.errors import UserError
from harness.search.space import Candidate, Space, symbols_of
from harness.search.surrogate import HammingProcess

__all__ = ["INTERRUPTED", "SkipSampler", "candidate_of", "distributions", "settled"]

INTERRUPTED = "interrupted"
"""Attribute of a trial that was cut off; it counts as never made."""
POOL_SIZE = 1000
PARENTS = 5
"""The best so far, whose mutations are looked at as well."""


def settled(study: Study) -> list[FrozenTrial]:
    """Return the trials that were evaluated, those that failed included, in their order."""
    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.FAIL))
    return [trial for trial in ended if not trial.user_attrs.get(INTERRUPTED)]


class SkipSampler(BaseSampler):
    """Proposes wirings that have not been evaluated.

    Parameters
    ----------
    space : what may be chosen.
    seed : of everything that is drawn; two samplers of one seed begin with the same random candidates.
    initial : evaluations at random before the process is asked; None: all of them are (random search).
    kappa : weight of the standard deviation in the upper confidence bound ``mean + kappa std``.
    """

    def __init__(self, space: Space, seed: int, initial: int | None = 8, kappa: float = 2.0) -> None:
        self._space = space
        self._seed = seed
        self._initial = initial
        self._kappa = kappa

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        """Return all genes: they are chosen together."""
        return distributions(self._space)

    def sample_relative(
        self,
        study: Study,
        trial: FrozenTrial,  # noqa: ARG002
        search_space: Mapping[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        """Propose a candidate.

        Raises
        ------
        UserError
            If every candidate has been evaluated.
        """
        trials = settled(study)
        rng = np.random.default_rng([self._seed, len(trials)])
        values = self._random(rng, trials) if self._is_random(trials) else self._promising(rng, trials)
        return dict(zip((gene.name for gene in self._space.genes), values, strict=True))

    def sample_independent(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        param_name: str,
        param_distribution: BaseDistribution,  # noqa: ARG002
    ) -> Any:
        """Refuse: no gene is chosen alone."""
        raise ValueError(f"{param_name!r} is no gene of this search space")

    def _is_random(self, trials: list[FrozenTrial]) -> bool:
        evaluated = sum(trial.state == TrialState.COMPLETE for trial in trials)
        return self._initial is None or evaluated < max(self._initial, 2)

    def _random(self, rng: np.random.Generator, trials: list[FrozenTrial]) -> tuple[int, ...]:
        fresh = self._fresh(rng, trials, parents=0)
        return fresh[list(fresh)[int(rng.integers(len(fresh)))]]

    def _promising(self, rng: np.random.Generator, trials: list[FrozenTrial]) -> tuple[int, ...]:
        fresh = self._fresh(rng, trials, PARENTS)
        complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        tried = [symbols_of(candidate_of(self._space, trial)) for trial in complete]
        process = HammingProcess(tried, [float(trial.value or 0.0) for trial in complete])
        mean, deviation = process.predict([symbols_of(candidate) for candidate in fresh])
        return fresh[list(fresh)[int(np.argmax(mean + self._kappa * deviation))]]

    def _fresh(
        self, rng: np.random.Generator, trials: list[FrozenTrial], parents: int
    ) -> dict[Candidate, tuple[int, ...]]:
        """Return candidates that were not evaluated, mutations of the best `parents` among them."""
        seen = {candidate_of(self._space, trial) for trial in trials}
        ranked = sorted((trial for trial in trials if trial.value is not None), key=lambda trial: -(trial.value or 0.0))
        best = [genes_of(self._space, trial) for trial in ranked[:parents]]
        found = self._space.pool(rng, best, POOL_SIZE, seen)
        if not found:
            raise UserError(
                f"all {len(seen)} wirings of the search space have been evaluated", "ask for fewer --evaluations"
            )
        return found


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return the genes of `space` as optuna knows parameters."""
    return {gene.name: CategoricalDistribution(gene.choices) for gene in space.genes}


def genes_of(space: Space, trial: FrozenTrial | Trial) -> tuple[int, ...]:
    """Return the genes of a trial, in the order of the space."""
    return tuple(int(trial.params[gene.name]) for gene in space.genes)


def candidate_of(space: Space, trial: FrozenTrial | Trial) -> Candidate:
    """Return the wiring that a trial evaluated."""
    return space.read(genes_of(space, trial))
