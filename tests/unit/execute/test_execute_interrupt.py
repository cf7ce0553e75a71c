"""A run that is stopped: by Ctrl-C, and by the death of the process that runs it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import misbehaving
import psutil
import pytest
from misbehaving import is_gone

from harness.execute.interrupt import Interrupt
from harness.execute.job import Summary
from harness.results.record import Record
from harness.results.store import Store

NEURONS = ("well-behaved", "waits", "waits", "well-behaved", "raises")


class Program:
    """``resume.py`` as it would run in a terminal: the leader of a process group of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder / "store")
        self.mark = folder / "mark"
        self.flag = folder / "flag"
        misbehaving.install(folder / "site")

    def start(self, *neurons: str) -> subprocess.Popen[str]:
        self.mark.write_text("")
        tests = Path(misbehaving.__file__).parents[1]
        path = [str(self.folder / "site"), str(tests), *filter(None, [os.environ.get("PYTHONPATH")])]
        return subprocess.Popen(
            [sys.executable, str(tests / "misbehaving" / "resume.py"), str(self.store.root), *neurons],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "MARK": str(self.mark), "FLAG": str(self.flag)},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def records(self) -> dict[tuple[str, int], Record]:
        contents = self.store.read()
        assert contents.problems == ()
        return {(record.cell.neuron, record.cell.seed): record for record in contents.records}


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path)
    yield program
    assert program.mark.read_text() == "__main__\n", "a child ran the main module again"
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            assert process.environ().get("FLAG") != str(tmp_path / "flag") or is_gone(process.pid)


def lines_until(process: subprocess.Popen[str], *wanted: str) -> list[str]:
    """Read the program's output until all `wanted` lines have been seen, in any order."""
    assert process.stdout is not None
    seen: list[str] = []
    while missing := set(wanted) - set(seen):
        line = process.stdout.readline()
        assert line, f"ended without {missing}: {seen}"
        seen.append(line.strip())
    return seen


def cells_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the processes of the running cells and all they have started."""
    servers = [
        child
        for child in psutil.Process(process.pid).children()
        if "multiprocessing.forkserver" in " ".join(child.cmdline())
    ]
    return [found for server in servers for found in server.children(recursive=True)]


WAITING = "progressed waits 0.5 running the neuron"


def test_interrupt_kills_and_records_and_the_same_command_resumes(program: Program) -> None:
    first = program.start(*NEURONS)
    lines_until(first, "finished well-behaved ok", WAITING)
    lines_until(first, WAITING)
    cells = cells_of(first)
    # As a terminal does it: to every process of the foreground group.
    os.killpg(first.pid, signal.SIGINT)
    output = first.communicate(timeout=60)[0]
    assert first.returncode == 0, output
    assert "Traceback" not in output
    assert output.splitlines()[-1] == "summary True 2 [('interrupted', 2), ('ok', 1)]"
    assert len(cells) == 4, "two cells, each with its supervisor"
    assert all(is_gone(cell.pid) for cell in cells)
    before = program.records()
    assert {key: record.status for key, record in before.items()} == {
        ("well-behaved", 0): "ok",
        ("waits", 1): "interrupted",
        ("waits", 2): "interrupted",
    }
    assert before["waits", 1].reason == "The run was interrupted while the cell was running."
    assert all(path.suffix == ".json" for path in program.store.root.rglob("*") if path.is_file())

    program.flag.touch()
    output = program.start(*NEURONS).communicate(timeout=60)[0]
    assert output.count("started") == 4
    assert output.splitlines()[-1] == "summary False 0 [('error', 1), ('ok', 3)]"
    after = program.records()
    assert after["well-behaved", 0] == before["well-behaved", 0]
    assert [after["waits", seed].status for seed in (1, 2)] == ["ok", "ok"]
    assert len(list(program.store.root.rglob("*.json"))) == len(NEURONS)


def test_what_a_cell_leaves_behind_makes_no_noise(program: Program) -> None:
    assert program.start("leaves-a-semaphore").communicate(timeout=60)[0].splitlines() == [
        "started leaves-a-semaphore",
        "progressed leaves-a-semaphore 0.5 running the neuron",
        "finished leaves-a-semaphore ok",
        "summary False 0 [('ok', 1)]",
    ]


@pytest.mark.parametrize(
    ("number", "to_all"),
    [
        (signal.SIGTERM, False),
        # To all it goes in the test of an interrupt, and SIGHUP in the test after this.
        *(
            pytest.param(number, to_all, marks=pytest.mark.slow)
            for number, to_all in ((signal.SIGTERM, True), (signal.SIGHUP, False), (signal.SIGHUP, True))
        ),
    ],
)
def test_other_signals_that_end_a_run_leave_the_same_records(
    program: Program, number: signal.Signals, to_all: bool
) -> None:
    """A batch system sends SIGTERM, to the program or to its group; a terminal that closes sends SIGHUP."""
    process = program.start("waits", "waits", "well-behaved")
    lines_until(process, WAITING)
    lines_until(process, WAITING)
    cells = cells_of(process)
    (os.killpg if to_all else os.kill)(process.pid, number)
    output = process.communicate(timeout=60)[0]
    assert output.splitlines()[-1] == "summary True 1 [('interrupted', 2)]"
    assert {record.status for record in program.records().values()} == {"interrupted"}
    assert all(is_gone(cell.pid) for cell in cells)


def test_a_terminal_that_has_gone_costs_no_record(program: Program) -> None:
    process = program.start("well-behaved", "waits", "waits")
    assert process.stdout is not None
    lines_until(process, WAITING)
    process.stdout.close()
    os.kill(process.pid, signal.SIGHUP)
    process.wait(timeout=60)
    statuses = {key: record.status for key, record in program.records().items()}
    assert statuses.pop(("well-behaved", 0)) == "ok"
    assert set(statuses.values()) == {"interrupted"}


def test_second_interrupt_raises() -> None:
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert interrupt.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGXCPU"])
def test_what_a_terminal_or_a_batch_system_sends_is_asked_not_suffered(name: str) -> None:
    """Slurm, Grid Engine and others warn with SIGUSR1, SIGUSR2 or SIGXCPU before they kill."""
    number = getattr(signal, name)
    with Interrupt() as interrupt:
        signal.raise_signal(number)
        assert interrupt.signal == number
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is signal.SIG_DFL


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            signal.raise_signal(signal.SIGHUP)
            assert not interrupt.asked
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("number", "code"), [(None, 0), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_exit_codes_are_those_that_a_shell_knows(number: int | None, code: int) -> None:
    assert Summary({}, interrupted_by=number).exit_code == code


def test_nothing_outlives_a_killed_parent(program: Program) -> None:
    process = program.start("hangs", "ignores-sigterm")
    lines_until(process, "progressed hangs 0.5 running the neuron", "progressed ignores-sigterm 0.5 running the neuron")
    cells = cells_of(process)
    assert len(cells) >= 2
    process.kill()
    process.communicate(timeout=60)
    assert all(is_gone(cell.pid) for cell in cells)
    assert program.records() == {}
