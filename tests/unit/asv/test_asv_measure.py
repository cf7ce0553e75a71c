"""asv itself runs benchmarks like ours, and one of ours: samples, what a commit lacks, runs of only some series."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import fake_nvml
import pytest
import torch

pytest.importorskip("asv")

from asv.config import Config
from asv_runner.benchmarks.mark import SkipNotImplemented
from history import ROOT, Repository, make_repository
from typer.testing import CliRunner

from harness.asv import runs
from harness.asv.runs import measure as measure_commits
from harness.asv.runs import open_tree
from harness.asv.selection import expressions, forget_unasked, states
from harness.asv.series import SELECTION_VARIABLE, tracked_cells
from harness.catalogue.loading import load_registry
from harness.cli import app
from harness.defaults import DEVICE_VARIABLE
from harness.errors import UserError
from harness.execute import where
from harness.execute.where import Where

MACHINE = "test-machine"
LIKE_OURS = """
import os
from asv_runner.benchmarks.mark import SkipNotImplemented

class Like:
    params = [["failing", "lacking", "plain", "sampled"]]
    param_names = ("cell",)
    version = "1"
    def setup_cache(self):
        with open(os.environ["COUNTER"], "a") as counter:
            counter.write("measured ")
        return {"sampled": {"samples": [1.0 + i / 100 for i in range(11)], "number": 1}, "plain": 7.0, "failing": None}
    def track_x(self, measured, cell):
        if cell not in measured:
            raise SkipNotImplemented(cell)
        return measured[cell]
"""


class Asv(NamedTuple):
    """asv on a repository, measuring what is installed where the tests run."""

    repository: Repository
    environment: dict[str, str]

    @property
    def results(self) -> Path:
        return self.repository.root / "results"

    def run(self, *words: str) -> str:
        options = ("-E", f"existing:{sys.executable}", "--set-commit-hash", self.repository.commits[-1])
        command = [sys.executable, "-m", "asv", "run", *options, "--machine", MACHINE, "--record-samples", *words]
        done = subprocess.run(
            [*command, "--show-stderr"],
            cwd=self.repository.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def figures(self, name: str) -> dict[str, dict[str, Any]]:
        """Return what is stored of a benchmark, by the value of its parameter."""
        (path,) = (self.results / MACHINE).glob("*-existing-*.json")
        file = json.loads(path.read_text())
        row = dict(zip(file["result_columns"], file["results"][name], strict=False))
        values = ((key, column) for key, column in row.items() if isinstance(column, list) and key != "params")
        by_label: dict[str, dict[str, Any]] = {label: {} for label in row["params"][0]}
        for key, column in values:
            for label, value in zip(by_label, column, strict=True):
                by_label[label][key] = value
        return {label.strip("'"): value for label, value in by_label.items()}


def make_asv(root: Path, benchmarks: Path) -> Asv:
    repository = make_repository(root, 1)
    configuration = {
        "version": 1,
        "project": "test",
        "repo": ".",
        "branches": ["HEAD"],
        "environment_type": "existing",
        "launch_method": "spawn",
        "benchmark_dir": str(benchmarks),
        "results_dir": "results",
        "html_dir": "html",
    }
    (root / "asv.conf.json").write_text(json.dumps(configuration))
    machine = {"arch": "x", "cpu": "x", "machine": MACHINE, "num_cpu": "1", "os": "x", "ram": "x"}
    (root / ".asv-machine.json").write_text(json.dumps({MACHINE: machine, "version": 1}))
    return Asv(repository, {**os.environ, "HOME": str(root), "COUNTER": str(root / "counter")})


@pytest.fixture
def like(tmp_path: Path) -> Asv:
    folder = tmp_path / "tracked"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "module.py").write_text(LIKE_OURS)
    return make_asv(tmp_path / "clone", folder)


def test_samples_of_a_figure_get_a_median_and_an_interval(like: Asv) -> None:
    """Undocumented in asv, and read in its source: a new version of it has to pass this."""
    like.run()
    figures = like.figures("module.Like.track_x")
    assert figures["sampled"]["result"] == pytest.approx(1.05)
    assert 1.0 <= figures["sampled"]["stats_ci_99_a"] < 1.05 < figures["sampled"]["stats_ci_99_b"] <= 1.1
    assert len(figures["sampled"]["samples"]) == 11
    assert (figures["plain"]["result"], figures["plain"]["samples"]) == (7.0, None)
    assert figures["failing"]["result"] is None
    assert math.isnan(figures["lacking"]["result"]), "not a failure: nothing to be tried again"


def test_a_run_of_some_series_leaves_the_others_to_be_measured(like: Asv) -> None:
    def run(labels: list[str], *words: str) -> None:
        asked = expressions(labels, [])
        before = states(like.results, MACHINE)
        like.run("--skip-existing-successful", *words, *(word for one in asked for word in ("--bench", one)))
        forget_unasked(before, states(like.results, MACHINE), asked)

    def known() -> dict[str, float | None]:
        return {label: figure["result"] for label, figure in like.figures("module.Like.track_x").items()}

    run(["plain"])
    assert known() == {"failing": None, "lacking": None, "plain": 7.0, "sampled": None}
    run(["sampled", "lacking"])
    partial = known()
    assert partial["plain"] == 7.0, "what was measured before stands"
    assert partial["sampled"] == pytest.approx(1.05)
    assert math.isnan(partial["lacking"] or 0), "this was asked for"
    run([])
    assert (Path(like.environment["COUNTER"])).read_text().split() == ["measured"] * 3


@pytest.mark.parametrize("wanted", ["memory.Memory.track_saved_bytes", "saved_bytes", "^memory", "track_.*bytes"])
def test_series_and_benchmarks_are_selected_together(wanted: str) -> None:
    import re

    (expression,) = expressions(["lif a+b"], [wanted])
    assert re.search(expression, "memory.Memory.track_saved_bytes('lif a+b')")
    assert not re.search(expression, "memory.Memory.track_saved_bytes('alif a+b')")
    assert not re.search(expression, "throughput.Throughput.track_train_step_seconds('lif a+b')")
    assert expressions([], [wanted]) == [wanted]
    assert expressions([], []) == []


def test_one_of_our_benchmarks_measures(tmp_path: Path) -> None:
    asv = make_asv(tmp_path / "clone", ROOT / "benchmarks")
    label = "lif bptt mlp digits quick"
    asv.environment[SELECTION_VARIABLE] = label
    for word in expressions([label], ["memory"]):
        asv.run("--bench", word)
    for metric in ("saved_bytes", "live_bytes", "peak_bytes"):
        figures = asv.figures(f"memory.Memory.track_{metric}")
        assert list(figures) == list(tracked_cells("memory"))
        assert figures[label]["result"] > 1000
        assert all(math.isnan(figure["result"]) for other, figure in figures.items() if other != label)


def test_what_a_commit_lacks_is_skipped_and_the_others_keep_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks._measuring import _present
    from benchmarks.memory import Memory

    monkeypatch.delenv(SELECTION_VARIABLE, raising=False)
    now = load_registry()
    first = next(iter(now.neurons))
    older = replace(now, neurons={name: row for name, row in now.neurons.items() if name != first})
    labels = Memory.params[0]
    present = _present("memory", older, Where())
    gone = [label for label in labels if "device=cuda" not in label and label not in present]
    assert gone == [label for label in labels if label == f"{first} bptt mlp digits quick"]
    assert {label: cell.neuron for label, cell in present.items()} == {
        label: cell.neuron
        for label, cell in tracked_cells("memory").items()
        if label not in gone and cell.device == "cpu"
    }
    measured = {label: {"saved_bytes": float(number)} for number, label in enumerate(present)}
    tracked = Memory()
    with pytest.raises(SkipNotImplemented, match="no saved_bytes in this commit"):
        tracked.track_saved_bytes(measured, gone[0])
    for number, label in enumerate(present):
        assert tracked.track_saved_bytes(measured, label) == number


def test_a_series_that_failed_is_a_failure_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks._measuring import _figures
    from benchmarks.memory import Memory

    reason = _figures(None)
    assert Memory().track_saved_bytes({"lif": "oom: too much", "if": reason}, "lif") is None
    assert "lif: oom: too much" in capsys.readouterr().err
    assert Memory().track_saved_bytes({"if": reason}, "if") is None


def test_only_selected_series_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks._measuring import _present

    monkeypatch.setenv(SELECTION_VARIABLE, "lif bptt *,klif *")
    found = list(_present("memory", load_registry(), Where()))
    assert found == ["klif bptt mlp digits quick", "lif bptt mlp digits quick"]


def test_a_selection_of_nothing_is_refused_before_anything_runs() -> None:
    with pytest.raises(UserError, match=r"no tracked series of cpu is called 'lfi\*'"):
        measure_commits(open_tree(ROOT), "HEAD^!", cells=["lfi*"])


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> fake_nvml.FakeGpu:
    """A machine whose driver tells of a GPU; torch has no CUDA, or finds none."""
    found = fake_nvml.FakeGpu()
    fake_nvml.install(monkeypatch, found)
    machine = where.this_machine().model_copy(update={"gpu": found.name})
    monkeypatch.setattr(where, "this_machine", lambda: machine)
    return found


@pytest.mark.usefixtures("gpu")
def test_a_run_on_a_gpu_has_its_series_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks._measuring import _present

    monkeypatch.delenv(SELECTION_VARIABLE, raising=False)
    registry = load_registry()
    present = _present("throughput", registry, Where("cuda:0"))
    assert present
    assert {cell.device for cell in present.values()} == {"cuda"}
    assert all("device=cuda" in label for label in present)
    fused = {cell.neuron for cell in present.values() if cell.backend == "fused-cupy"}
    eager = {cell.neuron for cell in present.values() if cell.backend == "eager" and cell.method == "bptt"}
    kinds = {name: registry.neurons[name].capabilities.parallel for name in fused | eager}
    assert {kinds[name] for name in fused} == {"sequential"}
    assert {name for name in eager if kinds[name] == "sequential"} == {"if"}, "with which every method is measured"
    assert "lif bptt mlp digits quick backend=fused-cupy device=cuda" in present
    assert "psn bptt mlp digits quick device=cuda" in present, "it has no loop over T to replace"


@pytest.mark.usefixtures("gpu")
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_series_of_a_gpu_is_run_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the pool and its leases; where the driver tells of a GPU that torch cannot use, that is the reason."""
    from benchmarks._measuring import measure

    label = "lif bptt mlp digits quick backend=fused-cupy device=cuda"
    monkeypatch.setenv(SELECTION_VARIABLE, label)
    monkeypatch.setenv(DEVICE_VARIABLE, "cuda")
    measured = measure("memory")
    assert list(measured) == [label]
    assert "CUDA" in measured[label]


def test_without_a_gpu_nothing_is_begun() -> None:
    if where.visible_gpus():
        pytest.skip("there is a GPU")
    done = CliRunner().invoke(app, ["asv", "--device", "cuda"])
    assert isinstance(done.exception, UserError)
    assert "no CUDA device on this machine, and 'cuda' was asked for" in str(done.exception)


def test_environments_of_a_gpu_have_the_cupy_of_this_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tree = replace(open_tree(ROOT), merged=tmp_path / "merged")
    with pytest.raises(UserError, match="cupy is not installed"):
        runs._with_compiler(tree)
    monkeypatch.setattr(runs, "installed_version", {"cupy-cuda12x": "14.2.0"}.get)
    path = runs._with_compiler(tree)
    made, own = Config.load(str(path)), Config.load(str(ROOT / "asv.conf.json"))
    needed, wheel = made.install_command
    assert needed.endswith(" scikit-learn cupy-cuda12x")
    assert f"-c {ROOT}/constraints.txt" in needed
    assert wheel == own.install_command[1]
    assert (made.matrix, made.regressions_thresholds) == (own.matrix, own.regressions_thresholds)
    for folder in ("repo", "env_dir", "results_dir", "benchmark_dir"):
        assert (path.parent / getattr(made, folder)).resolve() == (ROOT / getattr(own, folder)).resolve()
