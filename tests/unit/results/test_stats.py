"""Intervals cover what they claim, and only true changes are changes."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.results.stats import Estimate, change, estimate, t_interval, wilson_interval

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


def test_seeds_that_agree_to_the_last_step_are_not_certain() -> None:
    agreed = estimate([0.0278, 0.0278, 0.0278], "seeds", resolution=1 / 359)
    assert agreed.high is not None
    assert agreed.high > agreed.value
    assert estimate([0.0278, 0.0278, 0.0278], "seeds").high == pytest.approx(0.0278)


def test_a_single_value_has_no_interval() -> None:
    assert estimate([3.0], "seeds") == Estimate(3.0)


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
