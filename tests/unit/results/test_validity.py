"""Impossible records are named and never ranked, whatever makes them impossible; those published are all possible."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from synthetic import Factory, record, registry

from harness.catalogue.boards import find_board
from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.results.record import Metric, Record
from harness.results.store import Problem, Store, read_record
from harness.results.tables import build_tables
from harness.results.validity import limits_of, problem_of

ROWS = registry()
BASE = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick")
NOW = datetime(2026, 4, 1, tzinfo=UTC)
PUBLISHED = Path(__file__).parents[3] / "reports" / "data"


def with_metric(name: str, suite: str = "accuracy", **changes: Any) -> Record:
    """Return a true record of `suite` with one figure changed; the interval goes unless it is given."""
    one = Factory(ROWS).measured(replace(BASE, suite=suite))
    changed = one.metrics[name].model_copy(update={"low": None, "high": None, "covers": None, **changes})
    return one.model_copy(update={"metrics": {**one.metrics, name: changed}})


def said(one: Record) -> str | None:
    return problem_of(one, ROWS, NOW)


@pytest.mark.parametrize(
    "suite", ["accuracy", "throughput", "memory", "spikes", "scaling", "libraries", "layers", "training"]
)
def test_a_true_record_is_possible(suite: str) -> None:
    assert said(Factory(ROWS).measured(replace(BASE, suite=suite))) is None


@pytest.mark.parametrize(
    ("suite", "metric", "value", "reason"),
    [
        ("accuracy", "error_fraction", -1.0, "below 0"),
        ("accuracy", "error_fraction", -1e-300, "below 0"),
        ("accuracy", "error_fraction", -math.inf, "not finite"),
        ("accuracy", "error_fraction", math.nan, "not finite"),
        ("accuracy", "error_fraction", 7.0, "above 1"),
        ("accuracy", "parameters", 4810.5, "no whole number"),
        ("accuracy", "best_epoch", -3.0, "below 0"),
        ("throughput", "train_step_seconds", 0.0, "not above 0"),
        ("throughput", "train_step_seconds", -2e-3, "not above 0"),
        ("throughput", "train_step_ratio", 0.0, "not above 0"),
        ("throughput", "train_samples_per_second", 0.0, "not above 0"),
        ("throughput", "copy_bandwidth_fraction", -0.1, "below 0"),
        ("scaling", "train_seconds_per_time_step", -0.5, "below"),
        ("memory", "peak_bytes", -1.0, "below 0"),
        ("memory", "peak_bytes", 1e308, "larger than anything"),
        ("memory", "saved_bytes_per_time_step", -5.0, "below"),
        ("spikes", "energy_joules", -1e-9, "below 0"),
        ("spikes", "spikes_per_neuron", -0.5, "below 0"),
        ("spikes", "dead_fraction", 1.5, "above 1"),
        ("libraries", "gradient_cosine", 1.5, "above 1"),
        ("libraries", "spike_mismatch_fraction", -0.5, "below 0"),
        ("layers", "speedup_t16", -1.0, "not above 0"),
    ],
)
def test_a_value_out_of_its_metrics_range_is_named(suite: str, metric: str, value: float, reason: str) -> None:
    problem = said(with_metric(metric, suite, value=value, samples=(), n=1))
    assert problem is not None
    assert metric in problem
    assert reason in problem


@pytest.mark.parametrize(
    ("suite", "metric", "value"),
    [
        ("accuracy", "error_fraction", 0.0),
        ("accuracy", "error_fraction", 1.0),
        ("throughput", "copy_bandwidth_fraction", 1.4),
        ("memory", "saved_bytes_per_time_step", -1e-10),
        ("scaling", "train_seconds_per_time_step", -1.2e-8),
        ("spikes", "energy_relative_to_dense", 800.0),
        ("libraries", "gradient_cosine", -0.3),
    ],
)
def test_what_a_metric_can_be_is_left_alone(suite: str, metric: str, value: float) -> None:
    assert said(with_metric(metric, suite, value=value, samples=(), n=1)) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"unit": "ms"}, "is in 'ms', its metric is in 'seconds'"),
        ({"direction": "higher"}, "says 'higher' is better"),
        ({"n": -5}, "rests on -5 values"),
        ({"n": 0}, "rests on 0 values"),
        ({"n": 10**400}, "rests on too many values"),
        ({"low": 3e-3, "high": 1e-3}, "lies outside its interval"),
        ({"low": 2.1e-3, "high": 3e-3}, "lies outside its interval"),
        ({"low": 1e-3}, "half an interval"),
        ({"low": 1e-3, "high": math.inf}, "interval that is not finite"),
        ({"n": 3, "samples": (2e-3, 0.0, 2e-3)}, "a sample (0)"),
        ({"n": 3, "samples": (2e-3, math.nan, 2e-3)}, "a sample (nan)"),
        ({"n": 3, "samples": (9e-3, 8e-3, 9e-3)}, "neither the median nor the mean"),
        ({"n": 9, "samples": (2e-3, 2e-3, 2e-3)}, "rests on 9 samples and has 3"),
    ],
)
def test_a_figure_that_contradicts_itself_is_named(changes: dict[str, Any], reason: str) -> None:
    problem = said(with_metric("train_step_seconds", "throughput", **{"value": 2e-3, "n": 1, "samples": (), **changes}))
    assert problem is not None
    assert reason in problem


def test_a_median_and_a_mean_agree_with_their_samples() -> None:
    for value in (2e-3, 3e-3):
        one = with_metric("train_step_seconds", "throughput", value=value, n=3, samples=(1e-3, 2e-3, 6e-3))
        assert said(one) is None


def with_origin(**changes: Any) -> Record:
    one = Factory(ROWS).measured(BASE)
    return one.model_copy(update={"provenance": one.provenance.model_copy(update=changes)})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"started_at": "9999"}, "is no time with a time zone"),
        ({"started_at": "zebra"}, "is no time with a time zone"),
        ({"started_at": "2026-03-01T12:00:00"}, "is no time with a time zone"),
        ({"started_at": "9999-12-31T23:59:59-23:00"}, "is no time with a time zone"),
        ({"started_at": "9999-12-31T00:00:00+00:00"}, "in the future"),
        ({"started_at": (NOW + timedelta(days=2)).isoformat()}, "in the future"),
        ({"started_at": "1970-01-01T00:00:00+00:00"}, "measured in 1970"),
        ({"duration_seconds": -1.0}, "took -1 seconds"),
        ({"duration_seconds": math.nan}, "took nan seconds"),
        ({"commit": "--output=/tmp/x"}, "is no hash"),
        ({"commit": "HEAD"}, "is no hash"),
        ({"commit": "../../etc/passwd"}, "is no hash"),
        ({"commit": ""}, "is no hash"),
        ({"busy_fraction": math.nan}, "of the processors"),
        ({"busy_fraction": -0.1}, "of the processors"),
        ({"duration_seconds": 1e300}, "not over yet"),
        ({"duration_seconds": 86_400.0 * 365}, "not over yet"),
        ({"clocks": {"cpu_hertz": -1.0}}, "clock rate"),
        ({"threads": -2}, "threads is negative"),
        ({"suite_version": 10**400}, "suite_version is too large"),
    ],
)
def test_an_impossible_origin_is_named(changes: dict[str, Any], reason: str) -> None:
    problem = said(with_origin(**changes))
    assert problem is not None
    assert reason in problem


def test_a_clock_may_be_a_day_ahead_and_in_any_zone() -> None:
    for started in ((NOW + timedelta(hours=20)).isoformat(), "2026-03-01T12:00:00+05:30", "2026-03-01T12:00:00Z"):
        assert said(with_origin(started_at=started)) is None


def test_a_series_must_be_finite() -> None:
    one = Factory(ROWS).measured(BASE)
    name, curve = next(iter(one.series.items()))
    for point in ((1.0, math.inf), (math.nan, 1.0)):
        broken = curve.model_copy(update={"points": (*curve.points, point)})
        problem = said(one.model_copy(update={"series": {name: broken}}))
        assert problem is not None
        assert name in problem


def test_a_suite_that_is_not_installed_is_held_against_its_units() -> None:
    cell = Cell("weights-of-others", "digits", "lif")
    possible = Metric(value=0.5, unit="fraction", direction="lower")
    assert said(record(cell, metrics={"share": possible})) is None
    assert said(record(cell, metrics={"share": possible.model_copy(update={"value": 2.0})})) is not None


def test_every_metric_but_those_of_a_unit_of_their_own_has_limits() -> None:
    """A new unit is either known to `validity`, or its metric says what it can be."""
    known = load_registry()
    free = {
        f"{suite}.{name}: {card.unit}"
        for suite in known.suites
        for name, card in known.suite(suite).metrics.items()
        if math.isinf(limits_of(card).low)
    }
    assert free == {"control.mean_return: reward"}, "the reward of an environment may be any number"


def test_every_published_record_is_possible() -> None:
    contents = Store(PUBLISHED).read()
    assert contents.records
    assert contents.problems == ()


Edit = Callable[[str], str]


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace('"value": 0.03', '"value": -1.0', 1),
        lambda text: text.replace('"value": 0.03', '"value": 7.0', 1),
        lambda text: text.replace('"value": 0.03', '"value": NaN', 1),
        lambda text: text.replace('"value": 0.03', '"value": -Infinity', 1),
        lambda text: text.replace('"value": 0.03', '"value": "NaN"', 1),
        lambda text: text.replace('"value": 0.03', f'"value": {"9" * 400}', 1),
        lambda text: text.replace('"n": 359', '"n": -5', 1),
        lambda text: text.replace("2026-03-01T12:00:00+00:00", "zebra", 1),
        lambda text: text.replace("2026-03-01T12:00:00+00:00", "9999", 1),
    ],
)
def test_an_edited_file_is_a_problem_and_reaches_no_table(tmp_path: Path, edit: Edit) -> None:
    figure = {"error_fraction": Metric(value=0.03, unit="fraction", direction="lower", n=359)}
    store = Store(tmp_path)
    good = record(replace(BASE, neuron="if"), metrics=figure)
    store.write(good)
    path = store.write(record(BASE, metrics=figure))
    text = path.read_text()
    assert edit(text) != text
    path.write_text(edit(text))
    assert isinstance(read_record(path), Problem)
    contents = store.read()
    assert contents.records == (good,)
    assert [problem.path for problem in contents.problems] == [path]
    (table,) = build_tables(contents.records, ROWS, find_board("neurons"))
    assert [row.name for row in table.rows] == ["if"]


def test_a_recipe_is_not_judged_by_a_seed_that_chose_it() -> None:
    cell = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick", seed=1000)
    known = load_registry()
    reason = problem_of(record(replace(cell, recipe="tuned")), known)
    assert reason == "seed 1000 is kept for tuning, and cannot judge the recipe 'tuned'"
    assert problem_of(record(replace(cell, recipe="trial-0a")), known) is None
    assert problem_of(record(replace(cell, recipe="tuned", seed=7)), known) is None
