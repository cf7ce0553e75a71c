"""The stopwatch: how long work takes that is done once, a training above all, timed call by call.

It reads the same timers as the clock, which repeats what it times and so cannot time a training. The interval covers
repetitions all the same: what the calls' times scatter by says how well their sum would be met again.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

import torch

from harness.measure.clock import CONFIDENCE, LEAST_SAMPLES, garbage_collection_off
from harness.measure.timers import BlockTimer, timer_for

__all__ = ["Stopwatch"]

COLLECT_SECONDS = 1.0
"""Timed work after which garbage is collected, untimed."""
T = TypeVar("T")


class Stopwatch:
    """Times the calls it is given; use it in a ``with`` statement, inside which automatic collection is off.

    Parameters
    ----------
    device : where the work is done.
    block_seconds : calls are put together to blocks of this duration at least, whose scatter is looked at.
    timer : None: the one that fits the device.
    """

    def __init__(self, device: torch.device, block_seconds: float, timer: BlockTimer | None = None) -> None:
        self._timer = timer or timer_for(device, cold_l2=False)
        self._block_seconds = block_seconds
        self._collection = garbage_collection_off()
        self._since_collection = 0.0
        self.calls: list[float] = []
        """Seconds of every call, in their order."""

    def __enter__(self) -> Self:
        self._collect = self._collection.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._collection.__exit__(kind, error, trace)

    def __call__(self, work: Callable[[], T], /) -> T:
        """Time one call and return what it returns."""
        if self._since_collection >= COLLECT_SECONDS:
            self._since_collection = 0.0
            self._collect()
        answers: list[T] = []
        seconds = self._timer.block(lambda: answers.append(work()), 1)
        self.calls.append(seconds)
        self._since_collection += seconds
        return answers[0]

    @property
    def seconds(self) -> float:
        """Return what all calls took together."""
        return math.fsum(self.calls)

    @property
    def half_width(self) -> float:
        """Return half the 95 % interval of `seconds`, relative to it; infinite below six blocks.

        The variance is that of successive differences (von Neumann): what calls cost may grow in the course of a
        training, and that is no noise.
        """
        blocks = self.blocks()
        if len(blocks) < LEAST_SAMPLES or not self.seconds:
            return math.inf
        from scipy.stats import t

        differences = [after - before for before, after in itertools.pairwise(blocks)]
        variance = math.fsum(one * one for one in differences) / (2 * len(differences))
        mean = math.fsum(blocks) / len(blocks)
        return float(t.ppf(0.5 + CONFIDENCE / 2, len(blocks) - 1)) * math.sqrt(variance / len(blocks)) / mean

    def blocks(self) -> tuple[float, ...]:
        """Return the seconds per call of consecutive blocks; calls left over at the end belong to the last one."""
        found: list[list[float]] = [[]]
        for seconds in self.calls:
            if math.fsum(found[-1]) >= self._block_seconds and found[-1]:
                found.append([])
            found[-1].append(seconds)
        if len(found) > 1 and math.fsum(found[-1]) < self._block_seconds:
            left_over = found.pop()
            found[-1] += left_over
        return tuple(math.fsum(block) / len(block) for block in found if block)
