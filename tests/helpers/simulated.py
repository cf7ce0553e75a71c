"""Tables with a known truth: rows with a given true error, seeds and test samples that behave like real ones.

A run misses a sample where the sum of what the sample is like (hard for all), what this row makes of it, what the seed
does to all rows and to this one, and fresh noise exceeds the row's threshold; thresholds are such that every row's
error, over all seeds and samples, is what was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from harness.results.pairs import Observed, Tested
from harness.results.ranking import Place, Rule, places
from harness.results.scales import Scale

ODDS = Rule(lower_is_better=True, exact=False, scale=Scale("odds"), margin=0.005)
COST = Rule(lower_is_better=True, exact=False, scale=Scale("logarithm"), margin=0.05, between_runs=0.03)


@dataclass(frozen=True)
class World:
    """How seeds and samples behave; variances are shares of a latent variance of 1."""

    samples: int = 2000
    seeds: int = 3
    hard: float = 0.9
    """Part that makes a sample hard for every row."""
    peculiar: float = 0.03
    """Part that is hard for one row only, whatever the seed."""
    seed_sd: float = 0.02
    spread_of_sd: float = 0.0
    """Standard deviation of the logarithm of `seed_sd` between rows."""
    shared_sd: float = 0.0
    """What a seed does to all rows alike."""
    wild: float = 1.0
    """Factor on `seed_sd` of the first row."""

    def missed(self, errors: Sequence[float], luck: np.random.Generator) -> NDArray[np.bool_]:
        """Return ``[rows, seeds, samples]``: which samples each run missed."""
        rows = len(errors)
        sd = self.seed_sd * np.exp(self.spread_of_sd * luck.normal(size=rows))
        sd[0] *= self.wild
        sample = np.sqrt(self.hard) * luck.normal(size=self.samples)
        taste = np.sqrt(self.peculiar) * luck.normal(size=(rows, 1, self.samples))
        of_seed = self.shared_sd * luck.normal(size=self.seeds) + sd[:, None] * luck.normal(size=(rows, self.seeds))
        noise = np.sqrt(1 - self.hard - self.peculiar) * luck.normal(size=(rows, self.seeds, self.samples))
        threshold = -ndtri(np.array(errors)) * np.sqrt(1 + sd**2 + self.shared_sd**2)
        missed: NDArray[np.bool_] = sample + taste + of_seed[:, :, None] + noise > threshold[:, None, None]
        return missed


def observed_errors(missed: NDArray[np.bool_], digest: str | None = "split", seeds: Sequence[int] = ()) -> Observed:
    """Return what ``missed[seeds, samples]`` of one row say; `digest` None: predictions were not kept."""
    names = list(seeds) or list(range(len(missed)))
    samples, scale, share = missed.shape[1], Scale("odds"), float(missed.mean())
    return Observed(
        values={seed: scale.place(float(run.mean()), samples) for seed, run in zip(names, missed, strict=True)},
        tested={} if digest is None else {seed: Tested(digest, run) for seed, run in zip(names, missed, strict=True)},
        samples=samples,
        share=share,
        slope=scale.slope(share, samples),
    )


def ranked_errors(missed: NDArray[np.bool_], digest: str | None = "split") -> list[Place]:
    """Rank rows by what they missed, ``[rows, seeds, samples]``."""
    rows = [observed_errors(row, digest) for row in missed]
    return places([row.share for row in rows], rows, [None] * len(rows), ODDS)


def beats(places_found: Sequence[Place]) -> int:
    """Return how many pairs of rows were told apart."""
    return sum(len(places_found) - place.rank.worst for place in places_found)
