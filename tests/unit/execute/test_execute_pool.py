"""The local pool against neurons that misbehave on purpose, found as an installed third-party package."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

import misbehaving
import psutil
import pytest
from misbehaving import GIB, is_gone, job, registry_with_suites

from harness.catalogue.loading import load_registry
from harness.errors import UserError
from harness.execute import descendants, forkserver
from harness.execute.job import Job, Listener, Summary
from harness.execute.pool import LocalPool, may_start
from harness.results.record import Record
from harness.results.store import Store
from reference_impls.discovery import discover


class Log(Listener):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Job]] = []
        self.notes: dict[Job, list[tuple[float, str]]] = {}
        self.records: dict[Job, Record] = {}

    def started(self, job: Job) -> None:
        self.events.append(("started", job))

    def progressed(self, job: Job, fraction: float, note: str) -> None:
        self.notes.setdefault(job, []).append((fraction, note))

    def finished(self, job: Job, record: Record) -> None:
        self.events.append(("finished", job))
        self.records[job] = record


class Ran:
    """A run, its log and its store."""

    def __init__(self, pool: LocalPool, jobs: list[Job]) -> None:
        self.log = Log()
        self.summary: Summary = pool.run(jobs, self.log)
        self.contents = pool.store.read()

    def record(self, neuron: str, **cell: object) -> Record:
        [found] = [
            record
            for record in self.contents.records
            if record.cell.neuron == neuron and all(getattr(record.cell, key) == value for key, value in cell.items())
        ]
        return found


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPool]:
    folder = tmp_path_factory.mktemp("site")
    misbehaving.install(folder)
    sys.path.insert(0, str(folder))
    forget()
    try:
        store = Store(tmp_path_factory.mktemp("store"))
        with LocalPool(store, slots=2, registry=registry_with_suites()) as pool:
            yield pool
    finally:
        sys.path.remove(str(folder))
        forget()


def forget() -> None:
    discover.cache_clear()
    load_registry.cache_clear()


SHORT = 2.0
MISBEHAVING = [
    job("well-behaved", seed=0),
    job("hangs", timeout=SHORT),
    job("ignores-sigterm", timeout=SHORT),
    job("well-behaved", seed=1),
    job("raises"),
    job("segfaults"),
    job("kills-itself"),
    job("exits"),
    job("well-behaved", seed=2, exclusive=True),
    job("eats-memory"),
    job("feeds-children", memory_bytes=GIB // 2),
    job("becomes-nan"),
    job("prints-lines"),
    job("prints-a-long-line"),
    job("prints-for-ever", timeout=SHORT),
    job("leaves-a-process"),
    job("leaves-a-thread"),
    job("well-behaved", seed=3, threads=2),
]


@pytest.fixture(scope="module")
def ran(pool: LocalPool) -> Ran:
    return Ran(pool, MISBEHAVING)


def test_neurons_are_found_by_entry_point(pool: LocalPool) -> None:
    assert set(misbehaving.FORWARDS) <= set(pool.recorder.registry.neurons)


def test_every_job_is_a_record_and_nothing_else_is_left(ran: Ran, pool: LocalPool) -> None:
    assert ran.contents.problems == ()
    assert {record.cell_id for record in ran.contents.records} == {item.cell.id for item in MISBEHAVING}
    files = [path for path in pool.store.root.rglob("*") if path.is_file()]
    assert len(files) == len(MISBEHAVING)
    assert ran.summary == Summary(
        {"ok": 6, "timeout": 3, "error": 3, "crashed": 3, "oom": 2, "diverged": 1}, not_started=0
    )


@pytest.mark.parametrize("seed", range(4))
def test_every_other_cell_is_measured(ran: Ran, seed: int) -> None:
    record = ran.record("well-behaved", seed=seed)
    assert record.status == "ok"
    assert record.metrics["spike_fraction"].value == 1.0
    assert record.metrics["spike_fraction"].exact
    assert (record.reason, record.output_tail) == (None, ())


@pytest.mark.parametrize(
    ("neuron", "status", "reason", "printed"),
    [
        ("hangs", "timeout", "The cell was still running after its limit of 2 s.", "started "),
        ("ignores-sigterm", "timeout", "The cell was still running after its limit of 2 s.", None),
        ("raises", "error", "ValueError: the weights are missing", "raise ValueError("),
        ("segfaults", "crashed", "The process was killed by SIGSEGV (Segmentation fault).", "about to fall"),
        ("segfaults", "crashed", "The process was killed by SIGSEGV (Segmentation fault).", "segfaults.py"),
        ("kills-itself", "crashed", "The process was killed by SIGKILL (Killed), as the system does", None),
        ("exits", "crashed", "The process ended with exit code 3 before it gave a result.", None),
        ("eats-memory", "oom", "Out of memory: ", "can't allocate memory"),
        ("feeds-children", "oom", "of memory; its limit is 0.50 GiB.", None),
        ("becomes-nan", "diverged", "the loss is nan in epoch 1", "DivergedError"),
        ("prints-lines", "error", "ValueError: tired", "line 19999 of"),
        ("prints-a-long-line", "error", "ValueError: out of breath", "xxx…"),
        ("prints-for-ever", "timeout", "The cell was still running after its limit of 2 s.", "and so on"),
    ],
)
def test_failure_has_its_status_reason_and_last_lines(
    ran: Ran, neuron: str, status: str, reason: str, printed: str | None
) -> None:
    record = ran.record(neuron)
    assert record.status == status
    assert reason in record.reason
    assert "\n" not in record.reason
    if printed is not None:
        assert any(printed in line for line in record.output_tail)


def test_output_is_bounded(ran: Ran) -> None:
    for record in ran.contents.records:
        assert len(record.output_tail) <= 40
        assert all(len(line) <= 401 for line in record.output_tail)


def test_diverged_cell_keeps_what_it_measured(ran: Ran) -> None:
    assert ran.record("becomes-nan").metrics["step_seconds"].samples == (0.4, 0.6)


def test_failures_are_not_done(ran: Ran, pool: LocalPool) -> None:
    machine = pool.recorder.origin.machine.name
    for item in MISBEHAVING:
        status = ran.log.records[item].status
        assert pool.store.has(item.cell, machine, item.code_hash) == (status == "ok")


def test_no_process_is_left(ran: Ran) -> None:
    [started] = [line.split()[1] for line in ran.record("hangs").output_tail if line.startswith("started ")]
    assert is_gone(int(started))
    assert is_gone(ran.record("leaves-a-process").details["pid"])
    assert descendants.living(fork_server()) == []


def test_process_of_a_cell(ran: Ran) -> None:
    details = [ran.record("well-behaved", seed=seed).details for seed in range(4)]
    assert len({detail["process"] for detail in details}) == 4
    for detail in details:
        assert detail["process"] == detail["group"] == detail["session"]
        assert detail["deterministic"]
        assert not detail["cuda_touched"]
        assert not detail["interrupt_blocked"]
        assert not detail["command_line_imported"]
        assert detail["main_module"] is None
        assert detail["core_bytes"] == 0
        assert detail["data_bytes"] == MISBEHAVING[0].memory_bytes
    assert [detail["threads"] for detail in details] == [1, 1, 1, 2]
    assert details[3]["thread_variable"] == "2"
    assert len({tuple(detail["draws"]) for detail in details}) == 4


def test_provenance(ran: Ran) -> None:
    record = ran.record("well-behaved", seed=1)
    provenance = record.provenance
    assert provenance.command.startswith("spikeboard run --suite probe --neuron well-behaved --backend eager")
    assert provenance.suite_version == 7
    assert provenance.task_version is None
    assert provenance.clock_version is not None
    assert provenance.code_hash == MISBEHAVING[0].code_hash
    assert "M_MMAP_MAX=0" in provenance.allocator or "not pinned" in provenance.allocator
    assert provenance.allocator == ran.record("hangs").provenance.allocator
    assert provenance.duration_seconds > 0
    assert provenance.started_at.endswith("+00:00")
    assert {"torch", "numpy"} <= set(provenance.packages)


def test_jobs_start_in_order_and_exclusive_ones_run_alone(ran: Ran) -> None:
    assert [item for event, item in ran.log.events if event == "started"] == MISBEHAVING
    running: list[Job] = []
    for event, item in ran.log.events:
        running.append(item) if event == "started" else running.remove(item)
        assert len(running) == 1 or not any(one.exclusive for one in running)
        assert len(running) == 1 or sum(one.cell.threads for one in running) <= 2
    assert running == []


def test_shared_jobs_run_side_by_side(ran: Ran) -> None:
    assert ran.log.events[:2] == [("started", item) for item in MISBEHAVING[:2]], "before either has ended"


def test_progress_arrives(ran: Ran) -> None:
    assert ran.log.notes[MISBEHAVING[0]] == [(0.5, "running the neuron")]


def test_same_seed_draws_the_same(pool: LocalPool, ran: Ran) -> None:
    again = Ran(pool, [job("well-behaved", seed=2)])
    assert again.record("well-behaved", seed=2).details["draws"] == ran.record("well-behaved", seed=2).details["draws"]


AWKWARD = {
    "refused": ("unsupported", "This neuron has no state to scale."),
    "nan-figure": ("diverged", "The figure spike_fraction is not finite: nan."),
    "nan-sample": ("diverged", "The figure step_seconds is not finite: 1.0."),
    "nan-in-curve": ("diverged", "The series loss is not finite everywhere."),
    "diverged-late": ("diverged", "the loss is inf in epoch 2"),
    "not-on-the-card": (
        "error",
        "UnknownNameError: unknown figure of suite 'awkward': 'spike_fractoin': did you mean 'spike_fraction'?",
    ),
    "not-json": ("error", "PydanticSerializationError: Unable to serialize unknown type"),
    "large": ("ok", None),
    "no-data": ("error", "mnist is not here; spikeboard data fetch mnist"),
    "wrapped-memory-error": ("oom", "Out of memory: the compiler failed"),
    "talkative": ("ok", None),
}


@pytest.fixture(scope="module")
def awkward(pool: LocalPool) -> Ran:
    return Ran(pool, [job("well-behaved", "awkward", budget=budget) for budget in AWKWARD])


@pytest.mark.parametrize("budget", AWKWARD)
def test_awkward_answer(awkward: Ran, budget: str) -> None:
    status, reason = AWKWARD[budget]
    record = awkward.record("well-behaved", budget=budget)
    assert record.status == status
    assert (reason is None and record.reason is None) or record.reason.startswith(reason)


def test_finite_part_of_a_diverged_answer_is_kept(awkward: Ran) -> None:
    assert set(awkward.record("well-behaved", budget="nan-figure").metrics) == {"step_seconds"}
    assert set(awkward.record("well-behaved", budget="nan-sample").metrics) == {"spike_fraction"}
    assert awkward.record("well-behaved", budget="nan-in-curve").series["loss"].points == ((0, 2.0), (1, 1.0))
    assert awkward.record("well-behaved", budget="diverged-late").series["loss"].points == ((0, 2.0),)


def test_large_answer_arrives_whole(awkward: Ran) -> None:
    assert len(awkward.record("well-behaved", budget="large").details["text"]) == 3 << 20


def test_talkative_cell_is_throttled(awkward: Ran) -> None:
    [talkative] = [item for item in awkward.log.records if item.cell.budget == "talkative"]
    assert 1 <= len(awkward.log.notes[talkative]) < 1000


def test_memory_of_a_family_counts_shared_pages_once_when_it_matters() -> None:
    command = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(600)"]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    try:
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
        resident = descendants.held_bytes(psutil.Process(), limit_bytes=1 << 60)
        proportional = descendants.held_bytes(psutil.Process(), limit_bytes=0)
    finally:
        for child in children:
            child.kill()
            child.communicate()
    assert 0 < proportional < resident


def fork_server() -> psutil.Process:
    """Return the only server's process; for a moment after its start it still has the command line of this one."""
    deadline = time.monotonic() + 10
    servers: list[psutil.Process] = []
    while not servers and time.monotonic() < deadline:
        time.sleep(0.01)
        children = psutil.Process().children()
        servers = [child for child in children if any("forkserver" in word for word in child.cmdline())]
    [found] = servers
    return found


class Assassin(Log):
    """Kills the fork server as soon as a cell hangs."""

    def __init__(self) -> None:
        super().__init__()
        self.orphans: list[psutil.Process] = []

    def progressed(self, job: Job, fraction: float, note: str) -> None:
        if job.cell.neuron == "hangs":
            server = fork_server()
            self.orphans = server.children()
            server.kill()


def test_pool_survives_the_death_of_its_fork_server(pool: LocalPool) -> None:
    log = Assassin()
    jobs = [job("hangs", seed=8), job("well-behaved", seed=8, exclusive=True)]
    pool.run(jobs, log)
    assert log.records[jobs[0]].reason == "The fork server that the cell came from died."
    assert log.records[jobs[1]].status == "ok", log.records[jobs[1]].reason
    assert len(log.orphans) == 1
    assert is_gone(log.orphans[0].pid)


@pytest.mark.parametrize(
    ("exclusive", "threads", "running", "allowed"),
    [
        (False, 1, [], True),
        (True, 1, [], True),
        (False, 9, [], True),
        (False, 1, [(False, 1)], True),
        (False, 1, [(False, 2)], False),
        (False, 2, [(False, 1)], False),
        (True, 1, [(False, 1)], False),
        (False, 1, [(True, 1)], False),
        (True, 1, [(True, 1)], False),
    ],
)
def test_may_start(exclusive: bool, threads: int, running: list[tuple[bool, int]], allowed: bool) -> None:
    others = [job("raises", exclusive=alone, threads=number, seed=1) for alone, number in running]
    assert may_start(job("raises", exclusive=exclusive, threads=threads), others, slots=2) is allowed


def report_modules(connection: Connection) -> None:
    torch = sys.modules.get("torch")
    connection.send(("harness.execute.worker" in sys.modules, torch is None or torch.cuda.is_initialized()))


def test_fork_server_has_imported_the_worker_and_not_touched_cuda(pool: LocalPool) -> None:
    reader, writer = forkserver.context().Pipe(duplex=False)
    process = forkserver.launch(report_modules, (writer,))
    assert reader.recv() == (True, False)
    process.join()


def test_fork_server_does_not_mind_an_interrupt_while_it_imports(pool: LocalPool) -> None:
    forkserver.stop()
    forkserver.start()
    server = fork_server()
    server.send_signal(signal.SIGINT)
    forkserver.wait_until_ready()
    assert fork_server() == server


def test_fork_server_that_dies_while_it_imports_is_said_so(pool: LocalPool, monkeypatch: pytest.MonkeyPatch) -> None:
    forkserver.stop()
    monkeypatch.setattr(forkserver, "PRELOAD", "misbehaving.dies_at_import")
    with pytest.raises(UserError, match="died"):
        forkserver.wait_until_ready()


def test_environment_is_put_back(pool: LocalPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "somewhere")
    monkeypatch.delenv("PYTHONWARNINGS", raising=False)
    before = dict(os.environ)
    forkserver.start()
    assert dict(os.environ) == before
