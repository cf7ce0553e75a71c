"""``spikeboard asv``: publishes, links both ways, gates, and says what to do where it cannot."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import NamedTuple

import pytest

pytest.importorskip("asv")

from history import ROOT, Repository, around, cell, figure, make_repository, measured_at

from harness.results.record import Record

BLOCKED = "import sys; sys.modules['asv'] = None; "
MAIN = "from harness.cli import main; main()"


def spikeboard(folder: Path, *arguments: str, code: int = 0, before: str = "") -> str:
    """Run the command in `folder` and return all that it printed, on one line."""
    command = [sys.executable, "-c", before + MAIN, *arguments]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == code, done.stdout
    assert "Traceback" not in done.stdout
    return " ".join(done.stdout.split())


class Published(NamedTuple):
    repository: Repository
    said: str
    site: Path


def records(repository: Repository) -> Iterator[Record]:
    for number, commit in enumerate(repository.commits):
        seconds = 2e-3 if number < 4 else 4e-3
        steps = figure("throughput", "train_step_seconds", seconds, around(seconds))
        steps |= figure("throughput", "inference_step_seconds", 1e-3, around(1e-3))
        yield measured_at(commit, cell("throughput", "lif"), steps)
        for seed in range(2):
            error = figure("accuracy", "error_fraction", 0.02)
            yield measured_at(commit, cell("accuracy", "lif", seed=seed), error)
    yield measured_at(None, cell("throughput", "psn"), figure("throughput", "train_step_seconds", 1e-3), dirty=None)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    repository = make_repository(tmp_path_factory.mktemp("cli") / "clone", 8)
    store = repository.write(records(repository))
    said = spikeboard(repository.root, "asv", "--publish", "--store", str(store))
    spikeboard(repository.root, "report", "--store", str(store))
    return Published(repository, said, repository.root / "reports" / "site")


def test_publishing_says_what_there_is(published: Published) -> None:
    figures = 8 * 3
    assert f"{figures} figures of records stand on the graphs" in published.said
    assert "1 records do not: measured on a changed tree" in published.said
    assert (
        "regression: throughput train_step_seconds of lif bptt mlp digits quick: 0.002 -> 0.004 "
        f"at {published.repository.commits[4][:10]}" in published.said
    )
    assert "over commits: reports/site/asv/index.html" in published.said


def test_a_regression_fails_the_gate_only(published: Published) -> None:
    store = str(published.repository.root / "store")
    said = spikeboard(published.repository.root, "asv", "--publish", "--gate", "--store", store, code=1)
    assert "regression: " in said


def test_a_regression_can_be_accepted(published: Published, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(published.repository.root, clone)
    accepted = (
        f""""regressions_first_commits": {{"throughput\\\\..*'lif bptt": "{published.repository.commits[4]}"}},"""
    )
    configuration = clone / "asv.conf.json"
    configuration.write_text(configuration.read_text().replace('"version": 1,', f'"version": 1, {accepted}'))
    assert "regression: " not in spikeboard(clone, "asv", "--publish", "--gate", "--store", str(clone / "store"))


def test_rows_are_linked_to_their_graphs(published: Published) -> None:
    source = (published.site / "neuron-lif.html").read_text()
    links = [unescape(link) for link in re.findall(r'href="(asv/index\.html#[^"]*)"', source)]
    name = "asv/index.html#{}?p-cell=%27lif%20bptt%20mlp%20digits%20quick{}%27&machine=intel-xeon-2c"
    step = name.format("throughput.Throughput.track_train_step_seconds", "")
    assert links.count(step) == 2, "in the row, and among all figures of the row"
    assert name.format("throughput.Throughput.track_inference_step_seconds", "") in links
    assert name.format("accuracy.Accuracy.track_error_fraction", "%20seeds%3D2") in links
    assert len(links) == 4
    assert "asv/index.html#" not in (published.site / "neuron-psn.html").read_text(), "it has no graph"
    assert 'href="asv/index.html"' in (published.site / "neuron-psn.html").read_text()


def test_links_name_values_of_asvs_parameter(published: Published) -> None:
    benchmarks = json.loads((published.site / "asv" / "index.json").read_text())["benchmarks"]
    labels = benchmarks["accuracy.Accuracy.track_error_fraction"]["params"]
    assert labels == [["'lif bptt mlp digits quick seeds=2'"]]


def test_outside_a_clone_it_says_what_to_do(tmp_path: Path) -> None:
    assert "run it in a clone of the repository" in spikeboard(tmp_path, "asv", code=2)


def test_without_a_history_it_says_what_to_do(tmp_path: Path) -> None:
    shutil.copy(ROOT / "asv.conf.json", tmp_path)
    said = spikeboard(tmp_path, "asv", "--publish", code=2)
    assert "has no history of commits" in said
    assert "run it in a clone" in said


def test_without_a_figure_it_says_what_to_do(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "clone", 1)
    said = spikeboard(repository.root, "asv", "--publish", code=2)
    assert "measure one: spikeboard asv 'HEAD^!'" in said


def test_a_series_that_is_not_tracked_is_named(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "clone", 1)
    assert "no tracked series of cpu is called 'lfi*'" in spikeboard(repository.root, "asv", "--cell", "lfi*", code=2)


def test_without_asv_it_says_how_to_get_it(tmp_path: Path) -> None:
    said = spikeboard(tmp_path, "asv", code=2, before=BLOCKED)
    assert "asv is not installed" in said
    assert "'spikeboard[asv]'" in said


def test_the_leaderboard_needs_no_asv(tmp_path: Path) -> None:
    spikeboard(tmp_path, "report", before=BLOCKED)
    assert (tmp_path / "reports" / "site" / "index.html").is_file()
