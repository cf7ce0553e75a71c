"""What DSR promises: spikes that tend to a clamp, and the gradient of that clamp at the measured averages."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from harness.catalogue.cell import Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import load_registry
from harness.golden import float64_default
from reference_impls.api import Network, build_method, build_network, build_neuron

FEATURES, CLASSES, BATCH = 6, 3, 4


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def network(neuron: str = "if", topology: str = "mlp", **params: Any) -> Network:
    torch.manual_seed(3)
    make = functools.partial(build_neuron, neuron, **params)
    return build_network(topology, (FEATURES,), CLASSES, make, hidden=[8, 7])


def prepared(neuron: str = "if", rate: float | None = None, **params: Any) -> Any:
    method = build_method("dsr", **params)
    optimizer = None if rate is None else functools.partial(torch.optim.SGD, lr=rate)
    method.prepare(network(neuron), optimizer)
    return method


def sequence(T: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return 4 * torch.randn((T, BATCH, FEATURES), generator=generator), torch.tensor([0, 1, 2, 1])


def test_if_gradient_is_that_of_the_clamped_network_at_the_measured_rates() -> None:
    method, (x, target) = prepared(v_threshold=0.8), sequence(9)
    found = method.gradients(x, target)
    seen: list[Tensor] = []
    with torch.no_grad(), method.network.observed_by(lambda _layer, s: seen.append(s.mean(0) * 0.8)):
        logits = method.predict(x)
    maps = [*[block.synapse for block in method.network.layers()], method.network.readout]
    a = x.mean(0)
    for module, v, measured in zip(maps, method.thresholds, [*seen, logits], strict=True):
        clamped = torch.minimum(module(a).clamp(min=0), v)
        a = measured + clamped - clamped.detach()
    method.network.zero_grad()
    functional.cross_entropy(a, target).backward()
    assert found["dsr_thresholds.0"] != 0
    for name, parameter in method.network.named_parameters():
        assert torch.allclose(found[name], parameter.grad, atol=1e-14, rtol=1e-11), name


def test_lif_layer_is_the_published_formula_for_input_that_varies() -> None:
    tau, dt, v, alpha, T = 1.5, 0.3, 0.9, 0.4, 7
    method: Any = build_method("dsr", v_threshold=v, alpha=alpha, tau=tau)
    method.prepare(network("lif-decay-input", decay=math.exp(-dt / tau)))
    c, grad = (scale * torch.randn((T, 2, 40), generator=torch.Generator().manual_seed(1)) for scale in (6.0, 1.0))
    c = (c + 3).requires_grad_()
    beta, u, emitted = math.exp(-dt / tau), torch.zeros(2, 40), []
    for c_t in c.detach():
        u = beta * u + (1 - beta) * c_t
        s = v * (u >= alpha * v).double()
        u = u - s
        emitted.append(s / dt)
    w = torch.tensor([math.exp(-(T - t) * dt / tau) for t in range(1, T + 1)])
    w = (w / w.sum())[:, None, None]
    mean, g = (w * c.detach()).sum(0), T * (w * grad).sum(0)
    inside, above = (mean > 0) & (mean < v * tau / dt), mean > v * tau / dt
    assert inside.any()
    assert above.any()
    out = method.layers[0](c, method.thresholds[0])
    out.backward(grad)
    assert torch.allclose(out, torch.stack(emitted), atol=1e-12)
    assert torch.allclose(c.grad, (g * inside / tau / T).expand_as(c), atol=1e-14)
    assert torch.allclose(method.thresholds[0].grad, dt * (g * above).sum(), atol=1e-13)


@pytest.mark.parametrize("neuron", ["if", "lif", "lif-decay-input"])
def test_current_has_one_gradient_for_all_steps(neuron: str) -> None:
    method, (x, _) = prepared(neuron, v_threshold=0.8), sequence(9)
    current = x.clone().requires_grad_()
    out = method.layers[0](current, method.thresholds[0])
    (out * torch.randn_like(out)).sum().backward()
    assert current.grad is not None
    assert current.grad.any()
    assert torch.equal(current.grad, current.grad[:1].expand_as(current.grad))


def test_if_rate_is_the_clamp_within_one_spike() -> None:
    method = prepared(v_threshold=0.8)
    current = torch.linspace(-1, 2, 301).unsqueeze(0)
    for T in (5, 50, 500):
        rate = method.layers[0](current.expand(T, 1, 301), method.thresholds[0]).detach().mean(0)
        assert float((rate - current.clamp(0, 0.8)).abs().max()) <= 0.8 / T + 1e-12


@pytest.mark.parametrize("neuron", ["lif", "lif-decay-input"])
def test_lif_representation_tends_to_the_clamp_as_dt_shrinks(neuron: str) -> None:
    current, errors = torch.linspace(-2, 8, 301).unsqueeze(0), []
    for dt in (0.2, 0.02, 0.002):
        decay, T = math.exp(-dt), int(8 / dt)
        method: Any = build_method("dsr")
        method.prepare(network(neuron, decay=decay))
        scale = 1 - decay if neuron == "lif" else 1  # the clamp of the same current, decayed or not
        x = (scale * current).expand(T, 1, 301)
        emitted = method.layers[0](x, method.thresholds[0]).detach()
        weights = decay ** torch.arange(T - 1, -1, -1)
        representation = torch.tensordot(weights / weights.sum(), emitted, dims=1)
        errors.append(float((representation - current.clamp(0, 6)).abs().max()))
    assert errors[1] < errors[0] / 3, errors
    assert errors[2] < errors[1] / 3, errors


def test_lif_without_input_decay_is_lif_with_a_larger_input() -> None:
    decayed, plain = prepared("lif-decay-input"), prepared("lif")
    x, _ = sequence(9)
    grads = []
    for method, scale in ((decayed, 1.0), (plain, 0.5)):
        current = (scale * x).requires_grad_()
        out = method.layers[0](current, method.thresholds[0])
        out.pow(2).sum().backward()
        assert current.grad is not None
        grads.append(scale * current.grad)
    assert torch.allclose(*grads, atol=1e-13)


def test_thresholds_are_learned_and_stay_above_their_bound() -> None:
    method, (x, target) = prepared(rate=0.5, v_threshold=0.3, v_threshold_bound=0.25), sequence(9)
    before = [float(v.detach()) for v in method.thresholds]
    for _ in range(20):
        method.update(x, target)
    after = [float(v.detach()) for v in method.thresholds]
    assert after != before
    assert min(after) >= 0.25


def test_thresholds_travel_with_the_weights() -> None:
    trained, (x, target) = prepared("lif", rate=0.1), sequence(9)
    for _ in range(3):
        trained.update(x, target)
    fresh = prepared("lif")
    fresh.network.load_state_dict(trained.network.state_dict())
    assert torch.equal(fresh.predict(x), trained.predict(x))
    heights = [synapse.amplitude for synapse in fresh.synapses()][1:]
    assert heights == pytest.approx([float(v.detach()) / math.log(2) for v in list(fresh.thresholds)[:-1]])


def test_preparing_twice_changes_nothing() -> None:
    method, (x, _) = prepared(), sequence(9)
    before = method.predict(x)
    again = build_method("dsr")
    again.prepare(method.network)
    assert torch.equal(again.predict(x), before)


@pytest.mark.parametrize(
    ("neuron", "topology", "sentence"),
    [
        ("lif-hard", "mlp", "dsr needs a neuron whose reset is soft; lif-hard's is hard."),
        ("if", "feedback", "dsr trains chain networks; feedback is a feedback network."),
    ],
)
def test_says_what_it_cannot_train(neuron: str, topology: str, sentence: str) -> None:
    assert why_unsupported(Cell("accuracy", "digits", neuron, "dsr", topology), load_registry()) == sentence
    with pytest.raises(ValueError, match=r"chain|reset softly"):
        build_method("dsr").prepare(network(neuron, topology))
