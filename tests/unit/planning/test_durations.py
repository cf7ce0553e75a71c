"""Estimates of how long a cell takes."""

from __future__ import annotations

from synthetic import record

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.planning.durations import Durations, history_of
from harness.results.record import Record

REGISTRY = load_registry()


def took(seconds: float, neuron: str, method: str, task: str = "digits") -> Record:
    return record(Cell("accuracy", task, neuron, method, "mlp", "eager", budget="quick"), duration_seconds=seconds)


def estimate(history: list[Record], neuron: str, method: str, task: str = "digits") -> float:
    cell = Cell("accuracy", task, neuron, method, "mlp", "eager", budget="quick", seed=3)
    return Durations(history_of(history), REGISTRY).of(cell)


def test_the_most_alike_decide() -> None:
    history = [took(1.0, "lif", "bptt"), took(60.0, "if", "forward-gradient"), took(3.0, "klif", "bptt")]
    assert estimate(history, "klif", "bptt") == 3.0
    assert estimate(history, "lif", "forward-gradient") == 60.0
    assert estimate(history, "plif", "bptt") == 2.0
    assert estimate(history, "lif", "eprop") == 3.0
    assert estimate(history, "lif", "bptt", "fsdd") == REGISTRY.suite("accuracy").typical_seconds


def test_cells_that_did_not_end_well_say_nothing() -> None:
    failed = took(500.0, "lif", "bptt").model_copy(update={"status": "timeout"})
    assert estimate([failed, took(2.0, "if", "bptt")], "lif", "bptt") == 2.0
