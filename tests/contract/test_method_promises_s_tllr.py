"""S-TLLR's two traces, restated in numpy without autograd, and what it is where one of them is missing."""

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

T, BATCH, CLASSES = 7, 4, 3
SLOPE = make_surrogate("atan").derivative
TARGET = torch.tensor([0, 1, 2, 1])


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def network() -> Any:
    torch.manual_seed(3)
    net = build_network("mlp", (6,), CLASSES, functools.partial(build_neuron, "lif"), hidden=[8, 7])
    with torch.no_grad():
        for parameter in net.parameters():
            parameter *= 3
    return net


def sequence() -> Tensor:
    return 3 * torch.rand(T, BATCH, 6, generator=torch.Generator().manual_seed(5))


def gradients(name: str, net: Any, **params: Any) -> dict[str, Tensor]:
    method = build_method(name, **params)
    method.prepare(net)
    return method.gradients(sequence(), TARGET)


def restated(net: Any, pre: float, post: float, alpha: float, signalled: int) -> list[np.ndarray]:
    """Gradient of every weight and bias, in the order of the network's parameters."""
    maps = [*(block.synapse for block in net.layers()), net.readout]
    weights, biases = ([getattr(one, name).detach().numpy() for one in maps] for name in ("weight", "bias"))
    sums = [(np.zeros_like(w), np.zeros_like(b)) for w, b in zip(weights, biases, strict=True)]
    traces: list[Any] = [0.0] * 3
    after, v, total = [0.0] * 2, [0.0] * 2, np.zeros((BATCH, CLASSES))
    for t, given in enumerate(sequence().numpy()):
        inputs, before, psi = [given], [*after], []
        for layer in range(2):
            h = 0.5 * v[layer] + inputs[-1] @ weights[layer].T + biases[layer]
            psi.append(SLOPE(torch.tensor(h - 1)).numpy())
            inputs.append((h >= 1).astype(float))
            v[layer] = h - inputs[-1]
            after[layer] = post * after[layer] + psi[-1]
        traces = [pre * trace + one for trace, one in zip(traces, inputs, strict=True)]
        total = total + inputs[2] @ weights[2].T + biases[2]
        if t < T - signalled:
            continue
        chances = torch.tensor(total / (t + 1)).softmax(1).numpy()
        error = (chances - np.eye(CLASSES)[TARGET.numpy()]) / BATCH / (t + 1) / signalled
        sums[2][0][...] += error.T @ traces[2]
        sums[2][1][...] += error.sum(0)
        signal = error @ weights[2]
        for layer in (1, 0):
            sums[layer][0][...] += (signal * psi[layer]).T @ traces[layer]
            sums[layer][0][...] += alpha * (signal * before[layer]).T @ inputs[layer]
            sums[layer][1][...] += (signal * psi[layer]).sum(0)
            signal = (signal * psi[layer]) @ weights[layer]
    return [one for pair in sums for one in pair]


@pytest.mark.parametrize(
    ("pre", "post", "alpha", "signalled"), [(0.75, 0.2, -1.0, 5), (0.5, 0.9, 0.4, 2), (0.8, 0.5, -0.2, T)]
)
def test_gradients_are_two_traces_times_the_error_of_the_step(
    pre: float, post: float, alpha: float, signalled: int
) -> None:
    net = network()
    found = gradients("s-tllr", net, lambda_pre=pre, lambda_post=post, alpha_post=alpha, signal_steps=signalled)
    for (name, gradient), expected in zip(found.items(), restated(net, pre, post, alpha, signalled), strict=True):
        assert np.abs(expected).max() > 0, name
        np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-10, atol=1e-14, err_msg=name)


def test_the_non_causal_trace_changes_hidden_weights_alone() -> None:
    net = network()
    causal, full = (gradients("s-tllr", net, alpha_post=alpha) for alpha in (0.0, -1.0))
    changed = {name for name, gradient in full.items() if not torch.equal(gradient, causal[name])}
    assert changed == {name for name in full if name.startswith("blocks") and name.endswith("weight")}


def test_without_traces_it_is_the_spatial_gradient_of_a_single_step() -> None:
    """One step has no past: S-TLLR is BPTT there."""
    net, x = network(), sequence()[:1]
    found = []
    for name in ("s-tllr", "bptt"):
        method = build_method(name)
        method.prepare(net)
        found.append(method.gradients(x, TARGET))
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name])


def test_bad_values_are_named() -> None:
    with pytest.raises(ValueError, match="lambda_pre must lie in"):
        build_method("s-tllr", lambda_pre=1.5)
    with pytest.raises(ValueError, match="signal_steps"):
        build_method("s-tllr", signal_steps=0)
