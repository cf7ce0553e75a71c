"""The noise of a series: made of runs that count, kept as lines in git, and of one suite and clock."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from history import around, cell, figure, measured_at
from synthetic import LAPTOP, registry

from harness.asv.noise import Spread, is_current, merge, noise_lookup, read_noise, spreads_of, write_noise
from harness.catalogue.cell import Cell
from harness.errors import UserError
from harness.results.record import Metric, Record

COMMIT, NEXT = "a" * 40, "b" * 40
SECONDS = (2.00e-3, 2.02e-3, 1.98e-3, 2.01e-3, 1.99e-3)
LABEL = "lif bptt mlp digits quick"


def run_of(seconds: float, commit: str = COMMIT, day: int = 1, neuron: str = "lif") -> list[Record]:
    """Return what one run gives: a time with its interval, and an exact figure."""
    (metric,) = figure("throughput", "train_step_seconds", seconds, around(seconds)).values()
    interval = {"low": 0.99 * seconds, "high": 1.01 * seconds, "covers": "repetitions"}
    timed = {"train_step_seconds": metric.model_copy(update=interval)}
    saved = {"saved_bytes": Metric(value=1e6, unit="bytes", direction="lower", exact=True)}
    at = {"started_at": f"2026-03-{day:02d}T01:00:00+00:00"}
    return [
        measured_at(commit, cell("throughput", neuron), timed, **at),
        measured_at(commit, cell("memory", neuron), saved, **at),
    ]


def calibrated(commit: str = COMMIT) -> list[Spread]:
    return spreads_of([run_of(one, commit, day) for day, one in enumerate(SECONDS, start=1)], registry())


def test_the_spread_of_a_series_is_that_of_its_runs() -> None:
    (spread,) = calibrated()
    assert spread.key == (LAPTOP.name, "throughput", "train_step_seconds", LABEL)
    assert spread.runs == 5
    assert spread.between == pytest.approx(np.std(np.log(SECONDS), ddof=1), rel=1e-5)
    assert spread.within == pytest.approx(0.01 / 1.96, rel=1e-3), "half of a 95 % interval is 1.96 standard errors"
    assert spread.value == pytest.approx(math.prod(SECONDS) ** (1 / 5), rel=1e-5)
    assert (spread.lowest, spread.highest) == (min(SECONDS), max(SECONDS))
    assert (spread.commit, spread.judged_from) == (COMMIT, COMMIT)
    assert (spread.first[:10], spread.last[:10]) == ("2026-03-01", "2026-03-05")
    assert spread.packages.keys() == {"numpy", "torch"}
    assert is_current(spread)


def test_noisy_runs_and_failures_do_not_count() -> None:
    runs = [run_of(one) for one in SECONDS]
    noisy = runs[0][0].model_copy(update={"status": "noisy"})
    assert spreads_of([[noisy], *runs[1:]], registry()) == [], "four are too few"
    assert spreads_of([[], *runs], registry())[0].runs == 5


def test_a_changed_tree_is_no_commit() -> None:
    runs = [[measured_at(COMMIT, one.cell, dict(one.metrics), dirty=True) for one in run_of(s)] for s in SECONDS]
    assert spreads_of(runs, registry()) == []


def test_a_file_has_a_line_for_each_figure_and_reads_as_it_was_written(tmp_path: Path) -> None:
    runs = [run_of(one) + run_of(one, neuron="psn") for one in SECONDS]
    spreads = spreads_of(runs, registry())
    (path,) = write_noise(tmp_path / "noise", spreads)
    assert path == tmp_path / "noise" / f"{LAPTOP.name}.jsonl"
    assert [json.loads(line)["label"] for line in path.read_text().splitlines()] == [LABEL, LABEL.replace("lif", "psn")]
    assert read_noise(tmp_path / "noise") == spreads
    assert read_noise(tmp_path / "nowhere") == []


def test_a_second_calibration_replaces_the_spread_and_goes_on_judging() -> None:
    (known,), (again,) = calibrated(), calibrated(NEXT)
    (merged,) = merge([known], [again])
    assert (merged.commit, merged.judged_from) == (NEXT, COMMIT)
    other = known.model_copy(update={"version": "suite 0, clock 0"})
    assert merge([other], [again]) == [again], "another ruler begins a new series"
    elsewhere = known.model_copy(update={"machine": "another"})
    assert merge([elsewhere], [again]) == sorted([elsewhere, again], key=lambda one: one.key)


@pytest.mark.parametrize(
    ("line", "said"),
    [("{", "line 2: the line: "), ('{"suite": "throughput"}', "line 2: metric: Field required")],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    (path,) = write_noise(tmp_path, calibrated())
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(UserError) as caught:
        read_noise(tmp_path)
    assert f"{path}, {said}" in str(caught.value)
    assert "spikeboard calibrate" in str(caught.value)


def test_a_spread_that_no_alarm_could_rest_on_is_refused(tmp_path: Path) -> None:
    (path,) = write_noise(tmp_path, calibrated())
    path.write_text(json.dumps({**json.loads(path.read_text()), "between": -0.1}) + "\n")
    with pytest.raises(UserError, match="between"):
        read_noise(tmp_path)


def test_noise_is_told_of_the_same_series_with_the_same_ruler_only() -> None:
    (spread,) = calibrated()
    asked = Cell("throughput", "digits", "lif", "bptt", "mlp", budget="quick", threads=2)
    look_up = noise_lookup([spread])
    assert look_up(LAPTOP.name, asked, 1, "train_step_seconds") == spread.noise
    assert look_up(LAPTOP.name, asked, 2, "train_step_seconds") is None
    assert look_up("another", asked, 1, "train_step_seconds") is None
    assert look_up(LAPTOP.name, asked, 1, "inference_step_seconds") is None
    older = noise_lookup([spread.model_copy(update={"version": "suite 0, clock 0"})])
    assert older(LAPTOP.name, asked, 1, "train_step_seconds") is None
