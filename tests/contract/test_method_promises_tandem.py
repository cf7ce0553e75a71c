"""What tandem learning promises, restated as published: counts forward, an ANN's gradient back, layer by layer."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.golden import float64_default
from harness.measure.activity import count_activity
from reference_impls.api import build_method, build_network, build_neuron

FEATURES, HIDDEN, CLASSES, BATCH, T = 5, (7, 6), 3, 4, 16
Array = NDArray[Any]


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def prepared(rate: float | None = None, **params: Any) -> Any:
    torch.manual_seed(3)
    make = functools.partial(build_neuron, "if")
    method: Any = build_method("tandem", **params)
    optimizer = None if rate is None else functools.partial(torch.optim.Adam, lr=rate)
    method.prepare(build_network("mlp", (FEATURES,), CLASSES, make, hidden=list(HIDDEN)), optimizer)
    return method


def batch(steps: int = T) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    x = 2 * torch.rand((1, BATCH, FEATURES), generator=generator)
    return x.expand(steps, BATCH, FEATURES), torch.tensor([0, 1, 2, 1])


def maps(method: Any) -> list[tuple[Array, Array]]:
    network = method.network
    modules = [*[block.synapse for block in network.layers()], network.readout]
    return [(module.weight.detach().numpy(), module.bias.detach().numpy()) for module in modules]


def counted(method: Any, image: Array, steps: int) -> tuple[list[Array], list[Array]]:
    """Counts c and thresholds theta of every layer as published: theta = P / T, bias / T, the image at step 1 only."""
    theta = [threshold / steps for threshold in method.thresholds]
    sent = np.zeros((steps, *image.shape))
    sent[0] = image
    counts = []
    for (weight, bias), v in zip(maps(method)[:-1], theta, strict=True):
        membrane, last = np.zeros((len(image), len(bias))), np.zeros((len(image), len(bias)))
        emitted = []
        for step in sent:
            membrane = membrane + step @ weight.T + bias / steps - last * v
            last = (membrane >= v).astype(float)
            emitted.append(last)
        counts.append(np.sum(emitted, 0))
        sent = np.stack(emitted) * v
    return counts, [np.array(v) for v in theta]


@pytest.mark.parametrize("steps", [4, 8, 32])
def test_counts_are_those_of_the_published_form(steps: int) -> None:
    """A power of two, so that what is multiplied by T here is exactly what is divided by T there."""
    method, (x, _) = prepared(), batch(steps)
    method.calibrate(x[0])
    expected, theta = counted(method, x[0].numpy(), steps)
    for found, count, v in zip(method.counts(x[0], steps, 2), expected, theta, strict=True):
        assert np.allclose(found.numpy(), count * v, atol=1e-12)
        assert count.any()
    weight, bias = maps(method)[-1]
    assert np.allclose(method.predict(x).numpy(), expected[-1] * theta[-1] @ weight.T + bias, atol=1e-12)


def test_the_gradient_is_the_anns_at_the_counts() -> None:
    method, (x, target) = prepared(), batch()
    method.calibrate(x[0])
    counts, theta = counted(method, x[0].numpy(), T)
    (w1, b1), (w2, b2), (w3, b3) = maps(method)
    image = x[0].numpy()
    c1, c2 = counts[0] * theta[0], counts[1] * theta[1]
    out = c2 @ w3.T + b3
    p = np.exp(out) / np.exp(out).sum(1, keepdims=True)
    by_out = (p - np.eye(CLASSES)[target.numpy()]) / BATCH
    by_2 = (by_out @ w3) * (c1 @ w2.T + b2 > 0)
    by_1 = (by_2 @ w2) * (image @ w1.T + b1 > 0)
    found = method.gradients(x, target)
    assert np.allclose(found["readout.weight"].numpy(), by_out.T @ c2, atol=1e-12)
    assert np.allclose(found["blocks.1.synapse.weight"].numpy(), by_2.T @ c1, atol=1e-12)
    assert np.allclose(found["blocks.0.synapse.weight"].numpy(), by_1.T @ image, atol=1e-12)
    assert np.allclose(found["blocks.0.synapse.bias"].numpy(), by_1.sum(0), atol=1e-12)
    assert by_1.any()


def test_the_first_layer_counts_its_activation_in_thresholds() -> None:
    """All charge is there at step 1, but for the bias: c = floor(a / theta), up to T."""
    method, (x, _) = prepared(), batch()
    with torch.no_grad():
        method.network.layers()[0].synapse.bias.zero_()
    method.calibrate(x[0])
    v = method.thresholds[0] / T
    a = method.network.layers()[0].synapse(x[0]).relu()
    assert torch.equal((method.counts(x[0], T, 1)[0] / v).round(), (a / v).floor().clamp(max=T))


def test_layers_are_converted_one_after_the_other() -> None:
    method, (x, target) = prepared(0.01), batch()
    method.pretrain(lambda: [(x, target)] * 3, 8)
    converted = []
    for _ in range(12):
        report = method.update(x, target)
        converted.append(int(report.counters["converted"]))
    assert converted == [1] * 6 + [2] * 6


def test_unconverted_layers_are_the_anns() -> None:
    method, (x, target) = prepared(0.01), batch()
    method.pretrain(lambda: [(x, target)] * 3, 8)
    assert method.converted == 1
    with torch.no_grad():
        hybrid = method.tandem_logits(x[0], T)
        z = method.network.layers()[1].synapse(method.counts(x[0], T, 1)[0]).relu()
        assert torch.equal(hybrid, method.network.readout(z))


def test_frozen_layers_stay_while_those_above_learn() -> None:
    method, (x, target) = prepared(0.01, freeze=True), batch()
    method.pretrain(lambda: [(x, target)] * 3, 8)
    gradients = method.gradients(x, target)
    assert not gradients["blocks.0.synapse.weight"].any()
    assert gradients["blocks.1.synapse.weight"].any()
    assert prepared().gradients(x, target)["blocks.0.synapse.weight"].any()


def test_the_image_costs_once_however_many_steps() -> None:
    method = prepared()
    method.calibrate(batch(1)[0][0])
    work = {}
    for steps in (4, 16):
        x, _ = batch(steps)
        activity = count_activity(method.network, [x], method.predict, method.synapses(), "analog")
        work[steps] = activity.synapses[0].recomputed.multiply_accumulates
        assert not activity.problems()
    assert work[4] == work[16] == BATCH * FEATURES * HIDDEN[0]


def test_progress_travels_in_the_state() -> None:
    method, (x, target) = prepared(0.01), batch()
    method.pretrain(lambda: [(x, target)] * 3, 8)
    for _ in range(7):
        method.update(x, target)
    fresh = prepared(0.01)
    fresh.load_state_dict(method.state_dict())
    assert (fresh.converted, fresh.done, fresh.thresholds) == (2, 7, method.thresholds)
    assert torch.equal(fresh.predict_ann(x), method.predict_ann(x))
