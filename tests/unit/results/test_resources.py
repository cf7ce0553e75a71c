"""What a process may use decides threads, limits and the machine's name: affinity, and groups of both versions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from harness.results import machine, resources
from harness.results.machine import MACHINE_VARIABLE, this_machine
from harness.results.resources import Resources, allowed_cpus, counted, out_of_memory_kills, this_process_may_use

GIB = 1 << 30
Groups = Callable[[str, dict[str, str]], None]


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    def forget() -> None:
        this_process_may_use.cache_clear()
        this_machine.cache_clear()

    forget()
    yield
    forget()


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Groups:
    """Put made-up control groups in place of this machine's, which has eight cores of its own and 64 GiB."""
    monkeypatch.setattr(resources, "CGROUPS", tmp_path / "fs")
    monkeypatch.setattr(resources, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(resources, "allowed_cpus", lambda: tuple(range(8)))
    monkeypatch.setattr(resources, "TOPOLOGY", tmp_path / "nothing")
    monkeypatch.setattr(psutil, "cpu_count", lambda **_: 8)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"total": 64 * GIB}))

    def make(own: str, files: dict[str, str]) -> None:
        (tmp_path / "own").write_text(own)
        (tmp_path / "fs").mkdir(exist_ok=True)
        for name, text in files.items():
            file = tmp_path / "fs" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    return make


HUGE = "9223372036854771712\n"


@pytest.mark.parametrize(
    ("own", "files", "cores", "gib"),
    [
        ("0::/\n", {}, 8, 64),
        ("0::/\n", {"cpu.max": "max 100000\n", "memory.max": "max\n"}, 8, 64),
        ("0::/\n", {"cpu.max": "200000 100000\n", "memory.max": f"{4 * GIB}\n"}, 2, 4),
        # Half a processor is one that is kept waiting; one and a half carry one thread.
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1, 64),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1, 64),
        # The least of the group and those above it holds.
        ("0::/a/b\n", {"a/cpu.max": "300000 100000\n", "a/b/cpu.max": "max 100000\n"}, 3, 64),
        ("0::/a/b\n", {"a/memory.max": f"{8 * GIB}\n", "a/b/memory.max": f"{6 * GIB}\n"}, 8, 6),
        # In a container the path is the host's, and the limits stand at the mounted root.
        ("0::/docker/12ab\n", {"cpu.max": "400000 100000\n", "memory.max": f"{2 * GIB}\n"}, 4, 2),
        (
            "3:cpu,cpuacct:/job\n4:memory:/job\n",
            {
                "cpu,cpuacct/job/cpu.cfs_quota_us": "100000\n",
                "cpu,cpuacct/job/cpu.cfs_period_us": "50000\n",
                "memory/job/memory.limit_in_bytes": f"{3 * GIB}\n",
            },
            2,
            3,
        ),
        (
            "1:cpu:/\n4:memory:/\n",
            {
                "cpu/cpu.cfs_quota_us": "-1\n",
                "cpu/cpu.cfs_period_us": "100000\n",
                "memory/memory.limit_in_bytes": HUGE,
            },
            8,
            64,
        ),
        # Another controller's folder says nothing.
        ("5:pids:/\n", {"pids/cpu.max": "100000 100000\n"}, 8, 64),
    ],
)
def test_quotas_and_limits_of_both_versions(
    groups: Groups, own: str, files: dict[str, str], cores: int, gib: int
) -> None:
    groups(own, files)
    found = this_process_may_use()
    assert (found.physical_cores, found.logical_cores, found.memory_bytes) == (cores, cores, gib * GIB)
    assert found.machine_cores == 8
    assert found.restricted == (cores < 8)


def test_without_control_groups_the_machine_is_what_there_is(groups: Groups, tmp_path: Path) -> None:
    assert this_process_may_use() == Resources(8, 8, 8, 64 * GIB)


def test_two_threads_of_a_core_are_one_core(groups: Groups, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "TOPOLOGY", tmp_path / "topology")
    for cpu in range(8):
        siblings = tmp_path / "topology" / f"cpu{cpu}" / "topology" / "thread_siblings_list"
        siblings.parent.mkdir(parents=True)
        siblings.write_text(f"{cpu % 4},{cpu % 4 + 4}\n")
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 8 if logical else 4)
    for cpus, physical in ((range(8), 4), ((0, 4), 1), ((0, 1), 2)):
        monkeypatch.setattr(resources, "allowed_cpus", lambda cpus=cpus: tuple(cpus))
        this_process_may_use.cache_clear()
        assert (this_process_may_use().physical_cores, this_process_may_use().machine_cores) == (physical, 4)


@pytest.mark.parametrize("given", ["", "the lab"])
def test_fewer_cores_are_another_machine_by_name(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MACHINE_VARIABLE, given)
    names = []
    for cores in (8, 2):
        monkeypatch.setattr(machine, "this_process_may_use", lambda cores=cores: Resources(cores, cores, 8, GIB))
        this_machine.cache_clear()
        found = this_machine()
        assert (found.physical_cores, found.memory_bytes) == (cores, GIB)
        names.append(found.name)
    whole, part = names
    assert part.endswith("-2of8c")
    assert whole == ("the-lab" if given else part.replace("2of8c", "8c"))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs affinity")
def test_affinity_is_what_the_system_says() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert allowed_cpus() == (min(before),)
        assert this_process_may_use().physical_cores == 1
    finally:
        os.sched_setaffinity(0, before)


def test_counters_are_found_by_their_whole_name(tmp_path: Path) -> None:
    file = tmp_path / "memory.events"
    file.write_text("oom 1\noom_kill 3\noom_group_kill 0\n")
    assert [counted(file, key) for key in ("oom", "oom_kill", "kill")] == [1, 3, None]
    assert counted(tmp_path / "missing", "oom") is None


@pytest.mark.parametrize(
    ("own", "file"),
    [
        ("0::/a/b\n", "a/b/memory.events"),
        ("0::/a/b\n", "a/memory.events"),
        ("4:memory:/a\n", "memory/a/memory.oom_control"),
        ("0::/gone\n", "memory.events"),
    ],
)
def test_kills_for_want_of_memory_are_counted_in_the_group_and_above(
    groups: Groups, own: str, file: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(resources, "SYSTEM_EVENTS", tmp_path / "vmstat")
    groups(own, {file: "oom_kill_disable 0\noom_kill 4\n"})
    before = out_of_memory_kills()
    groups(own, {file: "oom_kill_disable 0\noom_kill 5\n"})
    assert out_of_memory_kills() > before > 0
    (tmp_path / "vmstat").write_text("pgfault 7\noom_kill 9\n")
    assert out_of_memory_kills() >= 14
