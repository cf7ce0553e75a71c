"""The stopwatch: what it sums, what its interval says, and that it switches collection back on."""

from __future__ import annotations

import gc
import math
import random
from collections.abc import Callable, Iterator

import pytest
import torch

from harness.measure.stopwatch import Stopwatch

CPU = torch.device("cpu")


pytestmark = pytest.mark.usefixtures("set_aside")


class Scripted:
    """A timer whose blocks last as the script says."""

    def __init__(self, seconds: Iterator[float]) -> None:
        self.seconds = seconds

    def now(self) -> float:
        return 0.0

    def block(self, function: Callable[[], object], calls: int) -> float:
        assert calls == 1
        function()
        return next(self.seconds)


def watched(seconds: list[float], block_seconds: float = 0.0) -> Stopwatch:
    with Stopwatch(CPU, block_seconds, Scripted(iter(seconds))) as watch:
        for number, _ in enumerate(seconds):
            assert watch(lambda number=number: number) == number  # type: ignore[misc]
    return watch


def test_calls_add_up_and_give_back_what_they_return() -> None:
    watch = watched([0.1, 0.2, 0.3])
    assert watch.calls == [0.1, 0.2, 0.3]
    assert watch.seconds == pytest.approx(0.6)


def test_short_calls_are_put_together_and_none_is_left_out() -> None:
    watch = watched([0.004] * 12 + [0.001], block_seconds=0.01)
    assert watch.blocks() == pytest.approx([0.004, 0.004, 0.004, (4 * 0.003 + 0.001 + 0.012 - 0.012) / 4], rel=0.3)
    assert len(watch.blocks()) == 4
    assert watched([], block_seconds=0.01).blocks() == ()


def test_fewer_than_six_blocks_have_no_interval() -> None:
    assert watched([0.1] * 5).half_width == math.inf
    assert watched([0.1] * 6).half_width == 0.0


def test_a_cost_that_grows_is_no_noise_and_a_hiccup_is() -> None:
    growing = watched([0.1 + 0.001 * number for number in range(60)])
    assert growing.half_width < 0.005
    hiccup = watched([0.1] * 30 + [3.0] + [0.1] * 29)
    assert hiccup.half_width > 0.3


def test_the_interval_holds_the_true_sum_as_often_as_it_says() -> None:
    generator, calls, held = random.Random(3), 40, 0
    for _ in range(400):
        watch = watched([generator.gauss(0.1, 0.01) for _ in range(calls)])
        held += abs(watch.seconds - 0.1 * calls) <= watch.half_width * watch.seconds
    assert 0.92 <= held / 400 <= 0.98


def test_garbage_waits_while_calls_are_timed() -> None:
    assert gc.isenabled()
    with Stopwatch(CPU, 0.0, Scripted(iter([0.1]))) as watch:
        assert watch(gc.isenabled) is False
    assert gc.isenabled()
