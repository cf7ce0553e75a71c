"""GPU leases, on a machine without any: a table of devices that are not there, and locks that are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from misbehaving import registry_with_suites

from harness.catalogue.cell import Cell
from harness.errors import UserError
from harness.execute import child as child_module
from harness.execute import forkserver
from harness.execute.executor import Event, Noticed
from harness.execute.job import Job
from harness.execute.leases import CONTEXT_BYTES, Gpu, Lease, Leases, chosen_gpus, gpu_indices, visible_gpus
from harness.execute.pool import LocalPool
from harness.execute.where import Where
from harness.results.store import Store

GIB = 1 << 30
TABLE = [Gpu(f"GPU-{letter * 8}", "NVIDIA H200", 16 * GIB) for letter in "abcd"]


def cuda(seed: int = 0, *, exclusive: bool = False, device: str = "cuda", threads: int = 1, neuron: str = "lif") -> Job:
    cell = Cell("accuracy", "digits", neuron, "bptt", "mlp", device=device, budget="quick", seed=seed, threads=threads)
    return Job(cell, "0" * 64, exclusive, 60.0, GIB)


def leases(folder: Path, count: int = 2, cpus: int = 8) -> Leases:
    return Leases(TABLE[:count], folder, range(cpus))


def test_one_exclusive_cell_a_gpu_and_its_share_of_the_processors(tmp_path: Path) -> None:
    mine = leases(tmp_path)
    first, second, third = (cuda(seed, exclusive=True) for seed in range(3))
    assert mine.reserve(first)
    assert mine.reserve(first), "asking again takes no second one"
    assert mine.reserve(second)
    assert not mine.reserve(third)
    held = [mine.of(one) for one in (first, second)]
    assert [lease and lease.gpu for lease in held] == TABLE[:2]
    assert [lease and lease.cpus for lease in held] == [(0, 1, 2, 3), (4, 5, 6, 7)]
    mine.give_back(first)
    assert mine.reserve(third)
    assert mine.of(third) == Lease(TABLE[0], (0, 1, 2, 3), True, 16 * GIB)


def test_cells_of_a_kind_share_a_gpu_as_far_as_their_measured_memory_goes(tmp_path: Path) -> None:
    mine = leases(tmp_path, count=1, cpus=64)
    probe, *others = (cuda(seed) for seed in range(9))
    assert mine.reserve(probe)
    assert not mine.reserve(others[0]), "nobody knows yet what one needs"
    mine.give_back(probe, peak_bytes=4 * GIB)  # 1.25 x 4 + 1 for the context: 6 of 16
    assert [mine.reserve(one) for one in others[:3]] == [True, True, False]
    assert not mine.reserve(cuda(exclusive=True, seed=5))
    assert not mine.reserve(cuda(neuron="plif")), "another kind was not measured"
    assert mine.of(others[0]) == Lease(TABLE[0], None, False, 5 * GIB + CONTEXT_BYTES)
    for one in others[:2]:
        mine.give_back(one, peak_bytes=12 * GIB)
    assert [mine.reserve(one) for one in others[:2]] == [True, False], "larger than the GPU: it has it alone"


def test_shared_cells_take_no_more_threads_than_their_gpu_has_processors(tmp_path: Path) -> None:
    mine = leases(tmp_path, count=2, cpus=4)
    probe = cuda(0)
    mine.reserve(probe)
    mine.give_back(probe, peak_bytes=GIB // 8)
    jobs = [cuda(seed) for seed in range(1, 6)]
    assert [mine.reserve(one) for one in jobs] == [True, True, True, True, False]
    gpus = [lease.gpu for one in jobs if (lease := mine.of(one))]
    assert gpus == [TABLE[0]] * 2 + [TABLE[1]] * 2, "the fullest first, so that another stays free for a timing"


def test_a_lock_holds_off_other_runs(tmp_path: Path) -> None:
    mine, other = leases(tmp_path, 1), leases(tmp_path, 1)
    timing, training = cuda(exclusive=True), cuda()
    assert mine.reserve(timing)
    assert not other.reserve(training)
    mine.give_back(timing)
    assert other.reserve(training)
    assert mine.reserve(training), "two runs may share one that neither needs alone"
    assert not mine.reserve(timing)
    other.close()
    mine.close()
    assert mine.reserve(timing)


def test_a_lock_dies_with_its_run(tmp_path: Path) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "import test_execute_leases as t\n"
        "l = t.leases(Path(sys.argv[2]), 1); assert l.reserve(t.cuda(exclusive=True)); print('held', flush=True)\n"
        "sys.stdin.read()"
    )
    path = os.pathsep.join([str(Path(__file__).parents[2] / "helpers"), os.environ.get("PYTHONPATH", "")])
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(Path(__file__).parent), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    mine = leases(tmp_path, 1)
    assert not mine.reserve(cuda())
    holder.kill()
    holder.communicate()
    assert mine.reserve(cuda())


@dataclass
class Running:
    """Stands for a process: only that its job runs matters here."""

    job: Job


def local_pool(folder: Path, table: int, slots: int = 4) -> LocalPool:
    return LocalPool(Store(folder / "store"), slots=slots, leases=leases(folder, table))


def run_in(pool: LocalPool, *jobs: Job) -> list[bool]:
    """Ask for each job, and let it run if there is room."""
    may = []
    for one in jobs:
        may.append(pool.has_room(one))
        if may[-1]:
            pool._cells.append(Running(one))  # type: ignore[arg-type]
    return may


def test_timings_run_side_by_side_on_gpus_of_their_own(tmp_path: Path) -> None:
    pool = local_pool(tmp_path, 2)
    timings = [cuda(seed, exclusive=True) for seed in range(3)]
    assert run_in(pool, *timings) == [True, True, False]
    assert not pool.has_room(cuda(device="cpu")), "a processor's cell would disturb them"


def test_a_timing_on_the_processor_has_the_machine_to_itself(tmp_path: Path) -> None:
    pool = local_pool(tmp_path, 2)
    assert run_in(pool, cuda(device="cpu", exclusive=True), cuda(), cuda(exclusive=True)) == [True, False, False]
    pool = local_pool(tmp_path, 2)
    assert run_in(pool, cuda(device="cpu"), cuda(), cuda(exclusive=True)) == [True, True, False]


def test_a_run_that_waits_for_another_says_so_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = leases(tmp_path, 1)
    assert other.reserve(cuda(exclusive=True))
    pool = local_pool(tmp_path, 1)
    assert not pool.has_room(cuda())
    heard: list[Event] = [*pool.watch(), *pool.watch()]
    assert heard == [Noticed("Another run has the GPUs that are asked for; this one waits until it lets one go.")]
    other.close()
    assert pool.has_room(cuda())


def test_a_cells_process_sees_its_gpu_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own, as it happens after the fork."""
    pid = os.fork()
    if pid == 0:
        cpu = min(os.sched_getaffinity(0))
        child_module._keep_to(Lease(TABLE[1], (cpu,), True, GIB))
        right = os.environ["CUDA_VISIBLE_DEVICES"] == TABLE[1].uuid and os.sched_getaffinity(0) == {cpu}
        os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.parametrize(
    ("device", "kind", "indices"),
    [
        ("cpu", "cpu", ()),
        ("cuda", "cuda", [0]),
        ("cuda:2", "cuda", [2]),
        ("cuda:0, cuda:3", "cuda", [0, 3]),
        ("cuda:all", "cuda", None),
    ],
)
def test_devices(device: str, kind: str, indices: object) -> None:
    assert gpu_indices(device) == indices
    assert Where(device).kind == kind


@pytest.mark.parametrize(
    ("device", "table", "message"),
    [
        ("cuda:x", TABLE, "unknown device 'cuda:x'"),
        ("cpu,cuda", TABLE, "unknown device 'cpu'"),
        ("cuda:0,cuda", TABLE, "names a GPU twice"),
        ("cuda:4", TABLE, "there is no GPU cuda:4 on this machine"),
        ("cuda", [], "no CUDA device on this machine"),
        ("cuda:all", [*TABLE, Gpu("GPU-e", "NVIDIA T4", GIB)], "several models"),
    ],
)
def test_what_there_is_not_is_said(device: str, table: list[Gpu], message: str) -> None:
    with pytest.raises(UserError, match=message):
        chosen_gpus(device, table)


@pytest.mark.parametrize(
    ("listed", "found"),
    [(None, "abcd"), ("2,0", "ca"), ("GPU-bb", "b"), ("1,9,0", "b"), ("", ""), ("-1", "")],
)
def test_visible_devices_are_those_that_cuda_would_see(
    listed: str | None, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pynvml = pytest.importorskip("pynvml")
    for name, answer in {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: len(TABLE),
        "nvmlDeviceGetHandleByIndex": lambda index: TABLE[index],
        "nvmlDeviceGetUUID": lambda gpu: gpu.uuid,
        "nvmlDeviceGetName": lambda gpu: gpu.name,
    }.items():
        monkeypatch.setattr(pynvml, name, answer)

    class Memory:
        total = 16 * GIB

    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda _gpu: Memory)
    environment: Mapping[str, str] = {} if listed is None else {"CUDA_VISIBLE_DEVICES": listed}
    assert [gpu.uuid for gpu in visible_gpus(environment)] == [f"GPU-{letter * 8}" for letter in found]


def test_the_server_asks_nvml_for_gpus_and_preloads_no_compiler_for_them(tmp_path: Path) -> None:
    with forkserver._environment():
        assert os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] == "1"
    asked = ["compiled"] * 3
    without = LocalPool(Store(tmp_path), registry=registry_with_suites(), backends=asked)
    with_gpus = LocalPool(Store(tmp_path), registry=registry_with_suites(), backends=asked, leases=leases(tmp_path))
    assert without._preload == ("harness.execute.preload_compiler",)
    assert with_gpus._preload == ()


@pytest.mark.slow
def test_what_the_server_imports_never_asks_cuda() -> None:
    program = """
import torch

def touched(*_):
    raise AssertionError("CUDA was asked, which makes it useless in forked processes")

torch.cuda.is_available = touched
if hasattr(torch._C, "_cuda_getDeviceCount"):  # else it is a build without CUDA, and must stay known as one
    torch._C._cuda_getDeviceCount = touched
import harness.execute.preload, harness.execute.preload_kernels
"""
    subprocess.run([sys.executable, "-c", program], check=True)
