"""Records of several commits become asv's pages: the right points, the right regressions, no crash."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("asv")

from history import Repository, around, cell, figure, make_repository, measured_at
from synthetic import GPU, LAPTOP, registry

from harness.asv.export import export
from harness.asv.points import Points, points_of
from harness.asv.regressions import Regression, published_regressions
from harness.asv.runs import open_tree, publish
from harness.asv.series import Published, current_version, published_series, series_label
from harness.results.record import Record

COMMITS = 12
STEP = "train_step_seconds"
LABEL = "{} bptt mlp digits quick"


def flat(_: int) -> float:
    return 2e-3


THIS_VERSION = current_version("throughput")
HISTORIES = {
    # neuron: its training step at each commit
    "if": flat,
    "lif": lambda number: 2e-3 if number < 6 else 3e-3,
    "psn": lambda number: 3e-3 if number < 6 else 2e-3,
    "klif": lambda number: {4: math.nan, 7: math.inf}.get(number, 2e-3),
}


def records_of(repository: Repository) -> Iterator[Record]:
    for number, commit in enumerate(repository.commits):
        for neuron, history in HISTORIES.items():
            value = history(number)
            samples = around(value) if math.isfinite(value) else []
            yield measured_at(commit, cell("throughput", neuron), figure("throughput", STEP, value, samples))
        saved = 100_000.0 if number < 9 else 100_500.0
        yield measured_at(commit, cell("memory", "lif"), figure("memory", "saved_bytes", saved))
        broken = float(number >= 8)
        gate = cell("conformance", "alif", dtype="float64")
        yield measured_at(commit, gate, figure("conformance", "failed_checks", broken))
        for seed in range(3):
            error = figure("accuracy", "error_fraction", 0.03 + 0.001 * seed)
            yield measured_at(commit, cell("accuracy", "lif", seed=seed), error)
        failed = number == 5
        yield measured_at(commit, cell("memory", "psn"), None if failed else figure("memory", "saved_bytes", 1e5))
    yield measured_at(repository.commits[-1], cell("throughput", "lif"), figure("throughput", STEP, 1e-4), machine=GPU)


def left_out(repository: Repository) -> Iterator[Record]:
    """Yield records that are no points; every one of them would be a gross outlier."""
    one, slow, last = cell("throughput", "if"), figure("throughput", STEP, 50.0), repository.commits[-1]
    yield measured_at(last, one, slow, dirty=True, code_hash="a" * 64)
    yield measured_at(None, one, slow, dirty=None, code_hash="b" * 64)
    yield measured_at("f" * 40, one, slow)
    yield measured_at(last, one, slow, suite_version=99, code_hash="c" * 64)
    yield measured_at(last, one, slow, clock_version=99, code_hash="d" * 64)
    yield measured_at(last, one, None, clock_version=None, suite_version=99, code_hash="e" * 64)
    yield measured_at(last, cell("throughput", "<b>&'"), slow)


class Outcome(NamedTuple):
    repository: Repository
    points: Points
    results: Path
    pages: Path
    regressions: list[Regression]

    def graph(self, suite: str, metric: str, label: str, machine: str = LAPTOP.name) -> list[float | None]:
        """Return the values of a series, commit by commit."""
        name = f"{suite}.{suite.capitalize()}.track_{metric}"
        labels = json.loads((self.pages / "index.json").read_text())["benchmarks"][name]["params"][0]
        (path,) = self.pages.glob(f"graphs/**/machine-{machine}/**/{name}.json")
        return [values[labels.index(repr(label))] for _, values in json.loads(path.read_text())]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    repository = make_repository(tmp_path_factory.mktemp("asv") / "clone", COMMITS)
    store = repository.write([*records_of(repository), *left_out(repository)])
    tree = open_tree(repository.root)
    points = publish(tree, [store], registry())
    return Outcome(repository, points, tree.merged / "results", tree.pages, published_regressions(tree.pages))


def found(outcome: Outcome, suite: str, label: str) -> list[Regression]:
    return [item for item in outcome.regressions if (item.suite, item.label) == (suite, label)]


def test_a_slower_step_is_found_at_its_commit(outcome: Outcome) -> None:
    (slower,) = found(outcome, "throughput", LABEL.format("lif"))
    assert slower.commit == outcome.repository.commits[6]
    assert slower.after is None, "the commit before it has a figure too"
    assert (slower.best, slower.latest) == pytest.approx((2e-3, 3e-3))
    assert slower.growth == pytest.approx(1.5)
    assert LAPTOP.name in slower.where


def test_half_a_percent_of_an_exact_figure_is_a_regression(outcome: Outcome) -> None:
    (grown,) = found(outcome, "memory", LABEL.format("lif"))
    assert grown.commit == outcome.repository.commits[9]


def test_a_figure_that_was_none_at_all_may_grow(outcome: Outcome) -> None:
    (broken,) = found(outcome, "conformance", LABEL.format("alif") + " dtype=float64")
    assert (broken.best, broken.latest, broken.commit) == (0, 1, outcome.repository.commits[8])
    assert broken.growth == math.inf
    assert outcome.regressions[0] == broken, "the largest growth is first"


def test_nothing_else_is_a_regression(outcome: Outcome) -> None:
    assert len(outcome.regressions) == 3, "neither a fall nor a gap is one"


def test_figures_that_are_no_numbers_and_failures_are_gaps(outcome: Outcome) -> None:
    steps = outcome.graph("throughput", STEP, LABEL.format("klif"))
    assert [number for number, value in enumerate(steps) if value is None] == [4, 7]
    saved = outcome.graph("memory", "saved_bytes", LABEL.format("psn"))
    assert saved == [1e5] * 5 + [None] + [1e5] * 6


def test_samples_get_a_median_and_an_interval(outcome: Outcome) -> None:
    commit = outcome.repository.commits[0]
    (path,) = (outcome.results / LAPTOP.name).glob(f"{commit[:8]}-records-*.json")
    file = json.loads(path.read_text())
    row = dict(zip(file["result_columns"], file["results"][f"throughput.Throughput.track_{STEP}"], strict=False))
    index = row["params"][0].index(repr(LABEL.format("lif")))
    assert row["result"][index] == pytest.approx(2e-3)
    low, high = row["stats_ci_99_a"][index], row["stats_ci_99_b"][index]
    assert 1.98e-3 < low < 2e-3 < high < 2.02e-3
    assert row["version"] == THIS_VERSION


def test_seeds_are_one_figure_under_a_name_that_says_so(outcome: Outcome) -> None:
    label = series_label(cell("accuracy", "lif"), seeds=3)
    assert label == LABEL.format("lif") + " seeds=3"
    assert outcome.graph("accuracy", "error_fraction", label) == pytest.approx([0.031] * COMMITS)


def test_what_is_no_point_is_counted_with_its_reason(outcome: Outcome) -> None:
    counts = {reason: outcome.points.left_out[reason] for reason in outcome.points.left_out}
    assert counts == {
        "measured on a changed tree, which is no commit": 2,
        "of a commit that is not in this history": 1,
        "measured with another version of the suite or the clock": 3,
        "of a suite or a name that is not known": 1,
    }
    assert outcome.graph("throughput", STEP, LABEL.format("if")) == pytest.approx([2e-3] * COMMITS)


def test_of_two_runs_at_one_commit_the_newest_counts() -> None:
    one = cell("throughput", "if")
    several = [
        measured_at("0" * 40, one, figure("throughput", STEP, value), started_at=f"2026-03-{day:02}T12:00:00+00:00")
        for day, value in ((2, 2.0), (3, 3.0), (1, 1.0))
    ]
    assert [*points_of(several, registry(), lambda _: 0).values.values()] == [3.0]


def test_series_with_points_are_known_by_machine(outcome: Outcome) -> None:
    series = published_series(outcome.pages)
    assert Published(LAPTOP.name, "throughput", STEP, LABEL.format("psn")) in series
    assert Published(GPU.name, "throughput", STEP, LABEL.format("lif")) in series
    assert Published(GPU.name, "throughput", STEP, LABEL.format("psn")) not in series
    assert {one.metric for one in series if one.suite == "accuracy"} == {"error_fraction"}


def test_no_pages_have_no_series(tmp_path: Path) -> None:
    assert published_series(tmp_path) == frozenset()
    for text in ("{", "[]", '{"benchmarks": {"memory.Memory.track_saved_bytes": {}}}', '{"benchmarks": 7}'):
        (tmp_path / "index.json").write_text(text)
        assert published_series(tmp_path) == frozenset()


def test_the_same_records_make_the_same_files(outcome: Outcome, tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(outcome.results, results)
    before = contents(results)
    export(outcome.points, results, registry(), lambda commit: dates(before)[commit])
    assert contents(results) == before


def test_what_asv_has_measured_stands(outcome: Outcome, tmp_path: Path) -> None:
    """A record of the same series and commit gives way, unless asv's figure is of another version."""
    commit, other = outcome.repository.commits[:2]
    kept: dict[str, Any] = {}
    for one, version in ((commit, THIS_VERSION), (other, "suite 0, clock 1")):
        write_asv_result(tmp_path, one, version)
        export(outcome.points, tmp_path, registry(), lambda _: 0)
        (path,) = (tmp_path / LAPTOP.name).glob(f"{one[:8]}-records-*.json")
        kept[one] = json.loads(path.read_text())["results"][f"throughput.Throughput.track_{STEP}"][1][0]
    assert repr(LABEL.format("lif")) not in kept[commit]
    assert repr(LABEL.format("lif")) in kept[other]
    assert repr(LABEL.format("psn")) in kept[commit]


def write_asv_result(results: Path, commit: str, version: str) -> None:
    folder = results / LAPTOP.name
    folder.mkdir(exist_ok=True)
    (folder / "machine.json").write_text(json.dumps({"machine": LAPTOP.name, "version": 1}))
    row = [[1e-3], [[repr(LABEL.format("lif"))]], version]
    file = {
        "commit_hash": commit,
        "env_name": "virtualenv-py3.11",
        "date": 0,
        "params": {"machine": LAPTOP.name},
        "python": "3.11",
        "requirements": {},
        "env_vars": {},
        "result_columns": ["result", "params", "version"],
        "results": {f"throughput.Throughput.track_{STEP}": row},
        "durations": {},
        "version": 2,
    }
    (folder / f"{commit[:8]}-virtualenv-py3.11.json").write_text(json.dumps(file))


def contents(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*.json"))}


def dates(files: dict[str, str]) -> dict[str, int]:
    read = (json.loads(text) for name, text in files.items() if "-records-" in name)
    return {file["commit_hash"]: file["date"] for file in read}
