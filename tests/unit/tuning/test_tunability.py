"""Tunability is the exact mean over all smaller studies, with an interval where other draws could have been."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.catalogue.recipes import Combination
from harness.errors import UserError
from harness.tuning.show import curves_in, draw_curves, grouped, readable, to_text
from harness.tuning.study import Trial, study_of
from harness.tuning.tunability import Curve, curve_of, expected_error

KEY = Combination("digits", "quick", "lif", "bptt", "mlp")
ERRORS = st.tuples(st.integers(0, 6), st.integers(0, 9)).map(lambda pair: (pair[0] / 10, pair[1] / 10))


def brute(default: tuple[float, float], drawn: Sequence[tuple[float, float]], count: int) -> float:
    """Go through every set of trials."""
    numbered = [(validation, number, test) for number, (validation, test) in enumerate([default, *drawn])]
    sets = itertools.combinations(numbered[1:], count)
    return statistics.fmean(min([numbered[0], *chosen])[2] for chosen in sets)


@given(ERRORS, st.lists(ERRORS, max_size=7), st.data())
def test_the_formula_is_the_mean_over_all_sets(
    default: tuple[float, float], drawn: list[tuple[float, float]], data: st.DataObject
) -> None:
    count = data.draw(st.integers(0, len(drawn)))
    assert expected_error(default, drawn, count) == pytest.approx(brute(default, drawn, count))


def test_more_trials_than_were_drawn_are_none() -> None:
    with pytest.raises(ValueError, match="3 of 2 trials"):
        expected_error((0.1, 0.1), [(0.1, 0.1)] * 2, 3)


def trials(errors: Sequence[float | None]) -> list[Trial]:
    return [
        Trial(number, {}, "ok" if error is not None else "diverged", error, error)
        for number, error in enumerate(errors)
    ]


def curve(errors: Sequence[float | None], neuron: str = "lif") -> Curve:
    found = curve_of(KEY._replace(neuron=neuron), trials(errors), classes=10)
    assert found is not None
    return found


def test_one_trial_is_the_default_and_all_trials_are_the_study() -> None:
    points = dict(curve([0.3, 0.5, 0.1, 0.2, 0.4, 0.6, 0.25, 0.35, 0.45]).points)
    assert list(points) == [1, 2, 4, 8, 9]
    assert (points[1].value, points[9].value) == (0.3, 0.1)
    values = [point.value for point in points.values()]
    assert values == sorted(values, reverse=True)
    assert points[1].low is None
    assert points[9].low is None
    for count in (2, 4, 8):
        low, high = points[count].low, points[count].high
        assert low is not None
        assert high is not None
        assert 0 <= low < points[count].value < high <= 1


def test_what_failed_is_worse_than_anything_and_guesses() -> None:
    assert dict(curve([0.95, None, None]).points)[3].value == 0.95
    assert dict(curve([None, None]).points)[2].value == pytest.approx(0.9)
    assert dict(curve([None, 0.2, None]).points)[2].value == pytest.approx((0.2 + 0.9) / 2)


def test_a_study_without_its_default_has_no_curve() -> None:
    assert curve_of(KEY, trials([0.1, 0.2])[1:], classes=10) is None
    assert curve_of(KEY, [], classes=10) is None


def test_curves_are_shown_best_first_in_a_table_and_a_picture(tmp_path: Path) -> None:
    registry = load_registry()
    for neuron, errors in (("lif", [0.3, 0.2, 0.1, 0.15]), ("if", [0.1, 0.4, 0.3, 0.05])):
        study = study_of(Cell("accuracy", "digits", neuron, "bptt", "mlp", budget="quick"), registry, tmp_path)
        study.trials = dict(enumerate(trials(errors)))
        study.write(tmp_path)
    curves = curves_in(tmp_path, {"task": "digits"})
    ((group, members),) = grouped(curves).items()
    assert group.label == "Tunability: digits, mlp, quick"
    assert [one.combination.neuron for one in members] == ["if", "lif"]
    assert list(readable(members).columns) == [
        "neuron",
        "method",
        "default [%]",
        "2 trials [%]",
        "4 trials [%]",
        "gain [%]",
    ]
    assert [one.combination.neuron for one in curves_in(tmp_path, {"neuron": "lif"})] == ["lif"]
    assert "| if" in to_text(curves, "md")
    assert to_text(curves, "csv").splitlines()[0] == (
        "task,budget,neuron,method,topology,trials,of,test_error_fraction,low,high"
    )
    with pytest.raises(UserError, match="did you mean 'csv'"):
        to_text(curves, "cvs")
    draw_curves(curves, tmp_path / "curves.svg")
    assert (tmp_path / "curves.svg").stat().st_size > 1000
    with pytest.raises(UserError, match="several tables"):
        draw_curves([*curves, other_task()], tmp_path / "curves.svg")
    with pytest.raises(UserError, match="cannot draw"):
        draw_curves(curves, tmp_path / "curves.txt")


def other_task() -> Curve:
    found = curve_of(KEY._replace(task="mnist"), trials([0.1, 0.2]), classes=10)
    assert found is not None
    return found
