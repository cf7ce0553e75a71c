"""What a cell leaves behind or hides ends with it, and what it does to its process costs no result."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import misbehaving
import psutil
import pytest
from misbehaving import GIB, is_gone, job, registry_with_suites

from harness.catalogue.loading import load_registry
from harness.execute import descendants
from harness.execute.job import Job
from harness.execute.pool import LocalPool
from harness.results.record import Record
from harness.results.store import Store
from reference_impls.discovery import discover

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives orphans to an ancestor")
ESCAPING = ("leaves-its-session", "leaves-its-group", "leaves-its-parent")
GOOD = (
    *("annoys-its-parent", "removes-its-folder", "exits-when-flushed", "closes-stdout", "closes-everything"),
    *("closes-and-opens", "forks-and-comes-back", "forks-and-exits"),
)


def forget() -> None:
    discover.cache_clear()
    load_registry.cache_clear()


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Record]]:
    folder = tmp_path_factory.mktemp("site")
    misbehaving.install(folder)
    sys.path.insert(0, str(folder))
    forget()
    jobs: list[Job] = [
        *(job(name, exclusive=True) for name in (*ESCAPING, *GOOD)),
        job("hides-what-it-eats", memory_bytes=GIB // 2, timeout=30),
        job("kills-its-parent", timeout=30),
        job("calls-exit"),
        *([job("kills-its-server", timeout=30)] if sys.platform == "linux" else []),
        job("well-behaved"),
    ]
    try:
        store = Store(tmp_path_factory.mktemp("store"))
        with LocalPool(store, slots=1, registry=registry_with_suites()) as pool:
            pool.run(jobs)
        yield {record.cell.neuron: record for record in store.read().records}
    finally:
        sys.path.remove(str(folder))
        forget()


@LINUX
@pytest.mark.parametrize("neuron", ESCAPING)
def test_no_way_of_leaving_outlives_the_cell(records: dict[str, Record], neuron: str) -> None:
    record = records[neuron]
    assert record.status == "ok", record.reason
    assert record.details["pids"]
    assert all(is_gone(pid) for pid in record.details["pids"])


@LINUX
def test_the_memory_of_what_has_left_counts(records: dict[str, Record]) -> None:
    record = records["hides-what-it-eats"]
    assert record.status == "oom"
    assert record.reason is not None
    assert "its limit is 0.50 GiB" in record.reason
    assert record.provenance.duration_seconds < 20


@LINUX
def test_a_cell_that_kills_its_supervisor_dies_with_all_it_has_started(records: dict[str, Record]) -> None:
    record = records["kills-its-parent"]
    assert record.status == "crashed"
    (orphan,) = [int(line.split()[1]) for line in record.output_tail if line.startswith("orphan ")]
    assert is_gone(orphan)


@LINUX
def test_what_kills_its_supervisor_and_the_server_is_found_ended_and_said(records: dict[str, Record]) -> None:
    record = records["kills-its-server"]
    assert record.status == "crashed"
    said = [one.reason for one in records.values() if one.reason and "had escaped" in one.reason]
    assert len(said) == 1
    # Three, if the cell itself was seen while it was dying with its supervisor.
    assert re.search(r"[23] processes that had escaped their supervisor were ended\.$", said[0])
    orphans = [int(line.split()[1]) for line in record.output_tail if line.startswith("orphan ")]
    assert len(orphans) == 2
    assert all(is_gone(orphan) for orphan in orphans)
    assert records["well-behaved"].status == "ok", "a new server took over"


@pytest.mark.parametrize("neuron", GOOD)
def test_a_good_result_is_not_lost(records: dict[str, Record], neuron: str) -> None:
    record = records[neuron]
    assert record.status == "ok", record.reason
    assert record.metrics["spike_fraction"].value == 1.0


def test_a_cell_works_in_a_folder_of_its_own_that_goes_with_it(records: dict[str, Record]) -> None:
    folder = Path(records["removes-its-folder"].details["folder"])
    assert not folder.exists()
    assert folder != Path.cwd()
    assert records["well-behaved"].status == "ok"


def test_calling_exit_is_an_error_with_a_name(records: dict[str, Record]) -> None:
    record = records["calls-exit"]
    assert record.status == "error"
    assert record.reason == "It called sys.exit(0) before it gave a result."


@LINUX
def test_a_pipe_behind_the_program_is_not_held_open(tmp_path: Path) -> None:
    """``spikeboard run | cat`` ends with the run: nobody else holds the pipe."""
    misbehaving.install(tmp_path / "site")
    tests = Path(misbehaving.__file__).parents[1]
    path = [str(tmp_path / "site"), str(tests), *filter(None, [os.environ.get("PYTHONPATH")])]
    program = subprocess.Popen(
        [sys.executable, str(tests / "misbehaving" / "resume.py"), str(tmp_path / "store"), *ESCAPING],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "MARK": str(tmp_path / "mark")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = program.communicate(timeout=120)[0]  # reads to the end of the pipe
    assert said.splitlines()[-1] == "summary False 0 [('ok', 3)]"


@LINUX
def test_everything_below_a_process_is_found_and_killed() -> None:
    start = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    code = f"{start}; time.sleep(60)"
    top = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {code!r}])"]
    )
    root = psutil.Process(top.pid)
    try:
        deadline = time.monotonic() + 20
        while len(below := descendants.living(root)) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(below) == 2
        assert descendants.kill_all(root)
        assert all(is_gone(process.pid) for process in below)
    finally:
        top.kill()
        top.wait()
    assert descendants.kill_all(root), "a process that has ended has no descendants"


def test_a_cell_that_starts_while_escapees_are_looked_for_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine takes long to go through all processes; the next cell may have begun by then."""
    variable, value = "SPIKEBOARD_TEST_FAMILY", str(os.getpid())
    started: list[subprocess.Popen[bytes]] = []
    look = psutil.process_iter

    def look_late() -> Iterator[psutil.Process]:
        command = [sys.executable, "-c", "print('here', flush=True); input()"]
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, variable: value}
        )
        assert child.stdout is not None
        child.stdout.readline()
        started.append(child)
        yield from look()

    monkeypatch.setattr(psutil, "process_iter", look_late)
    try:
        assert descendants.end_escaped(variable, value) == set()
        assert [child.poll() for child in started] == [None]
    finally:
        for child in started:
            child.communicate(b"\n")
