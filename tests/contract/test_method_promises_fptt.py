"""FPTT's running average and pull, restated over a run of updates, and what it is without them."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.golden import float64_default
from reference_impls.api import build_method, build_network, build_neuron
from reference_impls.surrogate import make_surrogate

T, BATCH, CLASSES, RATE = 5, 4, 3, 0.2
SLOPE = make_surrogate("atan").derivative
TARGET = torch.tensor([0, 1, 2, 1])


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def prepared(rate: float = RATE, **params: Any) -> Any:
    torch.manual_seed(3)
    net = build_network("mlp", (6,), CLASSES, functools.partial(build_neuron, "lif"), hidden=[8])
    with torch.no_grad():
        for parameter in net.parameters():
            parameter *= 3
    method = build_method("fptt", **params)
    method.prepare(net, lambda parameters: torch.optim.SGD(parameters, lr=rate))
    return method


def sequence() -> Tensor:
    return 3 * torch.rand(T, BATCH, 6, generator=torch.Generator().manual_seed(5))


def restated(weights: list[np.ndarray], batches: int, alpha: float, beta: float) -> list[np.ndarray]:
    """One hidden layer, trained step by step: the gradient of a step by hand, then W, lambda and W' in turn."""
    weights = [weight.copy() for weight in weights]
    average, pull = [weight.copy() for weight in weights], [np.zeros_like(weight) for weight in weights]
    for _ in range(batches):
        v, total = np.zeros((BATCH, 8)), np.zeros((BATCH, CLASSES))
        for t, x in enumerate(sequence().numpy()):
            into, into_bias, out, out_bias = weights
            h = 0.5 * v + x @ into.T + into_bias
            s = (h >= 1).astype(float)
            v = h - s
            total = total + s @ out.T + out_bias
            passed = (t + 1) / T
            chances = torch.tensor(total / (t + 1)).softmax(1).numpy()
            wrong = chances - np.eye(CLASSES)[TARGET.numpy()]
            unsure = (chances - 1 / CLASSES) / CLASSES
            error = (passed * wrong + (1 - passed) * unsure) / BATCH / (t + 1)
            signal = (error @ out) * SLOPE(torch.tensor(h - 1)).numpy()
            gradients = [signal.T @ x, signal.sum(0), error.T @ s, error.sum(0)]
            for index, gradient in enumerate(gradients):
                tied = gradient + alpha * (weights[index] - average[index]) - pull[index]
                weights[index] = weights[index] - RATE * tied
                pull[index] = pull[index] - alpha * (weights[index] - average[index])
                average[index] = (1 - beta) * average[index] + beta * weights[index] - beta / alpha * pull[index]
    return weights


@pytest.mark.parametrize(("alpha", "beta"), [(0.1, 0.5), (0.7, 0.2)])
def test_updates_follow_the_equations(alpha: float, beta: float) -> None:
    method = prepared(alpha=alpha, beta=beta)
    before = [parameter.detach().numpy().copy() for parameter in method.network.parameters()]
    for _ in range(3):
        report = method.update(sequence(), TARGET)
    assert report.updates == T
    for start, parameter, expected in zip(
        before, method.network.parameters(), restated(before, 3, alpha, beta), strict=True
    ):
        assert np.abs(expected - start).max() > 1e-3
        np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-9, atol=1e-12)


def test_weights_that_do_not_move_are_not_tied() -> None:
    method = prepared(rate=0.0)
    method.update(sequence(), TARGET)
    for name, parameter in method.network.named_parameters():
        torch.testing.assert_close(method.average[name], parameter.detach())
        assert not method.pull[name].any()


def test_one_part_as_long_as_the_sequence_is_bptt() -> None:
    method = prepared(window=T)
    bptt = build_method("bptt")
    bptt.prepare(method.network)
    found, expected = (one.gradients(sequence(), TARGET) for one in (method, bptt))
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name])


def test_a_state_dict_carries_averages_and_pulls() -> None:
    method, other = prepared(), prepared()
    method.update(sequence(), TARGET)
    other.load_state_dict({name: value.clone() for name, value in method.state_dict().items()})
    found, expected = (one.gradients(sequence(), TARGET) for one in (method, other))
    assert all(torch.equal(gradient, expected[name]) for name, gradient in found.items())
    assert any(pull.any() for pull in other.pull.values())


def test_bad_values_are_named() -> None:
    with pytest.raises(ValueError, match="alpha must be positive"):
        build_method("fptt", alpha=0.0)
    with pytest.raises(ValueError, match="window must be at least 1"):
        build_method("fptt", window=0)
