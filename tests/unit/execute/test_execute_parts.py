"""The parts that the pool is made of, each alone."""

from __future__ import annotations

import errno
import io
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pynvml
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from misbehaving import job, registry_with_suites
from rich.console import Console

from harness.catalogue.cell import Cell
from harness.errors import UserError
from harness.execute import allocator, endings, forkserver
from harness.execute.display import Display, _duration
from harness.execute.messages import CellOutcome, MessageReader, Progress, Setting, encoded
from harness.execute.records import CellRun, Recorder
from harness.execute.tail import LINES, WIDTH_BYTES, Tail
from harness.execute.worker import _outcome_of
from harness.results import provenance
from harness.results.record import Metric
from harness.suites.common.base import DivergedError
from reference_impls.api import UnsupportedError


def test_parent_modules_do_not_import_torch() -> None:
    modules = "harness.results.provenance, harness.execute.pool, harness.execute.display, harness.execute.records"
    check = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=Path(provenance.__file__).parents[2]).returncode == 0


# --- tail


def lines_of(*chunks: bytes) -> tuple[str, ...]:
    tail = Tail()
    for chunk in chunks:
        tail.feed(chunk)
    return tail.lines()


def test_a_compiler_is_imported_once_where_several_cells_need_it() -> None:
    few, many = ["fused-numba"] * 2, ["fused-numba", "fused", "fused-numba"]
    assert forkserver.compilers_for(["eager", "-", *few]) == ()
    assert forkserver.compilers_for([*many, "eager"]) == ("harness.execute.preload_kernels",)
    assert len(forkserver.compilers_for([*many, *["compiled"] * 3])) == 2


PRELOADED = """
import os, sys
import harness.execute.preload_kernels
child = os.fork()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
import torch
from reference_impls.api import build_neuron
torch.set_num_threads(1)
x = torch.rand(3, 2000, requires_grad=True)
build_neuron("lif", backend="fused-numba")(x).sum().backward()
os._exit(0 if x.grad.isfinite().all() and x.grad.any() else 1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_cell_can_use_the_kernels_that_its_server_has_prepared() -> None:
    subprocess.run([sys.executable, "-c", PRELOADED], check=True, timeout=120)


def test_tail_keeps_the_last_lines() -> None:
    assert lines_of(b"".join(b"%d\n" % number for number in range(100))) == tuple(map(str, range(100 - LINES, 100)))


def test_tail_shows_an_unfinished_line() -> None:
    assert lines_of(b"one\ntw", b"o") == ("one", "two")


def test_tail_cuts_long_lines() -> None:
    assert lines_of(b"x" * 1_000_000, b"y\nz") == ("x" * WIDTH_BYTES + "…", "z")


def test_tail_keeps_the_last_state_of_a_progress_bar() -> None:
    assert lines_of(b"\r10%", b"\r20%", b"\r30%\nend\r\n") == ("30%", "end")
    assert lines_of(b"10%\r", b"20%\r") == ("20%",)


def test_tail_survives_bytes_that_are_no_text() -> None:
    assert lines_of(b"\xff\xfe\n") == ("\ufffd\ufffd",)


@given(st.lists(st.binary(max_size=30).filter(lambda data: b"\r" not in data), max_size=20))
def test_tail_does_not_depend_on_how_the_stream_is_cut(chunks: list[bytes]) -> None:
    assert lines_of(*chunks) == lines_of(b"".join(chunks))


# --- messages


MESSAGES = [
    Setting(clock_version=1, allocator="glibc"),
    Progress(fraction=0.25, note="line\nbreak"),
    CellOutcome(status="ok", metrics={"x": Metric(value=1.0, unit="1", direction="none")}, details={"a": [1, None]}),
]


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_messages_arrive_however_they_are_cut(size: int) -> None:
    stream = b"".join(map(encoded, MESSAGES))
    reader = MessageReader()
    arrived = [message for at in range(0, len(stream), size) for message in reader.feed(stream[at : at + size])]
    assert arrived == MESSAGES


def test_half_a_message_is_none() -> None:
    reader = MessageReader()
    assert reader.feed(encoded(MESSAGES[0])[:-2]) == []
    assert reader.feed(b"") == []


def test_what_is_no_message_is_skipped() -> None:
    reader = MessageReader()
    noise = b'hello\n{"kind": "outcome", "status": "fine"}\n\xff\n'
    assert reader.feed(noise + encoded(MESSAGES[1])) == [MESSAGES[1]]


# --- endings


@pytest.mark.parametrize(
    ("exit_code", "tail", "status", "reason"),
    [
        (0, (), "crashed", "The process ended with exit code 0 before it gave a result."),
        (-signal.SIGFPE, (), "crashed", "The process was killed by SIGFPE (Floating point exception)."),
        (-signal.SIGABRT, ("assert failed",), "crashed", "The process was killed by SIGABRT (Aborted)."),
        (-signal.SIGABRT, ("  what():  std::bad_alloc",), "oom", "The process aborted because it could not allocate"),
        (-(signal.SIGRTMIN + 2), (), "crashed", f"The process was killed by signal {signal.SIGRTMIN + 2}."),
    ],
)
def test_death(exit_code: int, tail: tuple[str, ...], status: str, reason: str) -> None:
    outcome = endings.died(exit_code, tail)
    assert outcome.status == status
    assert outcome.reason.startswith(reason)


@pytest.mark.parametrize(
    ("exit_code", "status"), [(-signal.SIGKILL, "oom"), (-signal.SIGSEGV, "crashed"), (0, "crashed")]
)
def test_a_kill_while_the_system_runs_out_of_memory_is_that(exit_code: int, status: str) -> None:
    outcome = endings.died(exit_code, (), short_of_memory=True)
    assert outcome.status == status
    assert (outcome.reason == "The system killed the process because memory ran out.") == (status == "oom")


# --- worker


def array_memory_error() -> Exception:
    try:
        np.empty(1 << 58, dtype=np.int8)
    except MemoryError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnsupportedError("needs a GPU"), "unsupported"),
        (DivergedError("the loss is nan"), "diverged"),
        (MemoryError(), "oom"),
        (array_memory_error(), "oom"),
        (torch.OutOfMemoryError("CUDA out of memory."), "oom"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "oom"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."), "oom"),
        (RuntimeError("std::bad_alloc"), "oom"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "oom"),
        (OSError(errno.ENOSPC, "No space left on device"), "error"),
        (RuntimeError("shapes differ"), "error"),
        (UserError("mnist is missing", "spikeboard data fetch mnist"), "error"),
    ],
)
def test_classification(error: Exception, status: str) -> None:
    outcome = _outcome_of(error)
    assert outcome.status == status
    assert outcome.reason


def test_reason_is_one_line_of_bounded_length() -> None:
    reason = _outcome_of(ValueError("word\n" * 1000)).reason
    assert reason.startswith("ValueError: word word")
    assert "\n" not in reason
    assert len(reason) == 400


# --- allocator


def test_allocator_says_what_is_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "/usr/lib/libjemalloc.so.2:/opt/other.so")
    assert allocator.pin() == "not pinned: preloaded libjemalloc.so.2 other.so"


# --- provenance and records


def test_command_leaves_out_what_does_not_apply() -> None:
    cell = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick", seed=2)
    assert provenance.command(cell) == (
        "spikeboard run --suite accuracy --task digits --neuron lif --method bptt --topology mlp --backend eager "
        "--device cpu --dtype float32 --budget quick --seed 2 --again"
    )
    assert provenance.command(Cell("conformance", neuron="lif", backend="-", threads=2)) == (
        "spikeboard run --suite conformance --neuron lif --device cpu --dtype float32 --seed 0 --again"
    )


def git(folder: Path, *arguments: str) -> None:
    settings = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *settings, *arguments], check=True, capture_output=True)


def test_commit_and_dirty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "harness" / "__init__.py"
    module.parent.mkdir()
    module.touch()
    assert provenance._commit(tmp_path) == (None, None)
    git(tmp_path, "init")
    git(tmp_path, "commit", "--allow-empty", "-m", "nothing of ours")
    assert provenance._commit(tmp_path) == (None, None), "a repository that does not track the package"
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "package")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    commit, dirty = provenance._commit(tmp_path)
    assert len(commit) == 40
    assert dirty is False
    (tmp_path / "record.json").touch()
    assert provenance._commit(tmp_path) == (commit, False), "a result is no change of the code"
    (tmp_path / "harness" / "new.py").touch()
    assert provenance._commit(tmp_path) == (commit, True)


def test_gpu_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    rates = {pynvml.NVML_CLOCK_SM: 1980, pynvml.NVML_CLOCK_MEM: 3201}
    answers = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetHandleByUUID": asked.append,
        "nvmlDeviceGetClockInfo": lambda _, which: rates[which],
        "nvmlDeviceGetCurrentClocksThrottleReasons": lambda _: pynvml.nvmlClocksThrottleReasonSwPowerCap,
    }
    for name, answer in answers.items():
        monkeypatch.setattr(pynvml, name, answer)
    found = provenance.clocks("0123-abcd")
    assert asked == ["GPU-0123-abcd"]
    assert found["gpu_hertz"] == 1.98e9
    assert found["gpu_memory_hertz"] == 3.201e9
    assert [name for name, value in found.items() if "throttle" in name and value] == ["gpu_throttle_SwPowerCap"]


def test_clocks_of_a_gpu_that_is_not_there() -> None:
    assert "gpu_hertz" not in (provenance.clocks("no-such-gpu") or {})


# --- display


def finished(display: Display, seed: int, outcome: CellOutcome) -> None:
    item = job("lif", seed=seed)
    run = CellRun(datetime.now(UTC), 1.25)
    record = Recorder(registry_with_suites()).record(item.cell, item.code_hash, outcome, run)
    display.started(item)
    display.progressed(item, 0.5, "epoch [1/2]")
    display.finished(item, record)


def shown(*, terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=200, highlight=False)
    with Display([job("lif", seed=seed) for seed in range(10)], console) as display:
        finished(display, 0, CellOutcome(status="ok"))
        finished(display, 1, CellOutcome(status="error", reason="ValueError: [bold]wrong[/bold]"))
    return console.file.getvalue()


def test_display_without_a_terminal_is_plain_lines() -> None:
    # The time left depends on how long this took.
    assert [re.sub(r"  \(about .* left\)$", "", line) for line in shown(terminal=False).splitlines()] == [
        "[ 1/10] ok          probe lif+eager+s0  1.2 s",
        "[ 2/10] error       probe lif+eager+s1  1.2 s  ValueError: [bold]wrong[/bold]",
    ]


def test_display_on_a_terminal_shows_bars_beside_the_lines() -> None:
    text = shown(terminal=True)
    assert "all cells" in text
    assert "of 10 cells" in text
    assert "ValueError: [bold]wrong[/bold]" in text
    assert "\x1b[32mok" in text


def test_display_weighs_the_time_left_by_what_was_expected() -> None:
    jobs = [job("lif", seed=0, expected_seconds=30.0), job("lif", seed=1, expected_seconds=10.0)]
    with Display(jobs, Console(file=io.StringIO())) as display:
        display.started(jobs[0])
        display.progressed(jobs[0], 0.5, "half of it")
        assert display.fraction == 15 / 40


@pytest.mark.parametrize(("seconds", "text"), [(7, "7 s"), (65, "1 min 05 s"), (3725, "1 h 02 min")])
def test_duration(seconds: int, text: str) -> None:
    assert _duration(seconds) == text
