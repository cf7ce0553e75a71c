"""The suite robustness: what it disturbs, that it puts everything back, and that its figures say what they rest on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.suites.common.base import to_metrics
from harness.suites.robustness import (
    BITS,
    LOST,
    NOISE,
    Robustness,
    _losing,
    _noise,
    missed,
    paired_loss,
    rounded_weights,
)
from harness.workload import Workload
from reference_impls.api import TrainingMethod, build_method

REGISTRY = load_registry()


def workload(task: str = "digits", neuron: str = "lif") -> Workload:
    return Workload(Cell("robustness", task, neuron, "bptt", "mlp", budget="smoke"), REGISTRY, Path("no data needed"))


def prepared(of: Workload) -> TrainingMethod:
    method = build_method("bptt")
    method.prepare(of.network())
    return method


def stream() -> torch.Generator:
    return torch.Generator().manual_seed(1)


@pytest.mark.parametrize("task", ["digits", "digits-rows", "delayed-xor"])
def test_figures_are_on_the_card_and_clean_error_is_that_of_accuracy(task: str) -> None:
    of = workload(task)
    answer = Robustness(REGISTRY.suite("robustness")).run(of)
    metrics = to_metrics(REGISTRY.suite("robustness"), answer.figures)
    assert set(metrics) == set(REGISTRY.suite("robustness").metrics)
    size = of.budget.test_limit
    for name, metric in metrics.items():
        assert metric.n == size
        assert metric.low is not None
        assert metric.high is not None
        assert metric.low <= metric.value <= metric.high
        if name.endswith("_loss_fraction"):
            error = metrics[name.replace("loss", "error")].value
            assert metric.value == pytest.approx(error - metrics["error_fraction"].value)
    levels = [point[0] for point in answer.series["error_over_noise"].points]
    assert levels == [0.0, *NOISE[of.task_card.input_kind]]
    assert [point[0] for point in answer.series["error_over_lost"].points] == [0.0, *LOST]
    assert [point[0] for point in answer.series["error_over_bits"].points] == [float(bits) for bits in BITS]


def test_a_constant_picture_is_disturbed_once_and_a_sequence_at_every_step() -> None:
    picture = torch.rand(6, 1, 3, 3).expand(4, 6, 1, 3, 3)
    for disturb in (_noise("analog", 0.1), _losing(0.5)):
        x = disturb(picture, stream())
        assert x.stride(0) == 0
        assert not torch.equal(x, picture)
    moving = torch.rand(6, 5, 9).add(0.5)
    kept = _losing(0.5)(moving, stream()) != 0
    assert not torch.equal(kept[0], kept[1])
    assert abs(kept.float().mean() - 0.5) < 0.1


def test_noise_of_events_adds_single_events_where_there_are_none() -> None:
    x = (torch.rand(20, 50, 40, generator=torch.Generator().manual_seed(2)) < 0.1).float() * 3
    noisy = _noise("events", 0.05)(x, stream())
    assert torch.equal(noisy[x > 0], x[x > 0])
    assert set(noisy[x == 0].unique().tolist()) == {0.0, 1.0}
    assert abs(noisy[x == 0].mean() - 0.05) < 0.005


def test_rounded_weights_are_multiples_of_a_scale_and_come_back() -> None:
    of = workload(neuron="plif")
    method = prepared(of)
    before = {name: value.clone() for name, value in method.network.state_dict().items()}
    with rounded_weights(method, 4, of):
        for name, weight in method.network.named_parameters():
            if weight.dim() < 2:
                assert torch.equal(weight, before[name])
                continue
            multiples = weight / (before[name].abs().max() / 7)
            torch.testing.assert_close(multiples, multiples.round(), atol=1e-4, rtol=0)
            assert len(weight.unique()) <= 15
            assert (weight - before[name]).abs().max() <= before[name].abs().max() / 14 + 1e-6
    for name, value in method.network.state_dict().items():
        assert torch.equal(value, before[name])


def test_what_neurons_learn_of_their_own_is_not_rounded_but_gated_layers_are() -> None:
    for neuron, rounded in (("glif", False), ("gru", True)):
        of = workload(neuron=neuron)
        method = prepared(of)
        own = [
            parameter for layer in method.network.neurons() for parameter in layer.parameters() if parameter.dim() > 1
        ]
        assert own
        before = [weight.detach().clone() for weight in own]
        with rounded_weights(method, 3, of):
            changed = [not torch.equal(a, b) for a, b in zip(own, before, strict=True)]
        assert all(changed) is rounded
        assert any(changed) is rounded


def test_the_same_disturbance_meets_every_row() -> None:
    of = workload()
    seen: list[Tensor] = []

    def spy(x: Tensor, random: torch.Generator) -> Tensor:
        seen.append(_noise("analog", 0.1)(x, random))
        return seen[-1]

    for method in (prepared(of), prepared(workload(neuron="if"))):
        missed(method, of, spy)
    half = len(seen) // 2
    assert all(torch.equal(a, b) for a, b in zip(seen[:half], seen[half:], strict=True))


def test_a_paired_loss_counts_discordant_samples() -> None:
    clean = torch.tensor([False] * 90 + [True] * 10)
    same = paired_loss(clean, clean)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    worse = clean.clone()
    worse[:20] = True
    loss = paired_loss(clean, worse)
    assert loss.value == pytest.approx(0.2)
    assert loss.high == pytest.approx(0.2 + 1.959964 * (20 - 4) ** 0.5 / 100, abs=1e-6)
