"""What this process may use of the machine: processors by affinity and quota, memory by limit.

A container or a batch system hands out less than the machine has. Threads, limits and the machine's name follow from
what is handed out; control groups of both versions are read, this process's own and those above it.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = [
    "Resources",
    "allowed_cpus",
    "control_groups",
    "counted",
    "out_of_memory_kills",
    "this_process_may_use",
]

CGROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
SYSTEM_EVENTS = Path("/proc/vmstat")
TOPOLOGY = Path("/sys/devices/system/cpu")
UNLIMITED_BYTES = 1 << 60
"""Version 1 writes a number near 2^63 where there is no limit."""


@dataclass(frozen=True, slots=True)
class Resources:
    """Processors and memory."""

    physical_cores: int
    """Whole cores that may be used at once."""
    logical_cores: int
    machine_cores: int
    """Physical cores that the machine has."""
    memory_bytes: int

    @property
    def restricted(self) -> bool:
        """Whether the machine has more cores than may be used."""
        return self.physical_cores < self.machine_cores


@functools.lru_cache(maxsize=1)
def this_process_may_use() -> Resources:
    """Look up what this process, and what it starts, may use."""
    cpus = allowed_cpus()
    machine = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    quota = _cpu_quota()
    physical = min(_physical_cores(cpus), machine)
    logical = len(cpus)
    if quota is not None:
        physical, logical = (max(1, min(count, int(quota))) for count in (physical, logical))
    memory = min([psutil.virtual_memory().total, *_memory_limits()])
    return Resources(physical, logical, machine, memory)


def allowed_cpus() -> tuple[int, ...]:
    """Return the numbers of the processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def control_groups(controller: str) -> Iterator[Path]:
    """Yield the folders of this process's group under `controller` and of all groups above it, of both versions.

    In a container the group's own path may be that of the host, which is not visible; then the mounted root, which is
    the container's, is all there is.
    """
    try:
        lines = OWN_GROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, names, path = line.split(":", 2)
        if names and controller not in names.split(","):
            continue
        mounts = [CGROUPS / names, CGROUPS / controller] if names else [CGROUPS, CGROUPS / "unified"]
        for mount in dict.fromkeys(mounts):
            group = mount / path.lstrip("/")
            while group != mount and mount in group.parents:
                if group.is_dir():
                    yield group
                group = group.parent
            if mount.is_dir():
                yield mount


def out_of_memory_kills() -> int:
    """Return how many processes the system has killed so far because memory ran out: here, or in a group above."""
    files = [group / name for group in control_groups("memory") for name in ("memory.events", "memory.oom_control")]
    return sum(counted(file, "oom_kill") or 0 for file in (*files, SYSTEM_EVENTS))


def counted(file: Path, key: str) -> int | None:
    """Return a number of a file of lines "key number"; None where there is none."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(rf"^{re.escape(key)} (\d+)$", text, re.MULTILINE)
    return int(found[1]) if found else None


def _physical_cores(cpus: tuple[int, ...]) -> int:
    """Count the cores that `cpus` lie on; two threads of one core are one."""
    return len({_text(TOPOLOGY / f"cpu{cpu}" / "topology" / "thread_siblings_list") or str(cpu) for cpu in cpus})


def _cpu_quota() -> float | None:
    """Return how many processors' time the groups grant, the least of all; None if they set no quota."""
    granted = []
    for group in control_groups("cpu"):
        quota, _, period = (_text(group / "cpu.max") or "").partition(" ")
        if not quota:
            quota, period = _text(group / "cpu.cfs_quota_us") or "", _text(group / "cpu.cfs_period_us") or ""
        if quota.isdigit() and period.isdigit() and int(period):
            granted.append(int(quota) / int(period))
    return min(granted, default=None)


def _memory_limits() -> Iterator[int]:
    for group in control_groups("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = _text(group / name) or ""
            if text.isdigit() and int(text) < UNLIMITED_BYTES:
                yield int(text)


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return None
