"""A stranger's code runs cut off, or is not run; and what comes out is held against what was submitted."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import spikeboard
from submitted import changed, some, submission

from harness.catalogue.loading import load_registry
from harness.results.record import Record
from harness.submissions import sandbox
from harness.submissions.again import Again, choose, compared, lines_of
from harness.submissions.sandbox import UNPROTECTED, Sandbox, find_sandbox
from harness.submissions.verdict import Verdict

REGISTRY = load_registry()
PROBE = """
import json, os, pathlib, socket, sys
said = {}
try:
    pathlib.Path(sys.argv[1]).write_text("x"); said["outside"] = "written"
except OSError as error:
    said["outside"] = error.strerror
try:
    socket.create_connection(("192.0.2.1", 80), 1); said["network"] = "there"
except OSError as error:
    said["network"] = "none"
pathlib.Path("own").write_text("mine")
said["secret"] = os.environ.get("SECRET_TOKEN")
said["processes"] = len([name for name in os.listdir("/proc") if name.isdigit()])
print(json.dumps(said))
"""


@pytest.fixture(params=["bwrap", "unshare"])
def box(request: pytest.FixtureRequest) -> Sandbox:
    """Each way to be cut off that works on this machine."""
    wrap = {"bwrap": sandbox._bwrap, "unshare": sandbox._unshare}[request.param]
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    problem = sandbox._problem(wrap)
    if problem is not None:
        pytest.skip(f"{request.param} does not work here: {problem}")
    return Sandbox(request.param, "", wrap)


def test_inside_there_is_no_network_and_nothing_to_write_to(
    box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    folder = tmp_path / "inside"
    folder.mkdir()
    done = box.run([sys.executable, "-c", PROBE, str(tmp_path / "outside")], folder, [], 60, {})
    assert done.returncode == 0, done.stdout
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["outside"] == "Read-only file system"
    assert said["network"] == "none"
    assert said["secret"] is None
    assert said["processes"] < 5, "those of others are not to be seen"
    assert (folder / "own").read_text() == "mine"
    assert not (tmp_path / "outside").exists()


def test_a_sandbox_that_does_nothing_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sandbox._problem(UNPROTECTED.wrap) == "it can write outside of its folder"
    monkeypatch.setattr(sandbox, "_bwrap", UNPROTECTED.wrap)
    monkeypatch.setattr(sandbox, "_unshare", lambda *_: ["false"])
    monkeypatch.setattr(shutil, "which", lambda name: name)
    found = find_sandbox()
    assert not found.protects
    assert "bwrap does not work here (it can write outside of its folder)" in found.why
    assert "unshare does not work here (it ended with code 1)" in found.why


def test_where_nothing_can_be_cut_off_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    submission(tmp_path / "made")
    said = spikeboard(tmp_path, "verify-submission", "made", "--run", code=2)
    assert "cannot cut a stranger's code off from network and files: bwrap is not installed" in said
    assert "--unprotected" in said


def of(suite: str) -> Record:
    return next(one for one in some() if one.cell.suite == suite and one.cell.backend == "eager")


def with_figure(name: str, **fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda data: data["metrics"][name].update(fields)


def test_exact_figures_must_be_equal_bit_for_bit() -> None:
    memory = of("memory")
    assert compared(memory, memory).problems == ()
    again = changed(memory, with_figure("saved_bytes", value=memory.metrics["saved_bytes"].value + 4))
    found = compared(memory, again)
    assert "saved_bytes is" in found.problems[0]
    assert "saved_bytes" not in found.confirmed
    peak = changed(memory, with_figure("peak_bytes", value=1.0, samples=[], n=1, low=None, high=None))
    assert compared(memory, peak).problems == ()
    assert compared(memory, peak).untold == ("peak_bytes",)


def test_test_errors_must_lie_in_their_interval() -> None:
    record = of("accuracy")
    error = record.metrics["error_fraction"]
    assert error.low is not None
    assert error.high is not None
    near, far = (
        changed(record, with_figure("error_fraction", value=value)) for value in (error.high, error.high + 0.01)
    )
    assert compared(record, near).problems == ()
    assert "error_fraction" in compared(record, near).confirmed
    assert "error_fraction is" in compared(record, far).problems[0]
    split = changed(record, lambda data: data["details"].update(split_digest="0"))
    assert compared(record, split).problems == ("was measured on another split",)


def test_a_cell_that_ends_otherwise_is_named() -> None:
    record = of("accuracy")
    crashed = changed(record, lambda data: data.update(status="crashed", reason="Killed.", metrics={}))
    assert compared(record, crashed).problems == ("ended as crashed here: Killed.",)
    assert compared(record, None).problems == ("was not measured: its process ended without a record",)
    sample = choose([record], REGISTRY, (), 1, 0, None)
    lines = lines_of(sample, [compared(record, None)], "last words", ())
    assert [line.verdict for line in lines] == [Verdict.FAILS, Verdict.FAILS]
    assert "last words" in lines[0].text


def test_the_sample_is_by_chance_of_every_suite_and_says_what_it_leaves_out() -> None:
    sample = choose(some(), REGISTRY, ("lif",), 3, 7, None)
    gate = [one for one in sample.records if one.cell.suite == "conformance" and one.cell.neuron == "lif"]
    assert gate, "the gate of a new row is always asked again"
    others = [one.cell.suite for one in sample.records if one not in gate]
    assert len(others) == 3
    assert len({*others}) == 3
    assert "throughput" not in others
    assert "measure times, which are their machine's" in sample.left_out
    assert choose(some(), REGISTRY, ("lif",), 3, 7, None) == sample
    nothing = choose([of("throughput")], REGISTRY, (), 3, 7, None)
    assert [line.verdict for line in lines_of(nothing, (), "", ())] == [Verdict.UNTOLD, Verdict.UNTOLD]


def test_confirmed_figures_are_told() -> None:
    memory = of("memory")
    sample = choose([memory], REGISTRY, (), 1, 0, None)
    exact, errors = lines_of(sample, [Again(memory, frozenset(memory.metrics))], "", ())
    assert exact.verdict is Verdict.HOLDS
    assert "6 equal bit for bit, 7 figures confirmed" in exact.text
    assert errors.verdict is Verdict.UNTOLD
