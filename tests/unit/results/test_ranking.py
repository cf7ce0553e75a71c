"""Ranks on tables with a known truth: equals are rarely told apart, what differs often is, and noise gains nothing."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from simulated import COST, ODDS, World, beats, observed_errors, ranked_errors

from harness.results.pairs import Observed
from harness.results.ranking import Place, Rank, Rule, beating, places
from harness.results.scales import Scale

TABLES = 100
AT_MOST = 11
"""Of 100 tables, when 5 % is the truth, more are wrong with a chance of 0.4 % only."""
PLAIN = Rule(lower_is_better=True, exact=False, scale=Scale("plain"), margin=0.0)

EQUALS = {
    "digits": (World(359), 0.03, 15),
    "digits, other samples are hard for each": (World(359, hard=0.6, peculiar=0.1), 0.03, 15),
    "mnist, seeds move all rows": (World(2000, shared_sd=0.1), 0.02, 15),
    "seeds move more than samples": (World(1000, seed_sd=0.1), 0.25, 15),
    "rows differ in how seeds move them": (World(1000, seed_sd=0.1, spread_of_sd=0.5), 0.25, 15),
    "rows differ very much": (World(1000, seed_sd=0.1, spread_of_sd=1.5), 0.25, 15),
    "every run misses samples of its own": (World(300, hard=0.0, peculiar=0.0, seed_sd=0.1), 0.15, 15),
    "one row is wild": (World(1000, seed_sd=0.05, wild=10), 0.05, 15),
    "one of six rows is wild": (World(1000, seed_sd=0.05, wild=10), 0.05, 6),
    "few rows": (World(359), 0.1, 4),
    "five seeds": (World(359, seeds=5), 0.03, 15),
}


EVERY_RUN = ("digits", "rows differ in how seeds move them", "one of six rows is wild")
"""The plainest world, one where seeds count for more than samples, and one with a row unlike the others."""
WORLDS = [pytest.param(name, marks=() if name in EVERY_RUN else pytest.mark.slow) for name in EQUALS]


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("digest", ["split", None], ids=["predictions", "errors-only"])
def test_equal_rows_are_told_apart_in_at_most_five_percent_of_tables(name: str, digest: str | None) -> None:
    world, error, rows = EQUALS[name]
    luck = np.random.default_rng(11)
    wrong = sum(beats(ranked_errors(world.missed([error] * rows, luck), digest)) > 0 for _ in range(TABLES))
    assert wrong <= AT_MOST


POWER = [  # (world, error of 14 rows, of the 15th, least share of tables in which it is told from one of the others)
    (World(359), 0.03, 0.09, 0.85),
    (World(10_000), 0.02, 0.03, 0.7),
    (World(10_000, seeds=5), 0.02, 0.026, 0.8),
]


@pytest.mark.parametrize(("world", "error", "worse", "least"), POWER)
def test_rows_that_differ_are_told_apart_as_often_as_the_docs_say(
    world: World, error: float, worse: float, least: float
) -> None:
    luck = np.random.default_rng(3)
    found = [ranked_errors(world.missed([error] * 14 + [worse], luck)) for _ in range(20)]
    assert np.mean([[place.rank.worst < 15 for place in places_found[:14]] for places_found in found]) > least


def told_apart(world: World, errors: Sequence[float], tables: int, digest: str | None = "split") -> float:
    luck = np.random.default_rng(7)
    return float(np.mean([beats(ranked_errors(world.missed(errors, luck), digest)) for _ in range(tables)]))


def test_more_seeds_tell_more_apart() -> None:
    errors = 0.02 * np.linspace(1, 2, 10)
    counts = [told_apart(World(2000, seeds=seeds), errors, 30) for seeds in (1, 2, 3, 5, 8)]
    assert counts[0] == 0, "one seed says nothing of others"
    assert counts == sorted(counts)
    assert counts[-1] > 1.5 * counts[2] > 0


def test_samples_in_common_tell_more_apart_than_error_counts() -> None:
    errors = 0.02 * np.linspace(1, 2, 10)
    assert told_apart(World(5000), errors, 30) > 1.5 * told_apart(World(5000), errors, 30, digest=None)


def test_a_noisy_row_costs_the_others_little() -> None:
    errors = [0.02, *0.02 * np.linspace(1, 2, 10)]
    told = []
    for wild in (1, 30):
        luck = np.random.default_rng(7)
        pairs_told = 0
        for _ in range(30):
            rows = [observed_errors(row) for row in World(2000, wild=wild).missed(errors, luck)]
            pairs_told += int(beating([row.share for row in rows], rows, ODDS)[1:, 1:].sum())
        told.append(pairs_told)
    quiet, noisy = told
    assert noisy > 0.75 * quiet


def test_folds_are_judged_by_seeds_alone() -> None:
    luck = np.random.default_rng(5)
    missed = World(2000).missed([0.02, 0.02, 0.02, 0.15], luck)
    rows = [
        replace(one, tested={seed: replace(tested, digest=f"fold {seed}") for seed, tested in one.tested.items()})
        for one in map(observed_errors, missed)
    ]
    found = places([row.share for row in rows], rows, [None] * 4, ODDS)
    assert [place.rank.best for place in found] == [1, 1, 1, 4]


# --- missing seeds


def costs(values: Sequence[Sequence[float] | dict[int, float]], rule: Rule = PLAIN) -> list[Place]:
    rows = [Observed(dict(enumerate(of)) if not isinstance(of, dict) else of) for of in values]
    estimates = [float(np.mean(list(row.values.values()))) for row in rows]
    return places(estimates, rows, [0] * len(rows), rule)


_NOISE = ((-0.1, 0.0, 0.1), (0.1, -0.1, 0.0), (0.0, 0.1, -0.1), (0.1, 0.0, -0.1), (-0.1, 0.1, 0.0))
LADDER = [[m + noise for noise in of] for m, of in zip((1.0, 1.1, 3.0, 5.0, 7.0), _NOISE, strict=True)]


def test_ranks_are_the_places_that_a_row_may_hold() -> None:
    found = costs(LADDER)
    assert [str(place.rank) for place in found] == ["1-2", "1-2", "3", "4", "5"]
    assert [place.rank.tied_with_best for place in found] == [True, True, False, False, False]
    backwards = costs(LADDER, replace(PLAIN, lower_is_better=False))
    assert [str(place.rank) for place in backwards] == ["4-5", "4-5", "3", "2", "1"]


@pytest.mark.parametrize("kept", [(0,), (0, 1), (1, 2), (0, 2), (1,)])
@pytest.mark.parametrize("row", range(5))
def test_a_row_that_loses_seeds_gains_no_rank(row: int, kept: tuple[int, ...]) -> None:
    whole = costs(LADDER)[row].rank
    middle = LADDER[row][1]
    fewer: list[Sequence[float] | dict[int, float]] = [*LADDER]
    fewer[row] = dict.fromkeys(kept, middle)  # the same mean, and no noise at all
    found = costs(fewer)
    assert found[row].rank.best >= whole.best
    assert found[row].rank.worst == 5, "it beats no row that has all seeds"
    assert not found[row].rank.tied_with_best
    others = [place.rank for i, place in enumerate(found) if i != row]
    before = [place.rank for i, place in enumerate(costs(LADDER)) if i != row]
    assert all(now.best <= then.best for now, then in zip(others, before, strict=True))


def test_a_single_lucky_seed_is_not_the_best() -> None:
    found = costs([*LADDER, {0: 0.01}])
    assert found[5].rank == Rank(1, 6, False)
    assert found[0].rank.tied_with_best, "the best of the rows that have all seeds is"


def test_extra_seeds_of_one_row_cost_the_others_nothing() -> None:
    more = {**dict(enumerate(LADDER[4])), 3: 7.0, 4: 7.0}
    assert [place.rank for place in costs([*LADDER[:4], more])] == [place.rank for place in costs(LADDER)]


def test_one_seed_each_separates_nobody() -> None:
    assert {str(place.rank) for place in costs([[1.0], [2.0], [300.0]])} == {"1-3"}


# --- timings and exact figures


def timed(medians: Sequence[float], relative_error: float = 0.002) -> list[Place]:
    rows = [Observed({0: float(np.log(m))}, error=relative_error, freedom=20) for m in medians]
    return places(medians, rows, [0] * len(rows), COST)


def test_timings_are_told_apart_by_intervals_and_what_two_processes_differ_by() -> None:
    found = timed([1.0, 1.05, 2.0])
    assert [str(place.rank) for place in found] == ["1-2", "1-2", "3"]
    assert [str(place.rank) for place in timed([1.0, 1.05, 2.0], relative_error=0.5)] == ["1-3"] * 3


def test_equal_timings_in_processes_of_their_own_are_told_apart_in_at_most_five_percent_of_tables() -> None:
    luck = np.random.default_rng(1)
    wrong = 0
    for _ in range(TABLES):
        medians = np.exp(luck.normal(0, COST.between_runs, 15) + luck.normal(0, 0.01, 15))
        wrong += beats(timed(medians.tolist(), relative_error=0.01)) > 0
    assert wrong <= AT_MOST


def test_any_difference_between_exact_figures_counts() -> None:
    rule = replace(COST, exact=True)
    found = places([100.0, 100.0, 101.0], [Observed({0: float(np.log(v))}) for v in (100, 100, 101)], [0] * 3, rule)
    assert [str(place.rank) for place in found] == ["1-2", "1-2", "3"]
    assert found[2].to_leader is not None
    assert (found[2].to_leader.value, found[2].to_leader.low) == pytest.approx((0.01, 0.01))
    assert found[2].to_leader.no_worse, "1 % is within the margin"


# --- differences and equivalence


def test_differences_hold_for_all_pairs_at_once() -> None:
    luck = np.random.default_rng(2)
    world, errors, missed_truth = World(1000), [0.05, 0.05, 0.06, 0.08, 0.1], 0
    for _ in range(TABLES):
        rows = [observed_errors(row) for row in world.missed(errors, luck)]
        found = places([row.share for row in rows], rows, [0] * 5, ODDS)
        differences = [place.to_baseline for place in found[1:]]
        for d in differences:
            assert d is not None
            assert d.low is not None
            assert d.high is not None
            assert d.low <= d.value <= d.high
        # The interval stands at the reference's estimate; what it holds is the ratio of the odds.
        base = rows[0].share
        odds = [e / (1 - e) / (errors[0] / (1 - errors[0])) for e in errors[1:]]
        expected = [(o := ratio * base / (1 - base)) / (1 + o) - base for ratio in odds]
        missed_truth += any(not d.low <= t <= d.high for d, t in zip(differences, expected, strict=True))  # type: ignore[union-attr, operator]
    assert missed_truth <= AT_MOST


def test_an_interval_that_leaves_zero_out_belongs_to_a_rank_that_says_the_same() -> None:
    luck = np.random.default_rng(4)
    for _ in range(20):
        found = ranked_errors(World(2000).missed(0.02 * np.linspace(1, 3, 8), luck))
        for place in found:
            if place.to_leader is not None and place.to_leader.low is not None and place.to_leader.low > 0:
                assert not place.rank.tied_with_best


def test_bounds_that_leave_everything_open_are_vague() -> None:
    """Three seeds, one of them wild: the rule's bounds reach to a hundred percent, which no reader can use."""
    steady = [[0.030, 0.033, 0.031], [0.031, 0.030, 0.034], [0.033, 0.031, 0.030]]
    scale = Scale("odds")
    rows = [
        Observed({seed: scale.place(share) for seed, share in enumerate(shares)}, share=float(np.mean(shares)))
        for shares in [*steady, [0.012, 0.03, 0.4]]
    ]
    found = places([row.share for row in rows], rows, [0] * 4, ODDS)
    said = [place.to_baseline for place in found[1:]]
    assert [difference is not None and difference.vague for difference in said] == [False, False, True]
    assert said[2] is not None
    assert said[2].high is not None, "files keep the bounds"
    assert said[2].high > 0.9
    assert found[3].rank == Rank(1, 4, True)


def test_no_worse_is_only_said_after_a_test() -> None:
    luck = np.random.default_rng(6)
    few, many = (
        [ranked_errors(World(samples, seeds=8).missed([0.02] * 4, luck)) for _ in range(20)]
        for samples in (300, 10_000)
    )

    def said(tables: list[list[Place]]) -> float:
        return float(np.mean([place.to_leader.no_worse for t in tables for place in t if place.to_leader]))

    assert said(few) == 0, "not being told apart is not being equal"
    assert said(many) > 0.6


def test_rows_that_differ_by_the_margin_are_rarely_called_no_worse() -> None:
    luck = np.random.default_rng(8)
    wrong = 0
    for _ in range(TABLES):
        rows = [observed_errors(row) for row in World(2000, seeds=5).missed([0.02, 0.025, 0.025], luck)]
        found = places([row.share for row in rows], rows, [0, 0, 0], ODDS)
        wrong += any(place.to_baseline is not None and place.to_baseline.no_worse for place in found)
    assert wrong <= AT_MOST


# --- properties

tables = st.lists(
    st.dictionaries(st.integers(0, 4), st.floats(0.1, 100), min_size=1, max_size=5), min_size=1, max_size=8
)


@settings(max_examples=200)
@given(tables, st.randoms(use_true_random=False), st.booleans())
def test_ranks_do_not_depend_on_the_order_of_rows(values: list[dict[int, float]], random, lower: bool) -> None:  # type: ignore[no-untyped-def]
    rule = replace(PLAIN, lower_is_better=lower)
    order = list(range(len(values)))
    random.shuffle(order)
    found, shuffled = costs(values, rule), costs([values[i] for i in order], rule)
    estimates = [np.mean(list(of.values())) for of in values]
    if len(set(estimates)) == len(estimates):
        assert [shuffled[order.index(i)].rank for i in range(len(values))] == [place.rank for place in found]


@settings(max_examples=200)
@given(tables)
def test_a_rank_holds_the_rows_place_by_its_estimate(values: list[dict[int, float]]) -> None:
    found = costs(values)
    estimates = [float(np.mean(list(of.values()))) for of in values]
    for estimate, place in zip(estimates, found, strict=True):
        better, equal = (sum(test(other) for other in estimates) for test in (estimate.__gt__, estimate.__eq__))
        assert 1 <= place.rank.best <= better + equal
        assert better + 1 <= place.rank.worst <= len(values)
    assert sum(place.rank.tied_with_best for place in found) >= 1


@settings(max_examples=200)
@given(tables, st.floats(0.01, 100))
def test_the_unit_of_a_cost_does_not_matter(values: list[dict[int, float]], unit: float) -> None:
    def logged(factor: float) -> list[Rank]:
        rows = [Observed({seed: float(np.log(v * factor)) for seed, v in of.items()}) for of in values]
        means = [float(np.mean(list(of.values()))) for of in values]
        return [place.rank for place in places([m * factor for m in means], rows, [None] * len(rows), COST)]

    means = sorted(float(np.mean(list(of.values()))) for of in values)
    if all(b > a * (1 + 1e-9) for a, b in itertools.pairwise(means)):
        assert logged(1.0) == logged(unit)


def test_no_rows_have_no_places() -> None:
    assert places([], [], [], PLAIN) == []


def test_ranking_takes_no_more_than_all_pairs_do() -> None:
    luck = np.random.default_rng(0)
    missed = World(10_000).missed([0.03] * 60, luck)
    rows = [observed_errors(row) for row in missed]
    bare = [replace(row, tested={}) for row in rows]
    places([row.share for row in bare[:3]], bare[:3], [0] * 3, ODDS)  # SciPy is imported here
    for given_rows in (bare, rows):
        few, many = (seconds_for(given_rows[:count]) for count in (15, 60))
        assert many < 64 * few, "pairs are compared, sixteen times as many; not three rows at a time"


def seconds_for(rows: list[Observed]) -> float:
    """Return the least of three times that ranking took: what else runs here only adds to one."""
    taken = []
    for _ in range(3):
        started = time.process_time()
        places([row.share for row in rows], rows, [0] * len(rows), ODDS)
        taken.append(time.process_time() - started)
    return min(taken)


extreme = st.sampled_from([0.0, 1e308, -1e308, 5e-324, 1e-300, 1.0, -1.0, 1e155])


@settings(max_examples=300)
@given(st.lists(st.dictionaries(st.integers(0, 3), extreme, min_size=1), min_size=1, max_size=5), st.booleans())
@example(values=[{0: 0.0}, {0: 0.0, 1: 0.0}], exact=False)  # a seed that one row only has
@pytest.mark.filterwarnings("error")
def test_no_figure_is_too_large_to_be_ranked(values: list[dict[int, float]], exact: bool) -> None:
    rows = [Observed(of) for of in values]
    estimates = [sum(v / len(of) for v in of.values()) for of in values]
    found = places(estimates, rows, [0] * len(rows), replace(PLAIN, exact=exact))
    assert all(1 <= place.rank.best <= place.rank.worst <= len(rows) for place in found)
