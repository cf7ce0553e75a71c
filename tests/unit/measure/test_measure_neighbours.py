"""What other processes take: a burner is seen and named, this process and its children are not others."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from harness.measure import neighbours
from harness.measure.neighbours import BUSY_FRACTION, Load, Watch

BURN = "import time\nend = time.monotonic() + 20\nwhile time.monotonic() < end: pass"


@pytest.fixture
def burner() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", BURN])
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def idle_others(watch: Watch) -> float:
    return watch.load().fraction


def test_another_process_is_seen_and_named(burner: int) -> None:
    """Watched from the burner's sister: a process of its own that only sleeps."""
    sister = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(20)"])
    try:
        watch = Watch(sister.pid)
        time.sleep(0.6)
        load = watch.load()
    finally:
        sister.kill()
        sister.wait()
    assert not load.quiet
    assert load.fraction > 0.5 / load.cpus * 0.5
    assert burner in [pid for _, pid, _ in load.busiest] or len(load.busiest) == neighbours.MOST_NAMED
    assert f"{load.fraction:.0%} of its processors (" in str(load)


def test_children_are_not_others(burner: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The counters of the system are replaced by the family's own: then nothing is left for others."""

    def busy(_cpus: tuple[int, ...]) -> float:
        family = [psutil.Process(), *psutil.Process().children(recursive=True)]
        return float(sum(sum(one.cpu_times()[:4]) for one in family)) + 100.0

    monkeypatch.setattr(neighbours, "_busy", busy)
    # Both sides are read one after the other: a family that works in between would have worked for others.
    child = psutil.Process(burner)
    child.suspend()
    watch = Watch()
    child.resume()
    time.sleep(0.3)
    child.suspend()
    load = watch.load()
    assert load.fraction < 0.05
    assert burner not in [pid for _, pid, _ in load.busiest]


def test_where_the_system_counts_nothing_processes_are_summed_up(burner: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_busy", lambda _cpus: 0.0)
    monkeypatch.setattr(neighbours, "_family", lambda _root: [])
    watch = Watch()
    time.sleep(0.5)
    assert watch.load().fraction > 0.1 / watch.load().cpus


def test_time_that_a_quota_took_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = iter([0.0, 1000.0])
    monkeypatch.setattr(neighbours, "_throttled", lambda: next(taken))
    assert Watch().load().fraction == 1.0


@pytest.mark.parametrize(("fraction", "quiet"), [(0.0, True), (BUSY_FRACTION, True), (0.0501, False), (1.0, False)])
def test_quiet_is_below_the_threshold(fraction: float, quiet: bool) -> None:
    assert Load(fraction, 2).quiet is quiet
