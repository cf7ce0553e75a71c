"""The suite of layers: what it answers for every kind of neuron, at sizes small enough for a test."""

from __future__ import annotations

import pytest

from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.catalogue.loading import load_registry
from harness.measure.clock import TimingProtocol
from harness.suites import layers
from harness.suites.common.base import to_metrics
from harness.workload import Workload
from reference_impls.api import UnsupportedError

pytest.importorskip("numba", reason="every layer is timed beside the fused backend")

REGISTRY = load_registry()


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch, set_aside: None) -> None:
    shortest = TimingProtocol(warmup_calls=1, warmup_seconds=0, block_seconds=0, min_blocks=6, max_blocks=6)
    monkeypatch.setattr(layers, "STEPS", (2, 3, 4, 130))
    monkeypatch.setattr(layers, "HEADLINES", {"t16": 2, "t64": 3, "t256": 4, "t2048": 130})
    tiny = {
        "PROTOCOL": shortest,
        "BATCH": 2,
        "BASE_NEURONS": 8,
        "BASE_STEPS": 5,
        "NEURONS": (4, 8),
        "SHD_BATCH": 4,
        "SHD_INPUT": 6,
    }
    for name, value in tiny.items():
        monkeypatch.setattr(layers, name, value)


def ask(neuron: str) -> layers.Answer:
    cell = Cell("layers", neuron=neuron, method=NOT_APPLICABLE)
    suite = layers.Layers(REGISTRY.suite("layers"))
    suite.validate(Workload(cell, REGISTRY))
    return suite.run(Workload(cell, REGISTRY))


@pytest.mark.parametrize("neuron", [pytest.param("psn", marks=pytest.mark.slow), "mpe-psn"])
def test_every_kind_of_neuron_is_timed_over_t_and_n(neuron: str) -> None:
    found = ask(neuron)
    assert set(to_metrics(REGISTRY.suite("layers"), found.figures)) == set(REGISTRY.suite("layers").metrics)
    for name in ("forward_and_backward_seconds", "eager_LIF_seconds", "fused_LIF_seconds", "speedup_over_fused_LIF"):
        assert [x for x, _ in found.series[f"{name}_over_T"].points] == [2, 3, 4, 130]
        assert [x for x, _ in found.series[f"{name}_over_N"].points] == [4, 8]
    assert all(figure.n >= 6 for figure in found.figures.values())


def test_a_speed_up_is_the_ratio_of_the_seconds_beside_it() -> None:
    timing = layers.Timing((2.0, 4.0), 1, 0.03, False)
    turns = layers.Turns(
        {("this", "train"): timing, ("eager LIF", "train"): layers.Timing((6.0, 20.0), 1, 0.03, False)}
    )
    assert turns.speedup("eager LIF", "train").samples == [3.0, 5.0]
    assert turns.speedup("eager LIF", "train").value == 4.0


def test_the_gradients_of_parameters_are_part_of_what_is_timed() -> None:
    cell = Cell("layers", neuron="psn")
    x, upstream = layers.random_input((5, 2, 3), layers.torch.float32)
    run = layers._LayerRun(Workload(cell, REGISTRY).neuron(5), x, upstream)
    shapes = [tuple(gradient.shape) for gradient in run.train() if gradient is not None]
    assert shapes == [(5, 2, 3), (5, 5), (5, 1)]
    assert not run.forward().requires_grad


def test_without_a_fused_lif_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reference_impls.backends.fused_numba.find_spec", lambda _name: None)
    with pytest.raises(UnsupportedError, match="needs Numba"):
        ask("psn")
