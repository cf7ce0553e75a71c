"""The suites of whole training steps and of speed against density, at sizes small enough for a test."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.catalogue.loading import load_registry
from harness.execute.hyper_parameters import hyper_parameters
from harness.measure.clock import TimingProtocol
from harness.suites import crossover, training
from harness.suites.common.base import Answer, DivergedError, to_metrics
from harness.workload import Workload
from reference_impls.api import UnsupportedError
from reference_impls.libraries import build_peer
from reference_impls.neurons.lif import LIF
from reference_impls.peer import Layer, TorchPeer
from reference_impls.peer_steps import Maps, StepTask, prepare_step
from reference_impls.requirements import why_missing

pytest.importorskip("numba", reason="events are listed and added up by Numba's kernels")

REGISTRY = load_registry()
SHORTEST = TimingProtocol(warmup_calls=1, warmup_seconds=0, block_seconds=0, min_blocks=6, max_blocks=6)
TORCH_ROWS = [
    pytest.param(name, marks=[pytest.mark.slow] * (name == "spikeboard-lif-fused"))
    for name, row in REGISTRY.peers.items()
    if row.capabilities.framework == "torch" and name != "spikeboard-lif-compiled"  # minutes of compiling
]


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch, set_aside: None) -> None:
    for name, value in {"PROTOCOL": SHORTEST, "BATCH": 16, "SETTLING_UPDATES": 3}.items():
        monkeypatch.setattr(training, name, value)
    sizes = (crossover.Size(8, 30, 5), crossover.Size(20, 7, 12))
    for name, value in {"PROTOCOL": SHORTEST, "SIZES": sizes, "DENSITIES": (0.05, 0.4)}.items():
        monkeypatch.setattr(crossover, name, value)


def workload(row: str, topology: str = "mlp", task: str = "digits") -> Workload:
    cell = Cell("training", task, row, "bptt", topology, NOT_APPLICABLE, budget="smoke")
    return Workload(cell, REGISTRY)


def ask(row: str) -> Answer:
    suite = training.Training(REGISTRY.suite("training"))
    suite.validate(workload(row))
    return suite.run(workload(row))


def skip_without(row: str) -> None:
    missing = why_missing(row, REGISTRY.peers[row].capabilities.requires)
    if missing is not None:
        pytest.skip(missing)


@pytest.mark.parametrize("row", TORCH_ROWS)
def test_a_row_is_timed_and_its_parity_stated(row: str) -> None:
    skip_without(row)
    found = ask(row)
    metrics = to_metrics(REGISTRY.suite("training"), found.figures)
    missing = why_missing("spikingjelly-lif", REGISTRY.peers["spikingjelly-lif"].capabilities.requires)
    without = {"speedup_over_spikingjelly"} if missing else set()
    assert set(metrics) == set(REGISTRY.suite("training").metrics) - without
    assert metrics["loss_difference"].value <= 1e-12
    assert metrics["gradient_difference"].value <= (1e-12 if row.startswith("spik") else 1e-7)
    assert metrics["speedup_over_eager"].n >= 6
    assert found.details["parity_judged_in"] == "float64"
    assert found.details["network"] == "64-64-10"
    assert ("not installed" in str(found.details["baseline"])) == bool(missing)
    assert 0 < found.details["input_density"] < 1


def test_a_constant_current_is_drawn_as_spikes_of_the_same_mean() -> None:
    of = workload("spikeboard-lif")
    x, labels = training._batch(of, 0, torch.Generator().manual_seed(0))
    current = of.task.encode(of.split.train.inputs[:16].float()).flatten(2)
    assert set(x.unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(x[0], x[1])
    assert float(x.mean()) == pytest.approx(float(current.mean()), rel=0.1)
    assert torch.equal(labels, of.split.train.labels[:16])


def test_events_stay_as_they_are() -> None:
    x, _ = training._batch(workload("spikeboard-lif", task="digits-events"), 0, torch.Generator())
    expected = workload("spikeboard-lif", task="digits-events")
    assert torch.equal(x, expected.task.encode(expected.split.train.inputs[:16].float()).flatten(2))


class _Slower(TorchPeer):
    """Decays more slowly than its card says."""

    def layer(self, like: Tensor) -> Layer:
        return LIF(tau=3.0)


def test_another_step_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    built = build_peer
    monkeypatch.setattr(training, "build_peer", lambda name: _Slower() if name == "spikeboard-lif" else built(name))
    monkeypatch.setattr(training, "measure", lambda *_: pytest.fail("it was timed"))
    with pytest.raises(
        DivergedError, match=r"is not that of our network in its convention: its (loss|gradient) differs"
    ):
        ask("spikeboard-lif")


def test_differences_are_relative_and_judged_by_the_number_format() -> None:
    reference = training.Stepped(2.0, (torch.tensor([3.0, 4.0]), torch.zeros(2)))
    found = training.Stepped(2.002, (torch.tensor([3.0, 4.05]), torch.tensor([0.0, 1e-3])))
    single = training.difference_of(found, reference, torch.float32)
    assert single.loss == pytest.approx(1e-3)
    assert single.gradient == pytest.approx(0.01, rel=1e-3)
    assert training.difference_of(reference, reference, torch.float64).problem() is None
    exact = training.difference_of(found, reference, torch.float64)
    assert "its loss differs by 1.0e-03 of the reference's in float64" in str(exact.problem())
    lost = training.Difference(float("nan"), 0.0, torch.float32)
    assert lost.problem() is not None


def test_what_cannot_be_compared_is_refused_in_words() -> None:
    suite = training.Training(REGISTRY.suite("training"))
    for refused, words in (
        (workload("spikeboard-lif", "conv"), "fully connected networks"),
        (workload("lif"), "the suite throughput times a training step of any neuron"),
    ):
        with pytest.raises(UnsupportedError, match=words):
            suite.validate(refused)


def test_a_network_that_is_not_written_in_torch_is_refused() -> None:
    class Elsewhere:
        """Another framework's."""

    task = StepTask(torch.zeros(1, 1, 1), torch.zeros(1, dtype=torch.int64), Maps((), ()))
    with pytest.raises(UnsupportedError, match="no training step of Elsewhere is written"):
        prepare_step(Elsewhere(), task)  # type: ignore[arg-type]


def test_a_record_says_what_the_row_rests_on() -> None:
    found = hyper_parameters(workload("spikeboard-lif-fused"))
    assert found["neuron"]["backend"] == "fused"
    assert found["method"]["loss"] == "rate_ce"
    assert found["topology"]["hidden"] == [64]


def test_a_step_that_is_timed_moves_nothing() -> None:
    weights = Maps((torch.randn(6, 4), torch.randn(3, 6)), (torch.randn(6), torch.randn(3)))
    task = StepTask((torch.rand(5, 7, 4) < 0.5).float(), torch.arange(7) % 3, weights)
    for row in ("spikeboard-lif", "spikeboard-lif-events"):
        step = prepare_step(build_peer(row), task)
        first = step.answer()
        for _ in range(3):
            step.train()
        second = step.answer()
        assert first.loss == second.loss
        assert all(torch.equal(*pair) for pair in zip(first.gradients, second.gradients, strict=True))
        assert any(gradient.any() for gradient in first.gradients)


def crossover_answer(row: str) -> Answer:
    cell = Cell("crossover", neuron=row, backend=NOT_APPLICABLE)
    suite = crossover.Crossover(REGISTRY.suite("crossover"))
    suite.validate(Workload(cell, REGISTRY))
    return suite.run(Workload(cell, REGISTRY))


def test_speed_is_drawn_against_density_for_every_size_and_direction() -> None:
    found = crossover_answer("spikeboard-lif-events")
    assert set(to_metrics(REGISTRY.suite("crossover"), found.figures)) == set(REGISTRY.suite("crossover").metrics)
    assert set(found.series) == {
        f"{direction}_speedup_{size}" for direction in ("forward", "gradient") for size in ("30_to_5", "7_to_12")
    }
    for series in found.series.values():
        assert [density for density, _ in series.points] == [0.05, 0.4]
        assert all(speedup > 0 for _, speedup in series.points)


def test_only_event_driven_rows_have_a_crossover() -> None:
    with pytest.raises(UnsupportedError, match="is asked of spikeboard-lif-events"):
        crossover_answer("spikeboard-lif-fused")


def test_other_sums_are_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    dense = crossover.functional.linear
    monkeypatch.setattr(crossover, "event_linear", lambda x, weight, bias, *_: 1.01 * dense(x, weight, bias))
    with pytest.raises(DivergedError, match=r"forward of 30_to_5 at 5\.0% differs from the dense one"):
        crossover_answer("spikeboard-lif-events")


@pytest.mark.parametrize(
    ("speedups", "expected"),
    [
        ({0.01: 4.0, 0.1: 2.0, 0.5: 1.5}, 1.0),
        ({0.01: 0.9, 0.1: 2.0}, 0.01),
        ({0.01: 2.0, 0.1: 1.0, 0.5: 0.2}, 0.1),
        ({0.01: 4.0, 0.04: 0.25}, 0.02),
    ],
)
def test_a_crossover_is_where_the_line_falls_to_one(speedups: Mapping[float, float], expected: float) -> None:
    assert crossover.crossover_of(list(speedups.items())) == pytest.approx(expected)
