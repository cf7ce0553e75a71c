"""time_to_target under a fake timer: what is timed, how often a training is repeated, and when it is noisy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.measure import stopwatch
from harness.measure.clock import TimingProtocol
from harness.suites import time_to_target
from harness.suites.common.base import Answer
from harness.suites.time_to_target import TimeToTarget
from harness.workload import Workload

REGISTRY = load_registry()
CELL = Cell("time_to_target", "digits", "if", "bptt", "mlp", budget="quick")
TARGET = 0.1
"""Not the published target: what is tested here must not depend on how hard that is to reach, and how soon."""
UPDATE_SECONDS, PRETRAINING_SECONDS = 0.01, 5.0
PROTOCOL = TimingProtocol(warmup_calls=1, warmup_seconds=0, block_seconds=0, budget_seconds=3.0)


class FakeTimer:
    """Every call lasts as long as the test says, whatever it does."""

    def __init__(self, seconds: Callable[[int], float]) -> None:
        self.seconds, self.calls = seconds, 0

    def now(self) -> float:
        return 0.0

    def block(self, function: Callable[[], object], calls: int) -> float:
        function()
        self.calls += 1
        return self.seconds(self.calls)


def answer(
    monkeypatch: pytest.MonkeyPatch,
    cell: Cell = CELL,
    seconds: Callable[[int], float] = lambda _: UPDATE_SECONDS,
    protocol: TimingProtocol = PROTOCOL,
) -> Answer:
    """Run the suite; the first watch that is made is the pretraining's, the second the updates'."""
    timers = [FakeTimer(lambda _: PRETRAINING_SECONDS if cell.method == "hsd" else 0.0), FakeTimer(seconds)]
    monkeypatch.setattr(stopwatch, "timer_for", lambda *_, **__: timers.pop(0))
    monkeypatch.setattr(time_to_target, "protocol_for", lambda _budget: protocol)
    workload = Workload(cell, REGISTRY)
    monkeypatch.setattr(Workload, "budget", replace(workload.budget, target_error=TARGET))
    torch.manual_seed(cell.seed)
    return TimeToTarget(REGISTRY.suite("time_to_target")).run(workload)


def test_the_time_is_that_of_the_updates_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    found = answer(monkeypatch)
    figure = found.figures["seconds_to_target"]
    assert figure.value == pytest.approx(UPDATE_SECONDS * found.figures["updates_to_target"].value)
    assert (figure.low, figure.high) == pytest.approx((figure.value, figure.value))
    assert found.details["trainings"] == 1, "narrow at once"
    assert found.noise is None


def test_a_pretraining_counts_and_stands_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = answer(monkeypatch, replace(CELL, method="hsd"))
    whole, before = (found.figures[name].value for name in ("seconds_to_target", "pretraining_seconds"))
    assert before == PRETRAINING_SECONDS
    assert whole > PRETRAINING_SECONDS
    updates_of_epoch = -(
        -len(Workload(CELL, REGISTRY).split.train) // REGISTRY.task("digits").budgets["quick"].batch_size
    )
    epochs = (whole - before) / UPDATE_SECONDS / updates_of_epoch
    assert epochs == pytest.approx(round(epochs))


def test_a_short_training_is_repeated_while_there_is_time_and_the_interval_is_wide(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unsteady = replace(PROTOCOL, relative_half_width=0.001, tolerated_half_width=0.02)

    def seconds(call: int) -> float:
        return UPDATE_SECONDS * (1.1 if call % 2 else 0.9)

    found = answer(monkeypatch, seconds=seconds, protocol=unsteady)
    updates = found.figures["updates_to_target"].value
    assert found.details["trainings"] > 1, "the time is there"
    assert found.details["trainings"] == int(3.0 / (UPDATE_SECONDS * updates))
    assert found.figures["seconds_to_target"].value == pytest.approx(UPDATE_SECONDS * updates, rel=0.01)
    once = answer(monkeypatch, seconds=seconds, protocol=replace(unsteady, budget_seconds=0.0))
    assert once.details["trainings"] == 1
    assert once.figures["seconds_to_target"].half_width > found.figures["seconds_to_target"].half_width
    assert once.noise is not None
    assert once.noise.startswith("Intervals wider than ± 2%: seconds_to_target has ±")
