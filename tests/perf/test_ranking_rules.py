"""How often the rule of ranking tells equal rows apart, and how often rows that differ, on simulated tables.

``python -m nox -s perf -- tests/perf/test_ranking_rules.py`` prints what docs/measuring.md says, with the interval that
so many tables leave; ``tests/unit/results/test_ranking.py`` asserts the same on fewer tables. The random
seed is another than that of those tests, on which the rule's constants were chosen.
"""

from __future__ import annotations

import numpy as np
import pytest
from simulated import World, beats, ranked_errors

from harness.results.stats import wilson_interval

pytestmark = pytest.mark.perf

TABLES = 400
MANY_TABLES = {
    "rows differ very much (1.5 in the logarithm)": 6000,
    "six rows differ much (1 in the logarithm)": 8000,
    "seeds move one row ten times more": 4000,
    "the same with six rows": 8000,
}
"""Of the worlds that are nearest to 5 %: so many that the interval lies below."""
SEED = 20261129

EQUALS = {
    "digits: 359 samples, 3 %": (World(359), 0.03, 15),
    "MNIST: 2,000 samples, 2 %, a seed moves all rows": (World(2000, shared_sd=0.1), 0.02, 15),
    "seeds move more than samples": (World(1000, seed_sd=0.1), 0.25, 15),
    "rows differ in how seeds move them (0.5 in the logarithm)": (World(1000, seed_sd=0.1, spread_of_sd=0.5), 0.25, 15),
    "rows differ much (1 in the logarithm)": (World(1000, seed_sd=0.1, spread_of_sd=1.0), 0.25, 15),
    "rows differ very much (1.5 in the logarithm)": (World(1000, seed_sd=0.1, spread_of_sd=1.5), 0.25, 15),
    "six rows differ much (1 in the logarithm)": (World(1000, seed_sd=0.1, spread_of_sd=1.0), 0.25, 6),
    "every run misses samples of its own": (World(300, hard=0.0, peculiar=0.0, seed_sd=0.1), 0.15, 15),
    "seeds move one row ten times more": (World(1000, seed_sd=0.05, wild=10), 0.05, 15),
    "the same with six rows": (World(1000, seed_sd=0.05, wild=10), 0.05, 6),
}
POWER = {
    "359 samples, 3 % against 9 %": (World(359), 0.03, 0.09),
    "359 samples, 3 % against 6 %": (World(359), 0.03, 0.06),
    "10,000 samples, 2.0 % against 3.0 %": (World(10_000), 0.02, 0.03),
    "10,000 samples, 2.0 % against 2.6 %": (World(10_000), 0.02, 0.026),
    "10,000 samples, five seeds, 2.0 % against 2.6 %": (World(10_000, seeds=5), 0.02, 0.026),
}


@pytest.mark.parametrize("name", EQUALS)
def test_equal_rows(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    world, error, rows = EQUALS[name]
    luck = np.random.default_rng(SEED)
    tables = MANY_TABLES.get(name, TABLES)
    wrong = {"with predictions": 0, "error counts only": 0}
    for _ in range(tables):
        missed = world.missed([error] * rows, luck)
        for what, digest in zip(wrong, ("split", None), strict=True):
            wrong[what] += beats(ranked_errors(missed, digest)) > 0
    for what, count in wrong.items():
        with capsys.disabled():
            low, high = wilson_interval(count, tables)
            print(f"\n{name}, {what}: some pair of {rows} told apart in {count / tables:.1%} ({low:.1%} to {high:.1%})")


@pytest.mark.parametrize("name", POWER)
def test_rows_that_differ(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    world, error, worse = POWER[name]
    luck = np.random.default_rng(SEED)
    tables = TABLES // 8
    found = [ranked_errors(world.missed([error] * 14 + [worse], luck)) for _ in range(tables)]
    told = float(np.mean([[place.rank.worst < 15 for place in places[:14]] for places in found]))
    with capsys.disabled():
        print(f"\n{name}: one of 14 told from the 15th in {told:.0%} of {tables} tables")
