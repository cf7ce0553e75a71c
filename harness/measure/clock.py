"""The clock: how long functions take, measured alike for the leaderboard, asv and pytest-benchmark.

Functions that are compared take turns block by block in one process, so that a drift of clock rate or temperature
hits all alike; every sample is kept. Must not know what the functions do.
"""

from __future__ import annotations

import gc
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from harness.measure.timers import BlockTimer, Function, timer_for

__all__ = [
    "CLOCK_VERSION",
    "COVERS",
    "Timing",
    "TimingProtocol",
    "garbage_collection_off",
    "measure",
    "median_interval",
    "warm_up",
]

CLOCK_VERSION = 1
"""A new way of measuring starts a new series: raise this with every change that can move a figure."""

COVERS = "repetitions"
"""What the interval of a `Timing` covers: one process on one machine, not seeds, days or machines."""

CONFIDENCE = 0.95
LEAST_SAMPLES = 6
"""Fewer have no interval."""
MARGIN = 1.2
"""Blocks are sized this much longer than asked for, so that a lucky block still lasts long enough."""
LARGEST_GROWTH = 10.0
"""Block sizes grow at most this fast while they are sought: a first call may be misleadingly short."""


@dataclass(frozen=True, slots=True)
class TimingProtocol:
    """How to measure; the defaults are the rule for published figures, a quick preset asks for less.

    Parameters
    ----------
    warmup_calls, warmup_seconds : warm-up of each function lasts for both at least.
    block_seconds : least duration of a block; the number of calls is chosen for it. 0: a block is one call.
    min_blocks, max_blocks : blocks of each function, at least and at most.
    relative_half_width : enough is enough when half the interval of every median is below this share of it.
    tolerated_half_width : a figure whose interval is wider than this when sampling has ended is too noisy to be
        ranked. More than `relative_half_width`, because a ratio is noisier than what it is made of.
    budget_seconds : for all functions together. Half of it at most goes into warm-up (a function is called once
        at least); when it is spent the round is finished and sampling stops, one block of each at least being
        taken, even short of `min_blocks`.
    cold_l2 : on a GPU, evict the L2 cache before every call; the eviction is not timed.
    """

    warmup_calls: int = 10
    warmup_seconds: float = 1.0
    block_seconds: float = 0.1
    min_blocks: int = 10
    max_blocks: int = 100
    relative_half_width: float = 0.02
    tolerated_half_width: float = 0.05
    budget_seconds: float = 60.0
    cold_l2: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.min_blocks <= self.max_blocks:
            raise ValueError(f"need 1 <= min_blocks <= max_blocks, got {self.min_blocks} and {self.max_blocks}")
        for name in ("warmup_calls", "warmup_seconds", "block_seconds", "relative_half_width", "budget_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one call takes."""

    samples: tuple[float, ...]
    """Seconds per call, one sample a block, in the order they were taken."""
    calls_per_block: int
    relative_half_width: float
    """What was asked for; see `is_precise`."""
    cold_l2: bool

    @property
    def median_seconds(self) -> float:
        """Return the median."""
        return statistics.median(self.samples)

    @property
    def min_seconds(self) -> float:
        """Return the shortest sample: an extra, never the headline."""
        return min(self.samples)

    @property
    def iqr_seconds(self) -> float:
        """Return the interquartile range (0 for a single sample)."""
        if len(self.samples) == 1:
            return 0.0
        lower, _, upper = statistics.quantiles(self.samples, n=4, method="inclusive")
        return upper - lower

    @property
    def interval_seconds(self) -> tuple[float, float] | None:
        """Return the 95 % interval of the median, which covers repetitions; None below six samples."""
        return median_interval(self.samples)

    @property
    def half_width(self) -> float:
        """Return half the interval, relative to the median; infinite where there is none."""
        interval, median = self.interval_seconds, self.median_seconds
        if interval is None:
            return math.inf
        low, high = interval
        return (high - low) / 2 / median if median > 0 else math.inf

    @property
    def is_precise(self) -> bool:
        """Whether the interval became as narrow as was asked for before the budget or the blocks ran out."""
        return self.half_width <= self.relative_half_width


def median_interval(samples: Sequence[float]) -> tuple[float, float] | None:
    """Return a distribution-free interval that holds the median with at least 95 %, or None if there is none.

    The k-th smallest and k-th largest of n samples miss the median with probability 2 P[Bin(n, 1/2) < k]; k is the
    largest that keeps this below 5 %, which takes at least six samples.
    """
    from scipy.stats import binom

    k = int(binom.ppf((1 - CONFIDENCE) / 2, len(samples), 0.5))
    if k == 0:
        return None
    ordered = sorted(samples)
    return ordered[k - 1], ordered[-k]


def measure(
    functions: Mapping[str, Function],
    device: torch.device | str = "cpu",
    protocol: TimingProtocol | None = None,
    timer: BlockTimer | None = None,
) -> dict[str, Timing]:
    """Time `functions`, taking turns: a block of each in order, then the next round.

    Parameters
    ----------
    functions : by name; called without arguments. On a GPU they must leave their work on the current stream.
    device : where they work.
    protocol : how; None: the default.
    timer : None: the one that fits the device.

    Returns
    -------
    A `Timing` under each name, all with the same number of samples.
    """
    if not functions:
        raise ValueError("nothing to time: give at least one function")
    protocol = protocol or TimingProtocol()
    timer = timer or timer_for(torch.device(device), protocol.cold_l2)
    start = timer.now()
    with garbage_collection_off() as collect:
        for index, function in enumerate(functions.values(), start=1):
            warm_up(timer, function, protocol, start + protocol.budget_seconds / 2 * index / len(functions))
        calls = {name: _calls_per_block(timer, function, protocol) for name, function in functions.items()}
        samples: dict[str, list[float]] = {name: [] for name in functions}
        for _ in range(protocol.max_blocks):
            collect()
            for name, function in functions.items():
                samples[name].append(timer.block(function, calls[name]) / calls[name])
            timings = {
                name: Timing(tuple(taken), calls[name], protocol.relative_half_width, protocol.cold_l2)
                for name, taken in samples.items()
            }
            rounds = len(next(iter(samples.values())))
            if rounds >= protocol.min_blocks and all(timing.is_precise for timing in timings.values()):
                break
            if timer.now() - start >= protocol.budget_seconds:
                break
    return timings


def warm_up(timer: BlockTimer, function: Function, protocol: TimingProtocol, deadline: float) -> None:
    """Call until both count and time are reached, or the deadline: lazy work, autotuning, clock rates."""
    start, calls = timer.now(), 0
    while True:
        timer.block(function, 1)
        calls, now = calls + 1, timer.now()
        if now >= deadline or (calls >= protocol.warmup_calls and now - start >= protocol.warmup_seconds):
            return


def _calls_per_block(timer: BlockTimer, function: Function, protocol: TimingProtocol) -> int:
    """Return how many calls make a block of at least the asked duration."""
    calls = 1
    while (seconds := timer.block(function, calls)) < protocol.block_seconds:
        wanted = MARGIN * protocol.block_seconds / seconds if seconds > 0 else math.inf
        calls = max(calls + 1, math.ceil(calls * min(wanted, LARGEST_GROWTH)))
    return calls


@contextmanager
def garbage_collection_off() -> Iterator[Callable[[], object]]:
    """Switch automatic collection off; yields a function that collects what has become garbage since.

    It is called between rounds: cycles left behind would otherwise hold their tensors until the end. What exists
    already is set aside, so that a collection costs next to nothing; for good where something was set aside before, as
    in a cell, whose next collection would look through all that the fork server has imported.
    """
    was_enabled, for_good = gc.isenabled(), gc.get_freeze_count() > 0
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield gc.collect
    finally:
        if not for_good:
            gc.unfreeze()
        if was_enabled:
            gc.enable()
