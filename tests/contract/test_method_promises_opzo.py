"""What OPZO promises: its recursion restated without autograd, and feedback weights that become the Jacobian."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.golden import float64_default
from reference_impls.api import build_method, build_network, build_neuron
from reference_impls.surrogate import make_surrogate, smooth_spikes

FEATURES, CLASSES, BATCH, T = 6, 3, 4, 5
SLOPE = make_surrogate("atan").derivative
ALPHA, MOMENTUM = 0.2, 0.9


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def network() -> Any:
    torch.manual_seed(3)
    net = build_network("mlp", (FEATURES,), CLASSES, functools.partial(build_neuron, "lif"), hidden=[8, 7])
    with torch.no_grad():
        for parameter in net.parameters():
            parameter *= 3
    return net


def prepared(net: Any, **params: Any) -> Any:
    method = build_method("opzo", **params)
    method.prepare(net)
    return method


def sequence() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return 3 * torch.rand((T, BATCH, FEATURES), generator=generator), torch.tensor([0, 1, 2, 1])


@pytest.mark.parametrize("antithetic", [True, False])
def test_the_recursion_restated(antithetic: bool) -> None:
    net, (x, target) = network(), sequence()
    method = prepared(net, alpha=ALPHA, momentum=MOMENTUM, antithetic=antithetic, mse_weight=0.0)
    torch.manual_seed(7)
    found = method.gradients(x, target)

    torch.manual_seed(7)
    maps = [block.synapse for block in net.layers()] + [net.readout]
    weights, biases = ([getattr(m, part).detach() for m in maps] for part in ("weight", "bias"))
    expected = [torch.zeros_like(weight) for weight in weights]
    v, a = ([torch.zeros(BATCH, width) for width in (8, 7)] for _ in range(2))
    feedback = [torch.zeros(width, CLASSES) for width in (8, 7)]
    noise = [torch.zeros(0), torch.zeros(0)]
    rows = torch.nn.functional.one_hot(target, CLASSES).to(x)
    for t, x_t in enumerate(x):
        z, before, slopes = x_t, [x_t], []
        for layer in range(2):
            h = 0.5 * v[layer] + z @ weights[layer].T + biases[layer]
            s = (h >= 1).to(h)
            v[layer], a[layer] = h - s, 0.5 * a[layer] + s
            slopes.append(SLOPE(h - 1))
            before.append(a[layer])
            noise[layer] = -noise[layer] if antithetic and t % 2 else torch.randn_like(s)
            z = s + ALPHA * noise[layer]
        o = z @ weights[2].T + biases[2]
        e = (torch.softmax(o, 1) - rows) / BATCH / T
        for layer in range(2):
            now = noise[layer].T @ o / ALPHA / BATCH
            feedback[layer] = MOMENTUM * feedback[layer] + (1 - MOMENTUM) * now
            expected[layer] += (e @ feedback[layer].T * slopes[layer]).T @ before[layer]
        expected[2] += e.T @ before[2]
    names = ("blocks.0.synapse.weight", "blocks.1.synapse.weight", "readout.weight")
    for name, gradient in zip(names, expected, strict=True):
        assert gradient.any(), name
        assert torch.allclose(found[name], gradient, atol=1e-14, rtol=1e-10), name


def test_feedback_weights_become_the_jacobian() -> None:
    """In a smooth network the correlation with the noise is the transposed Jacobian of outputs by spikes."""
    net, (x, target) = network(), sequence()
    many = x[:1, :1].expand(1, 200_000, FEATURES)
    method = prepared(net, alpha=0.08, momentum=0.0, antithetic=False)
    torch.manual_seed(1)
    with smooth_spikes():
        method.accumulate(many, target[:1].expand(200_000))
        surrogate, (first, second) = make_surrogate("atan"), (block.synapse for block in net.layers())
        s1 = surrogate.primitive(first(x[0, :1]) - 1).detach().requires_grad_()
        out = net.readout(surrogate.primitive(second(s1) - 1))
        jacobian = torch.stack([torch.autograd.grad(out[0, c], s1, retain_graph=True)[0][0] for c in range(CLASSES)], 1)
    for found, expected in zip(method.feedback, (jacobian, net.readout.weight.detach().T), strict=True):
        cosine = torch.cosine_similarity(found.flatten(), expected.flatten(), dim=0)
        assert float(cosine) > 0.95


def test_mirrored_noise_makes_the_estimate_less_noisy() -> None:
    """A pair cancels the outputs' own size, which single noise is correlated with by chance."""
    x, target = sequence()
    spread = []
    for antithetic in (True, False):
        estimates = []
        for seed in range(30):
            method = prepared(network(), momentum=0.5, antithetic=antithetic)
            torch.manual_seed(seed)
            method.accumulate(x[:1].expand(2, BATCH, FEATURES), target)
            estimates.append(method.feedback[1])
        spread.append(float(torch.stack(estimates).std(0).mean()))
    assert spread[0] < spread[1]


def test_gradients_leave_the_feedback_weights_alone_and_updates_learn_them() -> None:
    net, (x, target) = network(), sequence()
    method = prepared(net)
    method.gradients(x, target)
    assert method.feedback == [None, None]
    method.prepare(net, functools.partial(torch.optim.SGD, lr=0.1))
    method.update(x, target)
    assert [tuple(weights.shape) for weights in method.feedback] == [(8, CLASSES), (7, CLASSES)]


def test_no_error_passes_from_layer_to_layer() -> None:
    """With feedback weights of 0 only the read-out learns."""
    net, (x, target) = network(), sequence()
    method = prepared(net)
    zeros = [torch.zeros(8, CLASSES), torch.zeros(7, CLASSES)]
    method._learn_feedback = lambda *_: method.feedback.__setitem__(slice(None), zeros)
    found = method.gradients(x, target)
    assert {name for name, gradient in found.items() if gradient.any()} == {"readout.weight", "readout.bias"}


@pytest.mark.parametrize("params", [{"alpha": 0.0}, {"momentum": 1.0}])
def test_impossible_settings_are_refused(params: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(params))):
        build_method("opzo", **params)
