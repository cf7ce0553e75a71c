"""What other processes take of the processors while something is timed, and who they are.

The time that the allowed processors were busy, stolen time included, less what the watched process and its descendants
used. Where the system's counters do not move at all, as in some sandboxes, the other processes that can be seen are
summed up instead. Must not import torch: a pool looks before anything runs.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from harness.results.resources import allowed_cpus, control_groups, counted

__all__ = ["BUSY_FRACTION", "Load", "Watch"]

BUSY_FRACTION = 0.05
"""Share of the allowed processors' time from which on others disturb a timing."""
WORTH_NAMING = 0.02
"""Processors that a process must keep busy to be named."""
MOST_NAMED = 3
IDLE = ("idle", "iowait", "guest", "guest_nice")
"""What does not count as busy; a guest's time stands in its host's user time already."""


@dataclass(frozen=True, slots=True)
class Load:
    """What others took during a while."""

    fraction: float
    """Of the time of all allowed processors."""
    cpus: int
    """Allowed processors."""
    busiest: tuple[tuple[str, int, float], ...] = ()
    """(name, process id, processors kept busy) of the processes that took most."""

    @property
    def quiet(self) -> bool:
        """Whether timings are worth taking."""
        return self.fraction <= BUSY_FRACTION

    def __str__(self) -> str:
        named = ", ".join(f"{name} {pid}: {cpus:.1f}" for name, pid, cpus in self.busiest)
        return f"other processes use {self.fraction:.0%} of its processors{f' ({named})' if named else ''}"


class Watch:
    """Watches the processors from its creation on; `load` says what others took since.

    Parameters
    ----------
    pid : root of the processes that are not others; None: this one.
    """

    def __init__(self, pid: int | None = None) -> None:
        self._root = psutil.Process(pid)
        self._cpus = allowed_cpus()
        self._began = self._now()

    def load(self) -> Load:
        """Return what others took since the beginning."""
        before, after = self._began, self._now()
        seconds = (after.at - before.at) * len(self._cpus)
        if seconds <= 0:
            return Load(0.0, len(self._cpus))
        others = {
            pid: used - before.processes.get(pid, 0.0)
            for pid, used in after.processes.items()
            if pid not in after.own_pids and pid not in before.own_pids
        }
        busy = after.busy - before.busy
        taken = busy - (after.own - before.own) if busy > 0 else sum(others.values())
        throttled = after.throttled - before.throttled
        return Load(
            fraction=min(max(taken, throttled, 0.0) / seconds, 1.0),
            cpus=len(self._cpus),
            busiest=_busiest(others, after.at - before.at),
        )

    def _now(self) -> _Moment:
        family = _family(self._root)
        processes = _all_processes()
        own = sum(filter(None, (_used(process, with_reaped=True) for process in family)))
        return _Moment(
            time.monotonic(), _busy(self._cpus), own, frozenset(one.pid for one in family), processes, _throttled()
        )


@dataclass(frozen=True, slots=True)
class _Moment:
    """Counters, all in seconds."""

    at: float
    busy: float
    own: float
    own_pids: frozenset[int]
    processes: Mapping[int, float]
    throttled: float


def _busy(cpus: tuple[int, ...]) -> float:
    """Return for how long the processors have been busy, all together."""
    times = psutil.cpu_times(percpu=True)
    chosen = [times[cpu] for cpu in cpus if cpu < len(times)] or times
    return float(sum(value for one in chosen for name, value in one._asdict().items() if name not in IDLE))


def _family(root: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return [root, *root.children(recursive=True)]
    return []


def _all_processes() -> dict[int, float]:
    found = {}
    for process in psutil.process_iter():
        used = _used(process)
        if used is not None:
            found[process.pid] = used
    return found


def _used(process: psutil.Process, with_reaped: bool = False) -> float | None:
    """Return the processor time of a process (`with_reaped`: and of its children that have ended)."""
    try:
        times = process.cpu_times()
    except psutil.Error:
        return None
    reaped = times.children_user + times.children_system if with_reaped else 0.0
    return float(times.user + times.system + reaped)


def _busiest(others: Mapping[int, float], seconds: float) -> tuple[tuple[str, int, float], ...]:
    first = sorted(others, key=lambda pid: -others[pid])[:MOST_NAMED]
    named = []
    for pid in first:
        cpus = others[pid] / seconds
        if cpus >= WORTH_NAMING and pid != os.getpid():
            with contextlib.suppress(psutil.Error):
                named.append((psutil.Process(pid).name(), pid, cpus))
    return tuple(named)


def _throttled() -> float:
    """Return for how long this process's control group was kept from running by a quota."""
    for group in control_groups("cpu"):
        microseconds = counted(group / "cpu.stat", "throttled_usec")
        if microseconds is not None:
            return microseconds * 1e-6
        nanoseconds = counted(group / "cpu.stat", "throttled_time")
        if nanoseconds is not None:
            return nanoseconds * 1e-9
    return 0.0
