"""What STDBP promises: first crossings, their exact derivatives, and a simulation that fires at those times.

No code of the authors was found (arXiv 2003.11837): the equations are restated here, potentials are integrated.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.catalogue.cell import Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import load_registry
from harness.golden import float64_default
from harness.measure.activity import count_activity
from reference_impls.api import build_method, build_network, build_neuron
from reference_impls.conversion.first_spike import first_spikes

FEATURES, CLASSES, BATCH = 6, 3, 12
REGISTRY = load_registry()


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def batch(T: int = 1) -> tuple[Tensor, Tensor]:
    """Samples of sixteenths in [0, 1], so that inputs fire at steps; zeros among them."""
    generator = torch.Generator().manual_seed(5)
    x = torch.randint(0, 17, (1, BATCH, FEATURES), generator=generator) / 16
    return x.expand(T, -1, -1), torch.arange(BATCH) % CLASSES


def prepared(updates: int = 0, **params: Any) -> Any:
    torch.manual_seed(3)
    network = build_network("mlp", (FEATURES,), CLASSES, functools.partial(build_neuron, "if"), hidden=[8, 7])
    method = build_method("stdbp", **params)
    method.prepare(network, functools.partial(torch.optim.Adam, lr=0.02))
    for _ in range(updates):
        method.update(*batch())
    return method


def weights(method: Any) -> list[np.ndarray]:
    modules = [*(block.synapse for block in method.network.layers()), method.network.readout]
    assert not any(own.bias.any() for own in modules)
    return [own.weight.detach().numpy() for own in modules]


def test_times_are_first_crossings_of_an_integrated_potential() -> None:
    method, (x, _), dt = prepared(updates=15), batch(), 1e-2
    found = [times.detach().numpy() for times in method.walk(x)]
    assert np.isinf(found[0]).any()
    for below, times, weight in zip(found, found[1:], weights(method), strict=False):
        for sample in range(3):
            inputs = np.isfinite(below[sample])
            crossed = np.full(len(weight), np.inf)
            for t in np.arange(0, method.latest, dt):
                potential = weight[:, inputs] @ np.maximum(0, t - below[sample, inputs])
                crossed[(potential >= 16.0) & np.isinf(crossed)] = t
            expected = times[sample]
            within = expected < method.latest - dt
            assert np.abs(crossed[within] - expected[within]).max() < 2 * dt
            assert np.isinf(crossed[expected > method.latest]).all()


@pytest.mark.parametrize("latest", [None, 2.0])
def test_first_spikes_are_those_of_the_neuron_that_has_golden_vectors(latest: float | None) -> None:
    """Times and gradients, for inputs of which some never come and one sample that has none."""
    generator = torch.Generator().manual_seed(9)
    times = torch.rand((20, 30), generator=generator)
    times = times.where(torch.rand(times.shape, generator=generator) < 0.3, math.inf)
    times[4] = math.inf
    times.requires_grad_()
    weight = (0.3 * torch.randn((17, 30), generator=generator) + 0.1).requires_grad_()
    reference = build_neuron("rel-psp", t_max=latest).spike_times(times, weight)  # type: ignore[operator]
    found = first_spikes(times, weight, 1.0, latest or math.inf)
    fired = reference.isfinite()
    assert torch.equal(found.isfinite(), fired)
    assert 0 < int(fired.sum()) < fired.numel()
    assert torch.allclose(found[fired], reference[fired], rtol=1e-12)
    upstream = torch.randn(reference.shape, generator=generator)[fired]
    for own, expected in zip(
        torch.autograd.grad(found[fired], (times, weight), upstream),
        torch.autograd.grad(reference[fired], (times, weight), upstream),
        strict=True,
    ):
        assert torch.allclose(own, expected, rtol=1e-9, atol=1e-12)


def test_gradients_are_exact() -> None:
    """Of the cross-entropy of negative times, against central differences."""
    method, (x, target) = prepared(updates=10), batch()
    gradients = method.gradients(x, target)
    for name, parameter in method.network.named_parameters():
        if not parameter.requires_grad:
            assert not gradients[name].any()
            continue
        assert gradients[name].any()
        flat, step = parameter.detach().view(-1), 1e-6
        for index in range(0, flat.numel(), 4):
            losses = []
            for sign in (1, -1):
                flat[index] += sign * step
                with torch.no_grad():
                    outputs = method.walk(x)[-1]
                    losses.append(float(torch.nn.functional.cross_entropy(method.logits(outputs), target)))
                flat[index] -= sign * step
            numeric = (losses[0] - losses[1]) / (2 * step)
            assert float(gradients[name].view(-1)[index]) == pytest.approx(numeric, abs=1e-6, rel=1e-5)


def test_weights_and_threshold_scale_together() -> None:
    method, (x, _) = prepared(updates=5), batch()
    before = method.walk(x)
    for neuron in (*method.network.neurons(), method.output):
        neuron.v_threshold *= 3.0
    with torch.no_grad():
        for parameter in method.network.parameters():
            parameter *= 3.0
    for times, then in zip(method.walk(x), before, strict=True):
        assert torch.allclose(times, then)


def test_what_comes_later_is_answered_as_much_later() -> None:
    method, (x, _) = prepared(updates=5), batch()
    times = method.input_times(x)
    outputs = []
    for delay in (0.0, 2.5):
        method.input_times = lambda _x, delay=delay: times + delay
        outputs.append(method.walk(x)[-1])
    within = outputs[0].isfinite() & (outputs[0] < 40)
    assert within.any()
    assert torch.allclose(outputs[1][within], outputs[0][within] + 2.5)


def test_on_the_grid_a_spike_stands_at_the_first_step_not_before_its_time() -> None:
    """Of the first layer, whose inputs fire at steps; and no neuron of any layer fires twice."""
    method, (x, _) = prepared(updates=15), batch()
    emitted: dict[int, Tensor] = {}
    with method.network.observed_by(emitted.__setitem__):
        method.predict(x)
    times = method.walk(x)[1].detach()
    fires = times <= method.latest
    assert torch.equal(emitted[0].sum(0), fires.double())
    assert torch.equal(emitted[0].argmax(0)[fires], times[fires].ceil().long())
    assert emitted[1].sum(0).max() <= 1
    assert method.network.neurons()[0].max_spikes == 1


def test_a_network_without_hidden_layers_in_between_is_read_exactly() -> None:
    """Where spikes fall on steps, the outputs of the simulation are those of continuous time."""
    method, (x, _) = prepared(), batch()
    first = method.network.layers()[0].synapse
    with torch.no_grad():
        first.weight.copy_(torch.eye(8, FEATURES) * 16)  # every input makes one neuron fire a step later
        method.network.layers()[1].synapse.weight.copy_(torch.eye(7, 8) * 16)
    exact = method.walk(x)
    assert torch.equal(exact[2].isfinite(), exact[0].isfinite().new_ones(7)[None] & (exact[2] < 99))
    assert torch.allclose(exact[2][:, :FEATURES], exact[0] + 2)
    assert torch.allclose(method.predict(x), method.logits(exact[-1]), atol=1e-9)


def test_counters_see_one_spike_a_neuron_at_most() -> None:
    method, (x, _) = prepared(updates=15), batch()
    seen = count_activity(method.network, [x], method.predict, method.synapses(), "analog")
    assert all(0 < layer.events <= layer.neurons * BATCH for layer in seen.layers)
    events = [int((x > 0).sum()), *(layer.events for layer in seen.layers)]
    assert [synapse.cached.accumulates for synapse in seen.synapses] == [
        n * fan_out for n, fan_out in zip(events, (8, 7, CLASSES), strict=True)
    ]
    assert seen.problems() == ()


def test_the_answer_is_there_when_the_first_output_fires() -> None:
    method, (x, _) = prepared(updates=15), batch()
    found = method.spike_times(x)
    outputs = method.walk(x)[-1]
    assert torch.allclose(found.latency * 16, outputs.amin(1).clamp(max=48))
    assert torch.equal(found.logits.argmax(1), outputs.argmin(1))
    assert (found.shares[1] <= 1).all()


def test_says_what_it_cannot_train() -> None:
    sentence = "stdbp trains fully connected layers; conv has convolutions."
    assert why_unsupported(Cell("accuracy", "digits", "if", "stdbp", "conv"), REGISTRY) == sentence
    sentence = "anytime is asked of methods that are 'anytime'; stdbp is not."
    assert why_unsupported(Cell("anytime", "digits", "if", "stdbp", "mlp"), REGISTRY) == sentence
    conv = build_network("conv", (1, 8, 8), 3, functools.partial(build_neuron, "if"), channels=[2])
    with pytest.raises(ValueError, match="fully connected"):
        build_method("stdbp").prepare(conv)
    with pytest.raises(ValueError, match="window"):
        build_method("stdbp", window=50)
