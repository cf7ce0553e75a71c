"""Timers: how long a block of calls takes on a CPU or on a GPU, everything that the calls started included.

What the clock and the stopwatch read the time from. Must not know why anything is timed.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Protocol

import torch

__all__ = ["BlockTimer", "CpuTimer", "CudaTimer", "Function", "timer_for"]

Function = Callable[[], object]


class BlockTimer(Protocol):
    """Times blocks of calls; tests put their own in its place."""

    def now(self) -> float:
        """Return seconds of a clock that never steps back; warm-up and budget go by it."""
        ...

    def block(self, function: Function, calls: int) -> float:
        """Return the seconds that `calls` calls of `function` take, everything they started included."""
        ...


class CpuTimer:
    """Wall clock around calls that are done when they return."""

    def now(self) -> float:
        """Return the monotonic clock's seconds."""
        return time.perf_counter_ns() * 1e-9

    def block(self, function: Function, calls: int) -> float:
        """Time a plain loop; work that another call left on a GPU is waited for first."""
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        start = time.perf_counter_ns()
        for _ in range(calls):
            function()
        return (time.perf_counter_ns() - start) * 1e-9


class CudaTimer:
    """CUDA events on the current stream, with one synchronisation at the end of a block.

    With a hot cache one pair of events spans the block, gaps between kernels included. With a cold one every call
    has its own pair, after an eviction of L2 that is not timed; the launch of a short call then hides behind the
    eviction, so the two are different figures.
    """

    def __init__(self, device: torch.device, cold_l2: bool) -> None:
        self.device = device
        self.cold_l2 = cold_l2

    def now(self) -> float:
        """Return the monotonic clock's seconds."""
        return time.perf_counter_ns() * 1e-9

    def block(self, function: Function, calls: int) -> float:
        """Time by events, in the GPU's own clock."""
        with torch.cuda.device(self.device):
            pairs = self._cold(function, calls) if self.cold_l2 else self._hot(function, calls)
            pairs[-1][1].synchronize()
            return sum(start.elapsed_time(end) for start, end in pairs) * 1e-3

    def _hot(self, function: Function, calls: int) -> list[tuple[torch.cuda.Event, torch.cuda.Event]]:
        start, end = _event_pair()
        start.record()
        for _ in range(calls):
            function()
        end.record()
        return [(start, end)]

    def _cold(self, function: Function, calls: int) -> list[tuple[torch.cuda.Event, torch.cuda.Event]]:
        pairs = [_event_pair() for _ in range(calls)]
        for start, end in pairs:
            self._evictor.zero_()
            start.record()
            function()
            end.record()
        return pairs

    @functools.cached_property
    def _evictor(self) -> torch.Tensor:
        """Twice the size of L2: writing it leaves nothing else in the cache."""
        size = torch.cuda.get_device_properties(self.device).L2_cache_size
        return torch.empty(2 * size, dtype=torch.int8, device=self.device)


def _event_pair() -> tuple[torch.cuda.Event, torch.cuda.Event]:
    return torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)


def timer_for(device: torch.device, cold_l2: bool) -> BlockTimer:
    """Return the timer of `device`.

    Raises
    ------
    ValueError
        If no timer fits the device, or a cold cache is asked for where it cannot be made.
    """
    if device.type == "cuda":
        return CudaTimer(device, cold_l2)
    if device.type != "cpu":
        raise ValueError(f"no timer for the device {str(device)!r}; the clock knows cpu and cuda")
    if cold_l2:
        raise ValueError("cold_l2 needs a CUDA device: on a CPU the clock measures with warm caches")
    return CpuTimer()
