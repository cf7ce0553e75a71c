"""Intervals cover what they claim, ties stand where intervals touch, and only true changes are changes."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.results.stats import Estimate, change, estimate, rank, t_interval, wilson_interval

values = st.floats(-1e6, 1e6, allow_nan=False)


def test_t_interval_of_three_is_the_textbook_one() -> None:
    mean, low, high = t_interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert high - mean == pytest.approx(4.3027 / 3**0.5, rel=1e-4)
    assert mean - low == pytest.approx(high - mean)


@pytest.mark.parametrize(
    ("n", "accuracy", "half"), [(10_000, 0.995, 0.0014), (288, 0.97, 0.0205), (300, 0.957, 0.0235)]
)
def test_wilson_interval_of_known_test_sets(n: int, accuracy: float, half: float) -> None:
    low, high = wilson_interval(round(n * accuracy), n)
    assert (high - low) / 2 == pytest.approx(half, abs=4e-4)


def test_wilson_interval_stays_within_what_is_possible() -> None:
    assert wilson_interval(0, 10)[0] == 0.0
    assert wilson_interval(10, 10)[1] == pytest.approx(1.0)


def test_t_interval_covers_the_truth_as_often_as_it_says() -> None:
    generator = random.Random(1)
    runs = [t_interval([generator.gauss(5, 2) for _ in range(4)]) for _ in range(2000)]
    covered = sum(low <= 5 <= high for _, low, high in runs) / len(runs)
    assert 0.93 < covered < 0.97


def test_two_identical_methods_are_rarely_told_apart() -> None:
    generator = random.Random(2)
    apart = 0
    for _ in range(1000):
        a, b = ({"value": [generator.gauss(0, 1) for _ in range(3)]} for _ in range(2))
        ranks = rank({"a": estimate(a["value"], "seeds"), "b": estimate(b["value"], "seeds")}, "lower")
        apart += ranks["a"] != ranks["b"]
    assert apart / 1000 < 0.05


def test_seeds_that_agree_to_the_last_step_are_not_certain() -> None:
    agreed = estimate([0.0278, 0.0278, 0.0278], "seeds", resolution=1 / 359)
    assert agreed.high is not None
    assert agreed.high > agreed.value
    assert estimate([0.0278, 0.0278, 0.0278], "seeds").high == pytest.approx(0.0278)


def test_a_single_value_has_no_interval() -> None:
    assert estimate([3.0], "seeds") == Estimate(3.0)


def test_ranks_tie_where_intervals_touch() -> None:
    rows = {
        "a": Estimate(1.0, 0.9, 1.1),
        "b": Estimate(1.15, 1.05, 1.3),
        "c": Estimate(2.0, 1.9, 2.1),
        "d": Estimate(9.0),
    }
    assert rank(rows, "lower") == {"a": 1, "b": 1, "c": 3, "d": 4}
    assert rank(rows, "higher") == {"d": 1, "c": 2, "a": 3, "b": 3}
    assert rank(rows, "none") == {}


@given(st.lists(values, min_size=1, max_size=8), st.sampled_from(["lower", "higher"]))
def test_the_order_of_rows_does_not_matter(numbers: list[float], direction: str) -> None:
    rows = {str(index): Estimate(value) for index, value in enumerate(numbers)}
    backwards = dict(reversed(rows.items()))
    assert rank(rows, direction) == rank(backwards, direction)
    assert min(rank(rows, direction).values()) == 1


@given(values, values)
def test_swapping_the_direction_turns_regressions_into_improvements(before: float, after: float) -> None:
    lower = change(Estimate(before), Estimate(after), "lower", True, 0.05).verdict
    higher = change(Estimate(before), Estimate(after), "higher", True, 0.05).verdict
    swapped = {"regression": "improvement", "improvement": "regression"}
    assert higher == swapped.get(lower, lower)


@pytest.mark.parametrize(
    ("before", "after", "direction", "exact", "verdict"),
    [
        (Estimate(1.0), Estimate(1.0), "lower", False, "same"),
        (Estimate(100.0), Estimate(101.0), "lower", True, "regression"),
        (Estimate(100.0), Estimate(101.0), "lower", False, "noise"),
        (Estimate(100.0, 99, 101), Estimate(120.0, 118, 122), "lower", False, "regression"),
        (Estimate(100.0, 99, 101), Estimate(120.0, 100, 140), "lower", False, "noise"),
        (Estimate(100.0, 99, 101), Estimate(120.0, 118, 122), "higher", False, "improvement"),
        (Estimate(0.9, 0.89, 0.91), Estimate(0.8, 0.79, 0.81), "higher", False, "regression"),
        (Estimate(5.0), Estimate(9.0), "none", True, "changed"),
        (Estimate(0.0), Estimate(1.0), "lower", True, "regression"),
    ],
)
def test_a_change_is_judged_by_direction_noise_and_size(
    before: Estimate, after: Estimate, direction: str, exact: bool, verdict: str
) -> None:
    assert change(before, after, direction, exact, 0.05).verdict == verdict
