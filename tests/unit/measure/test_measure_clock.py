"""The clock's logic under a fake timer: sizes, order, stopping and statistics, all deterministic."""

from __future__ import annotations

import gc
import itertools
import math
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import torch

from harness.measure import clock
from harness.measure.clock import Timing, TimingProtocol, measure, median_interval
from harness.measure.timers import CpuTimer, CudaTimer

QUIET = TimingProtocol(warmup_calls=3, warmup_seconds=0.0, block_seconds=0.1, min_blocks=10, max_blocks=40)


class FakeTimer:
    """Time passes only inside blocks, as the script says: seconds per call by function, one value a block."""

    def __init__(self, script: dict[Callable[[], object], Iterator[float]]) -> None:
        self.script = script
        self.seconds = 0.0
        self.blocks: list[tuple[Callable[[], object], int, float]] = []

    def now(self) -> float:
        return self.seconds

    def block(self, function: Callable[[], object], calls: int) -> float:
        took = next(self.script[function]) * calls
        self.seconds += took
        self.blocks.append((function, calls, took))
        return took


def a() -> None: ...
def b() -> None: ...


def steady(seconds: float) -> Iterator[float]:
    return itertools.repeat(seconds)


@pytest.fixture(autouse=True)
def _set_aside() -> None:
    """The clock looks for garbage before it measures, and gives back at the end what was set aside."""
    gc.freeze()


@pytest.mark.parametrize("call_seconds", [1e-7, 3e-3, 0.0999, 0.1, 0.7])
def test_a_block_lasts_as_long_as_asked_and_hardly_longer(call_seconds: float) -> None:
    timing = measure({"a": a}, protocol=QUIET, timer=FakeTimer({a: steady(call_seconds)}))["a"]
    lasts = timing.calls_per_block * call_seconds
    assert lasts >= 0.1 * (1 - 1e-12)
    assert lasts <= max(0.1 * clock.MARGIN, call_seconds) + call_seconds


def test_a_misleadingly_short_first_call_does_not_blow_the_block_up() -> None:
    warm, first_sizing, rest = [1e-3] * 3, [1e-9], itertools.repeat(1e-3)
    timer = FakeTimer({a: itertools.chain(warm, first_sizing, rest)})
    timing = measure({"a": a}, protocol=QUIET, timer=timer)["a"]
    assert 100 <= timing.calls_per_block <= 121


def test_blocks_grow_even_if_the_timer_sees_nothing() -> None:
    timer = FakeTimer({a: itertools.chain([0.0] * 5, itertools.repeat(0.01))})
    assert measure({"a": a}, protocol=QUIET, timer=timer)["a"].calls_per_block >= 10


def test_without_a_block_length_every_call_is_a_sample() -> None:
    protocol = TimingProtocol(warmup_calls=1, warmup_seconds=0, block_seconds=0, min_blocks=20, max_blocks=20)
    timing = measure({"a": a}, protocol=protocol, timer=FakeTimer({a: steady(1e-6)}))["a"]
    assert timing.calls_per_block == 1
    assert len(timing.samples) == 20


def test_functions_take_turns_block_by_block() -> None:
    timer = FakeTimer({a: steady(0.01), b: steady(0.02)})
    timings = measure({"a": a, "b": b}, protocol=QUIET, timer=timer)
    rounds = len(timings["a"].samples)
    measured = timer.blocks[-2 * rounds :]
    assert [function for function, *_ in measured] == [a, b] * rounds
    assert [calls for _, calls, _ in measured] == [timings["a"].calls_per_block, timings["b"].calls_per_block] * rounds


def test_samples_are_seconds_per_call_in_order() -> None:
    per_call = [0.010 + 0.001 * index for index in range(10)]
    timer = FakeTimer({a: itertools.chain([0.02] * 5, per_call)})
    protocol = TimingProtocol(warmup_calls=3, warmup_seconds=0, block_seconds=0.1, min_blocks=10, max_blocks=10)
    timing = measure({"a": a}, protocol=protocol, timer=timer)["a"]
    assert timing.samples == pytest.approx(per_call)


def test_stops_as_soon_as_the_interval_is_narrow_enough() -> None:
    timing = measure({"a": a}, protocol=QUIET, timer=FakeTimer({a: steady(0.01)}))["a"]
    assert len(timing.samples) == QUIET.min_blocks
    assert timing.is_precise
    assert timing.half_width == 0


def test_goes_on_while_any_interval_is_too_wide() -> None:
    timer = FakeTimer({a: steady(0.01), b: itertools.cycle([0.01, 0.03])})
    timings = measure({"a": a, "b": b}, protocol=QUIET, timer=timer)
    assert [len(timing.samples) for timing in timings.values()] == [QUIET.max_blocks] * 2
    assert timings["a"].is_precise
    assert not timings["b"].is_precise


def test_noise_that_settles_ends_the_sampling_early() -> None:
    settling = itertools.chain([0.01] * 5, [0.02, 0.005] * 4, itertools.repeat(0.01))
    timing = measure({"a": a}, protocol=QUIET, timer=FakeTimer({a: settling}))["a"]
    assert QUIET.min_blocks < len(timing.samples) < QUIET.max_blocks
    assert timing.is_precise


def test_the_budget_ends_the_sampling_after_a_whole_round() -> None:
    protocol = TimingProtocol(warmup_calls=2, warmup_seconds=0, block_seconds=0.1, budget_seconds=12.0)
    timer = FakeTimer({a: steady(1.0), b: steady(1.0)})
    timings = measure({"a": a, "b": b}, protocol=protocol, timer=timer)
    # Two warm-up calls and one sizing block each are 6 s; rounds of 2 s follow until 12 s are reached.
    assert [len(timing.samples) for timing in timings.values()] == [3, 3]
    assert timer.seconds == 12.0
    assert timings["a"].interval_seconds is None
    assert not timings["a"].is_precise


def test_a_spent_budget_still_gives_one_sample() -> None:
    protocol = TimingProtocol(budget_seconds=0.0)
    timer = FakeTimer({a: steady(5.0)})
    timing = measure({"a": a}, protocol=protocol, timer=timer)["a"]
    assert timing.samples == (5.0,)
    assert len(timer.blocks) == 3, "one call of warm-up, one of sizing, one sample"


@pytest.mark.parametrize(("calls", "seconds", "expected"), [(7, 0.0, 7), (1, 1.0, 10), (10, 0.5, 10)])
def test_warm_up_is_by_count_and_by_time(calls: int, seconds: float, expected: int) -> None:
    protocol = TimingProtocol(warmup_calls=calls, warmup_seconds=seconds, block_seconds=0.1)
    timer = FakeTimer({a: steady(0.1 + 1e-9)})
    timing = measure({"a": a}, protocol=protocol, timer=timer)["a"]
    sizing = 1
    assert len(timer.blocks) - sizing - len(timing.samples) == expected


def test_warm_up_leaves_half_the_budget_and_shares_the_rest() -> None:
    protocol = TimingProtocol(warmup_calls=1000, block_seconds=0.1, budget_seconds=8.0)
    timer = FakeTimer({a: steady(0.5), b: steady(0.5)})
    measure({"a": a, "b": b}, protocol=protocol, timer=timer)
    assert [function for function, *_ in timer.blocks[:8]] == [a] * 4 + [b] * 4


def test_the_interval_is_the_narrowest_that_covers_95_percent() -> None:
    for n in range(6, 80):
        low, high = median_interval([float(index) for index in range(n)]) or (math.nan, math.nan)
        k = int(low) + 1
        assert high == n - k, "as many above as below"

        def missed(k: int, n: int = n) -> float:
            return 2 * sum(math.comb(n, j) for j in range(k)) / 2**n

        assert missed(k) <= 0.05 < missed(k + 1)


def test_too_few_samples_have_no_interval() -> None:
    assert median_interval([1.0, 2.0, 3.0, 4.0, 5.0]) is None
    assert Timing((1.0, 2.0), 1, 0.02, False).half_width == math.inf


def test_statistics_of_known_samples() -> None:
    timing = Timing((4.0, 1.0, 3.0, 2.0, 5.0, 6.0), 7, 0.02, False)
    assert timing.median_seconds == 3.5
    assert timing.min_seconds == 1.0
    assert timing.iqr_seconds == pytest.approx(4.75 - 2.25)
    assert timing.interval_seconds == (1.0, 6.0)
    assert timing.half_width == pytest.approx(2.5 / 3.5)
    assert clock.COVERS == "repetitions"
    assert Timing((2.0,), 1, 0.02, False).iqr_seconds == 0


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_collection_is_off_while_timing_and_restored(enabled: bool) -> None:
    seen = []
    was = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        measure({"a": lambda: seen.append(gc.isenabled())}, protocol=TimingProtocol(1, 0, 0, 2, 2))
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was else gc.disable)()
    assert seen
    assert not any(seen)


def test_garbage_collection_is_restored_after_an_error() -> None:
    def fail() -> None:
        raise RuntimeError("no")

    gc.unfreeze()  # what the tests before have set aside
    assert gc.isenabled()
    with pytest.raises(RuntimeError, match="no"):
        measure({"fail": fail}, protocol=TimingProtocol(1, 0, 0, 2, 2))
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_what_was_set_aside_before_stays_aside() -> None:
    """A fork server sets aside what it has imported: a collection that looked through it would take 0.2 s a cell."""
    gc.freeze()
    try:
        measure({"a": lambda: None}, protocol=TimingProtocol(1, 0, 0, 2, 2))
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


def test_cycles_that_a_function_leaves_are_collected_between_rounds() -> None:
    class Node:
        me: Node

    left: list[weakref.ref[Node]] = []

    def leave_a_cycle() -> None:
        node = Node()
        node.me = node
        left.append(weakref.ref(node))

    measure({"a": leave_a_cycle}, protocol=TimingProtocol(1, 0, 0, 5, 5))
    alive = [ref() is not None for ref in left]
    assert alive == [False] * (len(left) - 1) + [True]


def test_wall_clock_times_exactly_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    nanoseconds = 0

    def busy() -> None:
        nonlocal nanoseconds
        nanoseconds += 250

    monkeypatch.setattr(time, "perf_counter_ns", lambda: nanoseconds)
    assert CpuTimer().block(busy, 8) == pytest.approx(2e-6)
    assert CpuTimer().now() == pytest.approx(2e-6)


def test_real_functions_on_this_machine() -> None:
    x = torch.rand(64, 64)
    protocol = TimingProtocol(warmup_calls=2, warmup_seconds=0, block_seconds=1e-3, min_blocks=6, max_blocks=8)
    timings = measure({"product": lambda: x @ x, "sum": lambda: x + x}, "cpu", protocol)
    for timing in timings.values():
        assert 6 <= len(timing.samples) <= 8
        low, high = timing.interval_seconds or (math.nan, math.nan)
        assert 0 < timing.min_seconds <= low <= timing.median_seconds <= high


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"min_blocks": 0}, "min_blocks"),
        ({"min_blocks": 9, "max_blocks": 8}, "max_blocks"),
        ({"warmup_seconds": -1.0}, "warmup_seconds must not be negative"),
    ],
)
def test_impossible_protocols_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TimingProtocol(**changes)


def test_impossible_measurements_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing to time"):
        measure({})
    with pytest.raises(ValueError, match="cold_l2 needs a CUDA device"):
        measure({"a": a}, "cpu", TimingProtocol(cold_l2=True))
    with pytest.raises(ValueError, match="no timer for the device 'meta'"):
        measure({"a": a}, "meta")


class FakeCuda:
    """Stands for the GPU: a log of what is put on the stream; every kernel takes 3 ms of its clock, evictions 1 s."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.milliseconds = 0.0
        self.waited_for = -math.inf
        self.log: list[str] = []
        gpu = self

        class Event:
            def __init__(self, enable_timing: bool) -> None:
                assert enable_timing
                self.at = math.nan

            def record(self) -> None:
                self.at = gpu.milliseconds
                gpu.log.append("event")

            def synchronize(self) -> None:
                gpu.log.append("synchronize")
                gpu.waited_for = self.at

            def elapsed_time(self, end: Event) -> float:
                assert end.at <= gpu.waited_for, "read before the GPU has come there"
                return end.at - self.at

        class Evictor:
            def zero_(self) -> None:
                gpu.milliseconds += 1000
                gpu.log.append("evict")

        monkeypatch.setattr(torch.cuda, "Event", Event)
        monkeypatch.setattr(torch.cuda, "device", nullcontext)
        monkeypatch.setattr(CudaTimer, "_evictor", Evictor())

    def kernel(self) -> None:
        self.milliseconds += 3
        self.log.append("kernel")


def test_hot_gpu_block_has_one_pair_of_events_and_one_synchronisation(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = FakeCuda(monkeypatch)
    seconds = CudaTimer(torch.device("cuda", 0), cold_l2=False).block(gpu.kernel, 4)
    assert gpu.log == ["event", *["kernel"] * 4, "event", "synchronize"]
    assert seconds == pytest.approx(12e-3)


def test_cold_gpu_block_evicts_before_every_call_and_does_not_time_it(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = FakeCuda(monkeypatch)
    seconds = CudaTimer(torch.device("cuda", 0), cold_l2=True).block(gpu.kernel, 3)
    assert gpu.log == ["evict", "event", "kernel", "event"] * 3 + ["synchronize"]
    assert seconds == pytest.approx(9e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("cold", [False, True])
def test_gpu_functions_are_timed_by_events(cold: bool) -> None:
    small, large = torch.rand(64, 64, device="cuda"), torch.rand(4096, 4096, device="cuda")
    protocol = TimingProtocol(warmup_seconds=0.1, block_seconds=0.01, max_blocks=10, cold_l2=cold)
    timings = measure({"small": lambda: small @ small, "large": lambda: large @ large}, "cuda", protocol)
    assert timings["small"].calls_per_block > timings["large"].calls_per_block
    assert all(len(timing.samples) == 10 and timing.cold_l2 is cold for timing in timings.values())
