"""What hybrid coding promises, restated: bursts, layers that learn alone, and an output that decides once."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from harness.golden import float64_default
from harness.measure.activity import count_activity
from reference_impls.api import build_method, build_network, build_neuron
from reference_impls.training.hybrid_coding import first_crossing, post_synaptic

FEATURES, HIDDEN, CLASSES, BATCH = 5, (7, 6), 3, 4


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def prepared(rate: float | None = None, **params: Any) -> Any:
    torch.manual_seed(3)
    make = functools.partial(build_neuron, "if")
    method: Any = build_method("hybrid-coding", **params)
    optimizer = None if rate is None else functools.partial(torch.optim.Adam, lr=rate)
    method.prepare(build_network("mlp", (FEATURES,), CLASSES, make, hidden=list(HIDDEN)), optimizer)
    return method


def batch(T: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    x = 2 * torch.rand((1, BATCH, FEATURES), generator=generator)
    return x.expand(T, BATCH, FEATURES), torch.tensor([0, 1, 2, 1])


def kernel(t: float) -> float:
    scale = 4 ** (4 / 3) / 3
    return scale * (math.exp(-t / 2) - math.exp(-t / 0.5))


def test_the_kernel_starts_at_nothing_and_peaks_at_one() -> None:
    impulse = torch.zeros(12, 1, 1)
    impulse[0] = 1
    assert post_synaptic(impulse).flatten().tolist() == pytest.approx([kernel(t) for t in range(12)], abs=1e-14)
    assert max(kernel(t / 1000) for t in range(3000)) == pytest.approx(1, abs=1e-6)


def test_potentials_are_currents_convolved_with_the_kernel() -> None:
    currents = torch.randn(9, BATCH, CLASSES)
    expected = torch.stack([sum(kernel(t - s) * currents[s] for s in range(t + 1)) for t in range(9)])
    assert torch.allclose(post_synaptic(currents), expected, atol=1e-13)


def test_a_prediction_is_the_restated_network_at_its_first_crossing() -> None:
    """Layer by layer without stopping, then read where the potential first reaches the threshold."""
    method, (x, _) = prepared(v_out=1.5), batch(10)
    with torch.no_grad():
        method.network.readout.weight *= 8
    method.calibrate(x[0])
    z = x
    for block, theta in zip(method.network.layers(), method.thresholds, strict=True):
        v = torch.zeros(BATCH, block.synapse.out_features)
        sent = []
        for step in z:
            v = v + block.synapse(step)
            n = torch.clamp(torch.floor(v / theta), 0, 5)
            v = v - n * theta
            sent.append(n * theta)
        z = torch.stack(sent)
    assert float(z.detach().max()) > method.thresholds[-1], "bursts of several spikes occur"
    potential = torch.stack(
        [sum(kernel(t - s) * method.network.readout(z[s]) for s in range(t + 1)) for t in range(10)]
    )
    decided = first_crossing(potential, 1.5)
    assert len(decided.unique()) > 1, "samples decide at different steps"
    assert torch.allclose(method.predict(x), potential[decided, torch.arange(BATCH)], atol=1e-12)
    for T, found in zip((1, 3, 10), method.read_outs(x, [1, 3, 10]), strict=True):
        at = decided.clamp(max=T - 1)
        assert torch.allclose(found, potential[at, torch.arange(BATCH)], atol=1e-12)


def test_a_sample_that_has_decided_costs_nothing_more() -> None:
    counts = []
    x, _ = batch(40)
    for v_out in (0.1, 1.0, 1e6):
        method = prepared(v_out=v_out)
        method.calibrate(x[0])
        activity = count_activity(method.network, [x], method.predict, method.synapses(), "analog")
        assert not activity.problems()
        counts.append((activity.events, activity.synapses[0].recomputed.multiply_accumulates))
    assert counts == sorted(counts)
    assert counts[0][0] < counts[2][0]
    assert counts[2][1] == 40 * BATCH * FEATURES * HIDDEN[0]


def test_a_layer_learns_from_its_own_error_alone() -> None:
    method, (x, _) = prepared(), batch(8)
    method.calibrate(x[0])
    with torch.no_grad():
        for parameter in method.network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    total, _ = method.layer_errors(x)
    weights = [block.synapse.weight for block in method.network.layers()]
    both = torch.autograd.grad(total, weights)
    first = method.network.layers()[0]
    rates = first.passed_on(first.neuron.run(first.synapse(x)).spikes).mean(0)
    wanted = method.ann.layers()[0].synapse(x[0]).relu()
    (alone,) = torch.autograd.grad(functional.mse_loss(rates, wanted), weights[0])
    assert torch.allclose(both[0], alone, atol=1e-14)
    assert both[0].any()
    assert both[1].any()


def test_the_loss_of_a_decision_is_the_restated_one() -> None:
    method = prepared()
    potential = torch.randn(6, BATCH, CLASSES) * 4
    target, decided = torch.tensor([0, 1, 2, 1]), torch.tensor([1, 5, 2, 3])
    at = [potential[step, sample] for sample, step in enumerate(decided)]
    right = sum(int(row.argmax()) == int(y) for row, y in zip(at, target, strict=True))
    last = sum(int(potential[-1, i].argmax()) == int(y) for i, y in enumerate(target))
    strictness = 1 - min(1.0, right / max(1, last))
    entropy = -sum(float(row.log_softmax(0)[y]) for row, y in zip(at, target, strict=True)) / BATCH
    excess = sum(
        max(0.0, float(row[k]) - 3) for row, y in zip(at, target, strict=True) for k in range(CLASSES) if k != int(y)
    )
    expected = 2 * entropy + 2 * strictness * excess / BATCH
    assert float(method.decision_loss(potential, decided, target)) == pytest.approx(expected)


def test_hidden_layers_learn_first_and_the_output_last() -> None:
    method, (x, target) = prepared(0.01), batch(8)
    method.pretrain(lambda: [(x, target)] * 3, 8)
    stages = []
    for _ in range(12):
        before = [block.synapse.weight.detach().clone() for block in method.network.layers()]
        stages.append(method.stage)
        method.update(x, target)
        moved = [
            not torch.equal(old, block.synapse.weight)
            for old, block in zip(before, method.network.layers(), strict=True)
        ]
        assert moved == [stages[-1] == "hidden"] * 2
    assert stages == ["hidden"] * 6 + ["output"] * 6


def test_a_decision_needs_a_step_to_arrive() -> None:
    method, (x, _) = prepared(), batch(1)
    assert not method.predict(x).any()


def test_bursts_are_counted_as_often_as_they_are_worth() -> None:
    method, (x, target) = prepared(), batch(8)
    method.calibrate(x[0])
    for neuron in method.network.neurons():
        neuron.v_threshold = neuron.reset_amount = 0.05
    for block in method.network.layers():
        block.scale = 0.05
    method.count_spikes = True
    (stage,) = method.accumulate(x, target).stages
    seen: list[float] = []
    with method.network.observed_by(lambda _layer, spikes: seen.append(float(spikes.detach().sum()))):
        method.layer_errors(x)
    assert list(stage.spikes_per_layer or ()) == seen
    assert seen[0] > 8 * BATCH, "more events than one a step and sample"
