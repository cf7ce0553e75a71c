"""Two stores or two commits: exit code 1 for a regression beyond the noise, and for nothing else."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import record
from typer.testing import CliRunner

import harness
from harness.asv.noise import Spread, write_noise
from harness.asv.series import current_version
from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.cli import app
from harness.errors import UserError
from harness.report.changes import headline
from harness.results.allowances import NoiseOf
from harness.results.comparison import CellChange, compare, records_of
from harness.results.fingerprint import code_hash
from harness.results.record import Metric, Record, Status
from harness.results.steps import Noise
from harness.results.store import Store
from reference_impls.names import UnknownNameError

CELL = Cell("throughput", "digits", "lif", "bptt", "mlp", budget="quick", threads=2)


def timed(seconds: float, half: float = 0.01, **axes: object) -> Record:
    metric = Metric(value=seconds, unit="seconds", direction="lower", low=seconds - half, high=seconds + half, n=9)
    return record(replace(CELL, **axes), metrics={"train_step_seconds": metric})


def saved(size: float) -> Record:
    metric = Metric(value=size, unit="bytes", direction="lower", exact=True)
    return record(replace(CELL, suite="memory"), metrics={"saved_bytes": metric})


def stores(folder: Path, before: list[Record], after: list[Record]) -> list[str]:
    for name, records in (("before", before), ("after", after)):
        (folder / name).mkdir()
        for each in records:
            Store(folder / name).write(each)
    return [str(folder / "before"), str(folder / "after")]


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        (timed(1.0), timed(1.0), 0),
        (timed(1.0), timed(1.5), 1),
        (timed(1.5), timed(1.0), 0),
        (timed(1.0, half=0.4), timed(1.5, half=0.4), 0),
        (timed(1.0), timed(1.03), 0),
        (saved(1000), saved(1001), 1),
        (saved(1001), saved(1000), 0),
    ],
)
def test_only_a_regression_beyond_the_noise_fails(tmp_path: Path, before: Record, after: Record, code: int) -> None:
    result = CliRunner().invoke(app, ["compare", *stores(tmp_path, [before], [after])])
    assert result.exit_code == code, result.output
    assert ("regression" in result.output) == (code == 1)


def test_stores_without_a_common_figure_are_an_error_not_a_pass(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["compare", *stores(tmp_path, [timed(1.0)], [timed(1.0, neuron="if")])])
    assert isinstance(result.exception, UserError)
    assert "no figure in common" in str(result.exception)


def compared(before: list[Record], after: list[Record], threshold: float = 0.05) -> list[CellChange]:
    return compare(before, after, load_registry(), threshold)


def _narrow(one: Record) -> Metric:
    metric = one.metrics["peak_bytes"]
    return metric.model_copy(update={"low": metric.value, "high": metric.value, "n": 5, "covers": "processes"})


def peak(size: float) -> Record:
    metric = Metric(value=size, unit="bytes", direction="lower")
    return record(replace(CELL, suite="memory"), metrics={"peak_bytes": metric})


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [(4e6, 6e6, "noise"), (4e6, 7.9e6, "noise"), (4e6, 8.1e6, "regression"), (8.1e6, 4e6, "improvement")],
)
def test_a_peak_is_judged_by_what_is_known_of_peaks(before: float, after: float, verdict: str) -> None:
    """Peaks of one code differ by up to 92 % in the published records, and no interval says so."""
    (found,) = compared([peak(before)], [peak(after)])
    assert found.verdict == verdict
    narrow = [one.model_copy(update={"metrics": {"peak_bytes": _narrow(one)}}) for one in (peak(before), peak(after))]
    (found,) = compared(narrow[:1], narrow[1:])
    assert found.verdict == verdict, "intervals over forks of one session do not cover another session"


def test_a_time_without_an_interval_needs_a_doubling() -> None:
    def once(seconds: float) -> Record:
        return record(CELL, metrics={"train_step_seconds": Metric(value=seconds, unit="seconds", direction="lower")})

    assert compared([once(1.0)], [once(1.9)])[0].verdict == "noise"
    assert compared([once(1.0)], [once(2.1)])[0].verdict == "regression"
    assert compared([timed(1.0)], [timed(1.9)])[0].verdict == "regression", "intervals say what they know"


def spread_of(between: float, runs: int = 20) -> NoiseOf:
    """Know the same noise of every time that a training step takes."""
    return lambda _machine, _cell, _task, metric: Noise(between, runs) if metric == "train_step_seconds" else None


@pytest.mark.parametrize(
    ("between", "after", "verdict"),
    [
        (0.005, 1.04, "regression"),
        (0.005, 0.96, "improvement"),
        (0.005, 1.015, "noise"),
        (0.05, 1.15, "noise"),
        (0.05, 1.35, "regression"),
    ],
)
def test_measured_noise_decides_where_it_is_known(between: float, after: float, verdict: str) -> None:
    """In place of the threshold of 5 %, and of intervals that see one session only."""
    registry = load_registry()
    (found,) = compare([timed(1.0, half=0.03)], [timed(after, half=0.03)], registry, 0.05, spread_of(between))
    assert found.verdict == verdict
    assert found.metrics[0].allowed is not None
    assert found.metrics[0].before.low == pytest.approx(0.97), "intervals are shown as they were"
    (without,) = compare([timed(1.0, half=0.001)], [timed(after, half=0.001)], registry, 0.05)
    assert without.metrics[0].allowed is None


def test_a_threshold_that_is_asked_for_is_the_least() -> None:
    before, after = [timed(1.0)], [timed(1.04)]
    (found,) = compare(before, after, load_registry(), 0.1, spread_of(0.005), least=0.1)
    assert found.verdict == "noise"
    assert found.metrics[0].allowed == pytest.approx(0.1)


def test_of_many_comparisons_with_measured_noise_each_is_allowed_more() -> None:
    rows = [f"row-{number}" for number in range(40)]
    before, after = ([timed(value, neuron=row) for row in rows] for value in (1.0, 1.03))
    (alone,) = compare(before[:1], after[:1], load_registry(), 0.05, spread_of(0.006))
    many = compare(before, after, load_registry(), 0.05, spread_of(0.006))
    assert alone.verdict == "regression"
    assert {item.verdict for item in many} == {"noise"}


def test_exact_figures_and_several_seeds_keep_their_rules() -> None:
    def noise(*_asked: object) -> Noise:
        return Noise(0.5, 20)

    (found,) = compare([saved(1000)], [saved(1001)], load_registry(), 0.05, noise)
    assert found.verdict == "regression"
    seeds = [[timed(value, seed=seed) for seed in range(3)] for value in (1.0, 1.5)]
    (found,) = compare(*seeds, load_registry(), 0.05, noise)
    assert found.verdict == "regression"
    assert found.metrics[0].allowed is None


def test_the_command_says_what_was_judged_by_measured_noise(tmp_path: Path) -> None:
    names = stores(tmp_path, [timed(1.0)], [timed(1.5)])
    version = current_version("throughput")
    spread = Spread.model_validate(
        {
            "suite": "throughput",
            "metric": "train_step_seconds",
            "label": "lif bptt mlp digits quick",
            "machine": "intel-xeon-2c",
            "version": version,
            "between": 0.3,
            "within": None,
            "runs": 10,
            "value": 1.0,
            "lowest": 0.5,
            "highest": 2.0,
            "commit": "a" * 40,
            "judged_from": "a" * 40,
            "python": "3.11",
            "first": "2026-03-01T01:00:00+00:00",
            "last": "2026-03-01T02:00:00+00:00",
            "packages": {},
        }
    )
    write_noise(tmp_path / "noise", [spread])
    result = CliRunner().invoke(app, ["compare", *names, "--noise", str(tmp_path / "noise")])
    assert result.exit_code == 0, result.output
    assert "judged by measured noise (†): 1 figure; the others by their intervals" in result.output
    result = CliRunner().invoke(app, ["compare", *names, "--noise", str(tmp_path / "nowhere")])
    assert result.exit_code == 1, result.output
    assert "measured noise" not in result.output


def test_seeds_are_combined_before_they_are_compared() -> None:
    before = [timed(value, seed=seed) for seed, value in enumerate((1.0, 1.2, 1.1))]
    after = [timed(value, seed=seed) for seed, value in enumerate((1.05, 1.25, 1.15))]
    (found,) = compared(before, after, 0.01)
    (metric,) = found.metrics
    assert metric.before.n == 3
    assert found.verdict == "noise"


def test_other_machines_are_not_compared() -> None:
    elsewhere = timed(9.0)
    machine = elsewhere.provenance.machine.model_copy(update={"name": "elsewhere"})
    moved = elsewhere.model_copy(update={"provenance": elsewhere.provenance.model_copy(update={"machine": machine})})
    assert compared([timed(1.0)], [moved]) == []


def ended(status: Status, **axes: object) -> Record:
    return record(replace(CELL, **axes), status, reason="It ended.")


@pytest.mark.parametrize("status", ["crashed", "diverged", "oom", "timeout", "error", "unsupported"])
def test_a_cell_that_was_fine_and_now_fails_is_a_regression(tmp_path: Path, status: Status) -> None:
    names = stores(tmp_path, [timed(1.0)], [ended(status)])
    result = CliRunner().invoke(app, ["compare", *names])
    assert result.exit_code == 1, result.output
    assert "1 cell: 1 regression" in result.output
    assert status in result.output
    assert "It ended." in result.output
    back = CliRunner().invoke(app, ["compare", *reversed(names)])
    assert back.exit_code == 0, back.output
    assert "1 improvement" in back.output
    assert back.output.splitlines()[1].split()[-2:] == [status, "ok"]


def test_a_metric_that_is_missing_is_a_regression() -> None:
    both = timed(1.0)
    more = {**both.metrics, "inference_step_seconds": both.metrics["train_step_seconds"]}
    (found,) = compared([both.model_copy(update={"metrics": more})], [both])
    assert found.verdict == "regression"
    assert (found.metrics[0].metric, found.metrics[0].after) == ("inference_step_seconds", None)
    assert headline(found)[2:5] == ("inference [s]", "1.00 ± 0.01", "missing")
    (found,) = compared([both], [both.model_copy(update={"metrics": more})])
    assert found.verdict == "same"


def test_one_seed_that_fails_is_a_regression_of_its_cell() -> None:
    before = [timed(1.0, seed=seed) for seed in range(3)]
    (found,) = compared(before, [*before[:2], ended("crashed", seed=2)])
    assert (found.verdict, found.after, found.reason) == ("regression", "crashed", "It ended. (seed 2 of 3)")


def test_what_has_no_record_is_gone_unless_only_a_part_was_measured(tmp_path: Path) -> None:
    names = stores(tmp_path, [timed(1.0), timed(1.0, neuron="if")], [timed(1.0)])
    result = CliRunner().invoke(app, ["compare", *names])
    assert result.exit_code == 1
    assert "2 cells: 1 gone, 1 same" in result.output
    partial = CliRunner().invoke(app, ["compare", *names, "--partial"])
    assert partial.exit_code == 0, partial.output
    assert "1 not measured again" in partial.output
    (gone, _) = compared([timed(1.0), timed(1.0, neuron="if")], [timed(1.0), ended("interrupted", neuron="if")])
    assert (gone.verdict, gone.cell.neuron) == ("gone", "if"), "a run that was stopped has measured nothing"


def test_what_tells_of_the_machine_or_twice_is_not_judged() -> None:
    base = timed(1.0)
    unjudged = ("copy_bytes_per_second", "train_samples_per_second")
    worse = [
        base.model_copy(update={"metrics": {**base.metrics, **{name: _plain(value) for name in unjudged}}})
        for value in (100.0, 50.0)
    ]
    (found,) = compared([worse[0]], [worse[1]])
    assert found.verdict == "same"
    assert [metric.metric for metric in found.metrics] == ["train_step_seconds"]


def _plain(value: float) -> Metric:
    return Metric(value=value, unit="1", direction="higher")


def test_another_version_of_a_suite_is_another_series() -> None:
    slower = timed(9.0)
    other = slower.provenance.model_copy(update={"suite_version": slower.provenance.suite_version + 1})
    (found,) = compared([timed(1.0)], [slower.model_copy(update={"provenance": other})])
    assert found.verdict == "incomparable"
    failed = ended("crashed").model_copy(update={"provenance": other})
    (found,) = compared([timed(1.0)], [failed])
    assert found.verdict == "regression", "a crash is one whatever measured it"


def test_a_noisy_timing_is_neither_worse_nor_gone() -> None:
    noisy = timed(9.0).model_copy(update={"status": "noisy"})
    for pair in ((timed(1.0), noisy), (noisy, timed(1.0))):
        (found,) = compared([pair[0]], [pair[1]])
        assert (found.verdict, found.fails) == ("noisy", False)


def test_a_noisy_timing_that_now_fails_or_is_missing_is_worse() -> None:
    noisy = timed(9.0).model_copy(update={"status": "noisy"})
    (crashed,) = compared([noisy], [ended("crashed")])
    assert (crashed.verdict, crashed.before, crashed.after) == ("regression", "noisy", "crashed")
    other = timed(1.0, neuron="psn")
    assert [item.verdict for item in compared([noisy, other], [other])] == ["gone", "same"]


def test_a_cell_has_one_headline_and_the_worst_cell_is_first(tmp_path: Path) -> None:
    worse, worst = (
        timed(factor, neuron=neuron).model_copy(
            update={
                "metrics": {
                    **timed(factor).metrics,
                    "inference_step_seconds": timed(1.1).metrics["train_step_seconds"],
                }
            }
        )
        for factor, neuron in ((1.5, "lif"), (4.0, "if"))
    )
    before = [
        item.model_copy(update={"metrics": dict.fromkeys(item.metrics, timed(1.0).metrics["train_step_seconds"])})
        for item in (worse, worst)
    ]
    found = compared(before, [worse, worst])
    assert [item.cell.neuron for item in found] == ["if", "lif"]
    assert headline(found[0]) == (
        *("regression", "throughput digits if+bptt+mlp+eager+s0", "train step [s]", "1.00 ± 0.01", "4.00 ± 0.01"),
        *("+300.0%", "inference +10.0%"),
    )
    names = stores(tmp_path, before, [worse, worst])
    as_json = json.loads(CliRunner().invoke(app, ["compare", *names, "--format", "json"]).stdout)
    assert [(item["neuron"], len(item["metrics"])) for item in as_json] == [("if", 2), ("lif", 2)]
    assert as_json[0]["metrics"][0]["after"]["value"] == 4.0
    as_csv = list(csv.DictReader(CliRunner().invoke(app, ["compare", *names, "--format", "csv"]).stdout.splitlines()))
    assert [float(line["after.value"]) for line in as_csv] == [4.0, 1.1, 1.5, 1.1]
    text = CliRunner().invoke(app, ["compare", *names]).stdout
    assert any("inference +10.0%" in line and "train step [s]" in line for line in text.splitlines()), "nothing is cut"


def test_an_unknown_format_is_said_before_anything_is_read(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["compare", str(tmp_path), str(tmp_path), "--format", "jsn"])
    assert isinstance(result.exception, UnknownNameError)
    assert "json" in str(result.exception)


def test_what_is_neither_store_nor_commit_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither a folder of records nor a commit"):
        records_of("no-such-commit", [tmp_path], load_registry())


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of two commits that differ in what LIF computes."""
    root, folder = Path(harness.__file__).parents[1], tmp_path / "repository"
    for package in ("harness", "reference_impls"):
        shutil.copytree(
            root / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "vectors", "static")
        )
    monkeypatch.chdir(folder)
    for name in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setitem(os.environ, name, "tests@example.org")
    subprocess.run(["git", "init", "-q", "-b", "main"], check=True)
    _commit("first")
    path = folder / "reference_impls/neurons/lif.py"
    path.write_text(path.read_text().replace("s = self.fire(h)", "s = self.fire(h) * 1.0"))
    _commit("second")
    return folder


def _commit(message: str) -> None:
    subprocess.run(["git", "add", "-A"], check=True)
    subprocess.run(["git", "commit", "-q", "-m", message], check=True)


def test_a_commit_stands_for_the_records_of_its_code(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever they were measured: what counts is the hash of the code, not the commit noted in the record."""
    registry, store = load_registry(), Store(tmp_path / "records")
    for commit, seconds in (("main~1", 1.0), ("main", 2.0)):
        folder = tmp_path / commit.replace("~", "")
        subprocess.run(["git", "worktree", "add", "-q", "--detach", str(folder), commit], check=True)
        measured = timed(seconds)
        code = code_hash(CELL, registry, folder)
        store.write(
            measured.model_copy(update={"provenance": measured.provenance.model_copy(update={"code_hash": code})})
        )
    monkeypatch.chdir(repository / "harness/cli")
    result = CliRunner().invoke(app, ["compare", "main~1", "main", "--store", str(store.root)])
    assert result.exit_code == 1, result.output
    assert "+100.0%" in result.output
    assert CliRunner().invoke(app, ["compare", "main", "main~1", "--store", str(store.root)]).exit_code == 0
    shutil.copytree(store.root, repository / "reports/data")
    assert CliRunner().invoke(app, ["compare", "main~1", "main"]).exit_code == 1, "the stores are the clone's"
