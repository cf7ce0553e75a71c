"""What a record says of its machine before it was timed, and what makes ``--require-quiet`` refuse: with fake GPUs."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pynvml
import pytest
import typer
from fake_nvml import SILENT, FakeGpu, install
from synthetic import record

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.cli.quiet import NOT_QUIET, demand_quiet
from harness.execute import quiet
from harness.execute.leases import visible_gpus
from harness.execute.quiet import Look, disturbances, look_around, unknowns
from harness.execute.where import Where
from harness.measure.neighbours import Load
from harness.results import runner
from harness.results.index import select
from harness.results.reading import read_record
from harness.results.record import GpuState, Record, RunnerState
from harness.results.runner import gpu_state, processes_on, runner_state
from harness.results.store import Store
from harness.results.validity import problem_of

IDLE = pynvml.nvmlClocksThrottleReasonGpuIdle
HOT = pynvml.nvmlClocksThrottleReasonHwThermalSlowdown
CAPPED = pynvml.nvmlClocksThrottleReasonSwPowerCap
QUIET = Load(0.01, 2)
STEADY = GpuState(uuid="GPU-1", clocks_locked=True, utilization_fraction=0.0, other_processes=0)


@pytest.fixture
def sysfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(runner, "SYSFS", tmp_path)
    monkeypatch.setattr(runner, "allowed_cpus", lambda: (0, 3))
    return tmp_path


def govern(sysfs: Path, **governors: str) -> None:
    for cpu, name in governors.items():
        (sysfs / cpu / "cpufreq").mkdir(parents=True, exist_ok=True)
        (sysfs / cpu / "cpufreq" / "scaling_governor").write_text(f"{name}\n")


def test_a_gpu_says_all_that_a_reader_may_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeGpu(reasons=HOT | CAPPED, compute=(1, os.getpid()), graphics=(1,), utilization=7))
    assert gpu_state("GPU-0af3") == GpuState(
        uuid="GPU-0af3",
        clocks_locked=None,
        sm_hertz=1.98e9,
        held_back_by=("SwPowerCap", "HwThermalSlowdown"),
        temperature_celsius=41.0,
        ecc=True,
        uncorrected_errors=0,
        persistence=True,
        utilization_fraction=0.07,
        other_processes=1,
    )
    ((name, pid),) = processes_on("GPU-0af3")
    assert pid == 1
    assert name
    assert gpu_state("GPU-other") is None


@pytest.mark.parametrize(
    ("gpu", "locked"),
    [
        (FakeGpu(), True),
        (FakeGpu(reasons=IDLE, clock=345), False),
        (FakeGpu(reasons=IDLE, clock=345, application_clocks=(1200, 1095)), True),
        (FakeGpu(reasons=IDLE, clock=345, application_clocks=(1095, 1095)), False),
        (FakeGpu(utilization=90), None),
        (FakeGpu(compute=(1,)), None),
        (FakeGpu(reasons=SILENT), None),
    ],
)
def test_whether_clocks_are_locked(monkeypatch: pytest.MonkeyPatch, gpu: FakeGpu, locked: bool | None) -> None:
    install(monkeypatch, gpu)
    state = gpu_state(gpu.uuid)
    assert state is not None
    assert state.clocks_locked is locked


def test_a_gpu_that_says_nothing_leaves_nothing_but_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("reasons", "clock", "temperature", "ecc", "errors", "persistence", "utilization", "compute", "graphics")
    install(monkeypatch, FakeGpu(**dict.fromkeys(names, SILENT)))
    assert gpu_state("GPU-0af3") == GpuState(uuid="GPU-0af3")


def test_what_an_idle_gpu_said_of_its_clocks_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeGpu(utilization=90))
    (state,) = runner_state(["GPU-0af3", "GPU-other"], {"GPU-0af3": True}).gpus
    assert state.clocks_locked is True


def test_governor_and_boost_of_the_processors_that_may_be_used(sysfs: Path) -> None:
    assert runner_state().cpu_governors == ()
    assert runner_state().cpu_boost is None
    govern(sysfs, cpu0="performance", cpu1="powersave", cpu3="performance")
    (sysfs / "intel_pstate").mkdir()
    (sysfs / "intel_pstate" / "no_turbo").write_text("0\n")
    state = runner_state()
    assert state.cpu_governors == ("performance",)
    assert state.cpu_boost is True
    assert state.load_average is not None


def test_a_record_from_before_is_read_and_a_new_one_comes_back_as_it_was(tmp_path: Path) -> None:
    one = record(Cell("accuracy", "digits", "lif", "bptt", "mlp"))
    written = json.loads(Store(tmp_path).write(one).read_text())
    del written["provenance"]["runner"]
    (tmp_path / "old.json").write_text(json.dumps(written))
    (old,) = (found for found in (read_record(tmp_path / "old.json"),) if isinstance(found, Record))
    assert old.provenance.runner is None
    state = RunnerState(cpu_governors=("performance",), load_average=0.5, gpus=(STEADY,))
    now = one.model_copy(update={"provenance": one.provenance.model_copy(update={"runner": state})})
    store = Store(tmp_path / "store")
    store.write(now)
    (stored,) = store.read().records
    assert stored.provenance.runner == state
    (indexed,) = select([store.root]).records
    assert indexed.provenance.runner == state


@pytest.mark.parametrize(
    "state",
    [
        RunnerState(load_average=float("inf")),
        RunnerState(gpus=(GpuState(uuid="GPU-1", other_processes=-1),)),
        RunnerState(gpus=(GpuState(uuid="GPU-1", temperature_celsius=float("nan")),)),
    ],
)
def test_an_impossible_state_is_a_problem(state: RunnerState) -> None:
    one = record(Cell("accuracy", "digits", "lif", "bptt", "mlp"))
    assert problem_of(one, load_registry()) is None
    wrong = one.model_copy(update={"provenance": one.provenance.model_copy(update={"runner": state})})
    assert "says of its machine" in (problem_of(wrong, load_registry()) or "")


def looked(state: RunnerState, *processes: list[tuple[str, int]], load: Load = QUIET) -> Look:
    names = [f"a GPU ({gpu.uuid})" for gpu in state.gpus]
    return Look(load, state, names, processes or [[] for _ in state.gpus])


@pytest.mark.parametrize(
    ("look", "what", "remedy"),
    [
        (looked(RunnerState(), load=Load(0.4, 2, (("make", 77, 0.8),))), "make 77", "end them"),
        (looked(RunnerState(cpu_governors=("powersave",))), "powersave", "cpupower frequency-set"),
        (looked(RunnerState(gpus=(STEADY,)), [("python", 4123)]), "python 4123", "--device"),
        (looked(RunnerState(gpus=(STEADY.model_copy(update={"clocks_locked": False}),))), "not locked",
         "--lock-gpu-clocks"),
        (looked(RunnerState(gpus=(STEADY.model_copy(update={"utilization_fraction": 0.5}),))), "50%", "nvidia-smi"),
        (looked(RunnerState(gpus=(STEADY.model_copy(update={"held_back_by": ("HwThermalSlowdown",)}),))),
         "HwThermalSlowdown", "cool"),
    ],
)  # fmt: skip
def test_each_disturbance_is_named_with_what_to_do(look: Look, what: str, remedy: str) -> None:
    (found,) = disturbances(look)
    assert what in found.what
    assert remedy in found.remedy


def test_nothing_is_held_against_a_machine_that_does_not_tell() -> None:
    look = looked(RunnerState(gpus=(GpuState(uuid="GPU-1", held_back_by=("SwPowerCap",)),)))
    assert disturbances(look) == []
    assert len(unknowns(look)) == 3
    quiet_one = looked(RunnerState(cpu_governors=("performance",), gpus=(STEADY,)))
    assert disturbances(quiet_one) == unknowns(quiet_one) == []


def test_the_look_sees_the_gpus_that_will_be_used(monkeypatch: pytest.MonkeyPatch, sysfs: Path) -> None:
    install(monkeypatch, FakeGpu("GPU-1"), FakeGpu("GPU-2", reasons=IDLE, compute=(1,)))
    look = look_around(visible_gpus({})[1:], seconds=0.01)
    assert [gpu.uuid for gpu in look.state.gpus] == ["GPU-2"]
    ((one,),) = look.processes
    assert one[1] == 1
    assert look.names == ["NVIDIA Example (GPU-2)"]


def test_a_busy_gpu_stops_a_run(
    monkeypatch: pytest.MonkeyPatch, sysfs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    govern(sysfs, cpu0="powersave", cpu3="powersave")
    busy = replace(FakeGpu("GPU-1"), reasons=IDLE, compute=(1,))
    install(monkeypatch, busy, FakeGpu("GPU-2"))
    monkeypatch.setattr(quiet.Watch, "load", lambda _: QUIET)
    with pytest.raises(typer.Exit) as ended:
        demand_quiet(Where("cuda"))
    assert ended.value.exit_code == NOT_QUIET
    said = capsys.readouterr().err
    assert "3 reasons" in said
    for part in ("powersave", "cpupower", "not locked", "--lock-gpu-clocks", " 1\n", "--device"):
        assert part in said, part
    govern(sysfs, cpu0="performance", cpu3="performance")
    demand_quiet(Where("cuda:1"))
    assert "the machine is quiet" in capsys.readouterr().out
