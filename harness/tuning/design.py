"""Which points of a space are tried: the cards' default first, then two scrambled Sobol sequences of optuna's in turn.

Every other point sets what all rows share and leaves a row's own parameters as its authors chose them; the others set
everything. Twelve points that move eight parameters at once over three decades nearly all have one that is bad, and a
row with good defaults would be tuned by none of them.

Quasi-random and not adaptive, as in AlgoPerf's external tuning: trials can run side by side, a longer study begins with
the shorter one, and any subset of the points is a smaller study, which tunability rests on. The seed follows from the
combination, so that nobody chooses it. Must not know what a point gives.
"""

from __future__ import annotations

import hashlib
import warnings
from typing import Any

import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import QMCSampler
from optuna.trial import create_trial

from harness.catalogue.recipes import Combination
from harness.tuning.space import Params, Space
from reference_impls.card import Dimension

__all__ = ["points", "seed_of"]


def seed_of(combination: Combination) -> int:
    """Return the seed of the sequence of a combination."""
    return int.from_bytes(hashlib.sha256(" ".join(combination).encode()).digest()[:4], "big") >> 1


def points(space: Space, count: int, seed: int) -> list[Params]:
    """Return the first `count` points; the default of the cards, which comes before them, is not among them.

    Parameters
    ----------
    seed : of the sequence over the shared settings; the one over everything has the next.
    """
    shared = {name: dimension for name, dimension in space.items() if name.startswith("optimizer.")}
    if len(shared) in (0, len(space)):
        return _sequence(space, count, seed)
    narrow, wide = _sequence(shared, (count + 1) // 2, seed), _sequence(space, count // 2, seed + 1)
    return [(wide if index % 2 else narrow)[index // 2] for index in range(count)]


def _sequence(space: Space, count: int, seed: int) -> list[Params]:
    """Return the first `count` points of one sequence."""
    if not space:
        return [{} for _ in range(count)]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions = {name: _distribution(dimension) for name, dimension in space.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # its points are pinned by a test
        sampler = QMCSampler(qmc_type="sobol", scramble=True, seed=seed)
    study = optuna.create_study(sampler=sampler)
    # The sequence goes over the parameters of the first trial there is; its values do not matter.
    first = {name: distribution.to_external_repr(distribution.low) for name, distribution in distributions.items()}
    study.add_trial(create_trial(params=first, distributions=distributions, value=0.0))
    found: list[Params] = []
    for _ in range(count):
        trial = study.ask(distributions)
        found.append({name: _read(dimension, trial.params[name]) for name, dimension in space.items()})
        study.tell(trial, 0.0)
    return found


def _distribution(dimension: Dimension) -> Any:
    if dimension.choices:  # as numbers, so that the sequence spreads over them too
        return IntDistribution(0, len(dimension.choices) - 1)
    low, high, log = dimension.low, dimension.high, dimension.scale == "log"
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    assert low is not None
    assert high is not None
    return FloatDistribution(low, high, log=log)


def _read(dimension: Dimension, value: Any) -> Any:
    """Return a value as it is used; three digits are as many as twelve trials can tell apart."""
    if dimension.choices:
        return dimension.choices[value]
    return float(f"{value:.3g}") if isinstance(value, float) else value
