"""What networks of spike times promise: the mapped ReLU network exactly, exact gradients, and one spike at most.

No official vectors: B1's equations are restated here (arXiv 2306.08744), and membranes are integrated step by step.
"""

from __future__ import annotations

import functools
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
from reference_impls.conversion.one_spike import Ramp, arrived, crossing, decoded, on_grid
from reference_impls.conversion.spiking import ann_layers
from reference_impls.conversion.timed import Windows

FEATURES, CLASSES, BATCH = 6, 3, 12
REGISTRY = load_registry()
PASS_TIMES = [
    (name, topology)
    for name, row in sorted(REGISTRY.methods.items())
    if row.capabilities.passes_times and row.capabilities.anytime
    for topology in ("mlp", "conv")
    if why_unsupported(Cell("spike_times", "digits", "if", name, topology), REGISTRY) is None
]
"""Every row whose spike times lie in windows, on the networks that it can be."""


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def batch(T: int = 1, shape: tuple[int, ...] = (FEATURES,)) -> tuple[Tensor, Tensor]:
    """Constant samples with zeros and negative entries among them."""
    generator = torch.Generator().manual_seed(5)
    x = (1.4 * torch.rand((BATCH, *shape), generator=generator) - 0.2).where(
        torch.rand((BATCH, *shape), generator=generator) > 0.2, 0.0
    )
    return x.expand(T, *x.shape), torch.arange(BATCH) % CLASSES


def prepared(name: str, topology: str = "mlp", rate: float | None = 0.02, updates: int = 0, **params: Any) -> Any:
    torch.manual_seed(3)
    shape, sizes = ((FEATURES,), {"hidden": [8, 7]}) if topology == "mlp" else ((1, 8, 8), {"channels": [4, 5]})
    network = build_network(topology, shape, CLASSES, functools.partial(build_neuron, "if"), **sizes)
    method = build_method(name, **params)
    method.prepare(network, None if rate is None else functools.partial(torch.optim.Adam, lr=rate))
    for _ in range(updates):
        method.update(*batch(shape=shape))
    return method


def of(topology: str, T: int = 1) -> Tensor:
    return batch(T, (FEATURES,) if topology == "mlp" else (1, 8, 8))[0]


@pytest.mark.parametrize("topology", ["mlp", "conv"])
def test_the_mapped_network_is_the_relu_network(topology: str) -> None:
    """In continuous time: the same logits to 1e-12, and a neuron fires where its activation is positive."""
    method, x = prepared("ttfs-wide", topology, updates=20), of(topology)
    found = method.spike_times(x)
    assert torch.allclose(found.logits, method.predict_ann(x), rtol=0, atol=1e-12)
    assert torch.equal(found.logits.argmax(1), method.predict_ann(x).argmax(1))
    activations, _ = ann_layers(method.network, x[0], lambda _layer, z: z.relu())
    for share, window, a in zip(found.shares[1:], method.windows.layers, activations, strict=True):
        assert torch.equal(share < 1, a > 0)
        assert torch.allclose(decoded(share, window), a, rtol=0, atol=1e-12)
        assert 0 < float((share < 1).double().mean()) < 1
        assert (share >= 0).all(), "no spike before its window"
    assert not any(part.any() for part in found.early)


def test_times_are_those_of_a_membrane_that_is_integrated() -> None:
    """Item by item on one clock: slope by the spikes that came, then slope 1 from the window's begin to threshold."""
    method, x = prepared("ttfs-wide", updates=10), of("mlp")
    found, dt = method.spike_times(x), 2e-4
    begin, length = 0.0, method.windows.input
    times = (found.shares[0][0] * length).numpy()
    sign = np.sign(x[0, 0].numpy())
    for layer, block in enumerate(method.network.layers()):
        weight, bias = (p.detach().numpy() for p in (block.synapse.weight, block.synapse.bias))
        membrane = bias.copy()
        for t in np.arange(begin, begin + length, dt):
            membrane += dt * (weight * sign) @ (times <= t)
        begin, length = begin + length, method.windows.layers[layer]
        fired = np.full(len(bias), begin + length)
        for t in np.arange(begin, begin + length, dt):
            fired[(membrane >= length) & (fired == begin + length)] = t
            membrane += dt
        expected = begin + (found.shares[layer + 1][0] * length).numpy()
        assert np.abs(fired - expected).max() < 60 * dt  # rounding of six inputs' times, and their spread
        silent = found.shares[layer + 1][0].numpy() == 1
        assert (fired[silent] == begin + length).all()
        assert silent.any()
        times, sign = np.where(silent, np.inf, expected), np.ones(len(bias))


def test_gradients_of_spike_times_are_exact() -> None:
    """Against central differences of a sum over all times and logits, for every weight, every bias and the input."""
    method, x = prepared("ttfs-scratch", rate=None), of("mlp")[0].clone().requires_grad_()
    windows = Windows(1.5, [6.0, 5.0])
    generator = torch.Generator().manual_seed(1)

    def outputs() -> list[Tensor]:
        found = method.walk(x.unsqueeze(0), windows=windows)
        return [*found.shares[1:], found.logits]

    weights = [torch.randn(part.shape, generator=generator) for part in outputs()]

    def scalar() -> Tensor:
        return torch.stack([(w * part).sum() for w, part in zip(weights, outputs(), strict=True)]).sum()

    inside = outputs()[1]
    assert ((inside > 0) & (inside < 1)).any()
    leaves = [*method.network.parameters(), x]
    gradients = torch.autograd.grad(scalar(), leaves)
    for leaf, gradient in zip(leaves, gradients, strict=True):
        flat, step = leaf.detach().view(-1), 1e-6
        for index in torch.randperm(flat.numel(), generator=generator)[:20].tolist():
            if leaf is x and flat[index] == 0:
                continue  # an input of 0 is silent: its time has one side only
            found = []
            for sign in (1, -1):
                with torch.no_grad():
                    flat[index] += sign * step
                    found.append(float(scalar()))
                    flat[index] -= sign * step
            numeric = (found[0] - found[1]) / (2 * step)
            assert float(gradient.view(-1)[index]) == pytest.approx(numeric, abs=1e-7, rel=1e-6)


def test_derivatives_are_the_papers() -> None:
    """dt_i/dt_j = J_ij, dt_i/dJ_ij = t_j - t_min, dt_i/dD_i = -1 for what fires, 0 for what does not."""
    window, below = 4.0, 2.0
    J, D = torch.randn(7, 5).requires_grad_(), torch.randn(7).requires_grad_()
    t = (below * torch.rand(5)).requires_grad_()  # relative to the begin of the window below
    share = crossing(J @ (below - t) + D, window, window)
    fires = (share > 0) & (share < 1)
    assert fires.any()
    assert not fires.all()
    for i in range(7):
        by_t, by_J, by_D = torch.autograd.grad(window * share[i], (t, J, D), retain_graph=True)
        on = float(fires[i])
        assert torch.allclose(by_t, on * J[i].detach())
        assert torch.allclose(by_J[i], on * (t - below).detach())
        assert float(by_D[i]) == pytest.approx(-on)


def test_training_by_times_goes_where_the_relu_network_goes() -> None:
    """From one start, on the same batches: the same weights to 1e-9 after 40 updates, and no early spike."""
    runs = [prepared(name, zeta=0.5, statistic="max") for name in ("ttfs", "ttfs-scratch")]
    for _ in range(40):
        reports = [method.update(*batch()) for method in runs]
        assert reports[0].loss == pytest.approx(reports[1].loss, abs=1e-9)
        assert reports[1].counters["early_fraction"] == 0.0
    for mapped, trained in zip(runs[0].network.parameters(), runs[1].network.parameters(), strict=True):
        assert torch.allclose(mapped, trained, rtol=0, atol=1e-9)


def test_windows_of_training_hold_ten_times_the_largest_activation_and_never_shrink() -> None:
    method = prepared("ttfs-scratch", rate=0.05)
    before: list[float] = []
    for _ in range(30):
        found = method.gradients(*batch())
        assert any(g.any() for g in found.values())
        activations, _ = ann_layers(method.network, batch()[0][0], lambda _layer, z: z.detach().relu())
        for window, a in zip(method.grown, activations, strict=True):
            assert window >= 10 * float(a.max()) * (1 - 1e-12)
        assert all(now >= then for now, then in zip(method.grown, before or method.grown, strict=True))
        before = list(method.grown)
        method.update(*batch())


@pytest.mark.parametrize(("name", "topology"), PASS_TIMES)
@pytest.mark.parametrize("T", [1, 4, 23])
def test_step_by_step_it_fires_once_and_when_the_times_say(name: str, topology: str, T: int) -> None:
    method, x = prepared(name, topology, updates=15), of(topology, T)
    emitted: dict[int, Tensor] = {}
    with method.network.observed_by(emitted.__setitem__):
        logits = method.predict(x)
    expected = method.walk(x, T)
    assert torch.allclose(logits, expected.logits, atol=1e-12)
    for layer, share in enumerate(expected.shares[1:]):
        assert emitted[layer].sum(0).max() <= 1, "one spike a neuron at most"
        assert torch.equal(emitted[layer], on_grid(share, T))


def test_the_counters_see_one_spike_a_neuron_at_most() -> None:
    """Events are the neurons that fire, and each is one addition a synapse, the input's spikes as well."""
    method, x = prepared("ttfs", updates=15), of("mlp", 9)
    seen = count_activity(method.network, [x], method.predict, method.synapses(), "analog")
    walked = method.walk(x, 9)
    fired = [int((share < 1).sum()) for share in walked.shares]
    assert [layer.events for layer in seen.layers] == fired[1:]
    assert all(layer.events <= layer.neurons * BATCH for layer in seen.layers)
    assert seen.spikes_per_neuron <= 1
    assert [synapse.cached.accumulates for synapse in seen.synapses] == [
        n * fan_out for n, fan_out in zip(fired, (8, 7, CLASSES), strict=True)
    ]
    assert sum(synapse.cached.multiply_accumulates for synapse in seen.synapses) == 0
    assert seen.problems() == ()
    assert seen.coverage == 1.0


def test_more_steps_come_nearer_to_continuous_time() -> None:
    method, x = prepared("ttfs-wide", updates=15), of("mlp", 4096)
    errors = (method.read_outs(x, [4, 64, 1024]) - method.spike_times(x).logits).abs().amax((1, 2)).tolist()
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 5e-3


def test_what_is_too_large_for_its_window_fires_as_it_begins() -> None:
    method, x = prepared("ttfs", updates=15, q=60.0), of("mlp")
    found = method.spike_times(x)
    assert any(part.any() for part in found.early)
    for share, early in zip(found.shares[1:], found.early, strict=True):
        assert (share[early] == 0).all()
    assert method.conversion_residuals(x)["early"][0] == float(method.walk(x, 1).early[0].double().mean())


@pytest.mark.parametrize("steps", [1, 2, 7, 64])
def test_a_ramp_rounds_to_the_nearest_step(steps: int) -> None:
    """n = floor(z T / window + 1/2) steps are left when it fires, for membranes off the ties."""
    z, window = torch.linspace(-1, 3, 997), 1.7
    n = (z * steps / window + 0.5).floor().clamp(0, steps)
    assert torch.allclose(1 - crossing(z, window, window, steps), n / steps, atol=1e-14)
    current = torch.zeros(steps, 1, len(z))
    current[0, 0] = z  # of the first step: worth its whole size
    spikes = Ramp(window, window)(current)
    assert torch.equal(spikes.sum(0)[0], (n > 0).double())
    assert torch.allclose(arrived(spikes, 0.0)[0], n / steps, atol=1e-14)


def test_a_membrane_that_falls_fires_as_the_window_begins_or_not_at_all() -> None:
    z = torch.tensor([0.5, 0.99, 1.0, 3.0])
    assert crossing(z, -0.7, 1.0).tolist() == [1, 1, 0, 0]
    assert crossing(z, torch.zeros(4), 1.0, 5).tolist() == [1, 1, 0, 0]
    current = torch.zeros(5, 1, 4)
    current[0, 0] = z
    spikes = Ramp(1.0, -0.7)(current)
    assert spikes.sum(0)[0].tolist() == [0, 0, 1, 1]
    assert spikes[0, 0].tolist() == [0, 0, 1, 1]


def test_a_bias_counts_once() -> None:
    x, bias = torch.rand(6, 2, 3), torch.randn(3)
    values = torch.arange(6, 0, -1) / 6
    assert torch.allclose(arrived(x + bias, bias), torch.einsum("t,tbn->bn", values, x) + bias)


def test_a_state_carries_the_windows() -> None:
    method, x = prepared("ttfs-scratch", updates=10), of("mlp")
    other = prepared("ttfs-scratch")
    other.load_state_dict({name: value.clone() for name, value in method.state_dict().items()})
    assert other.windows == method.windows
    assert other.grown == method.grown
    assert torch.equal(other.spike_times(x).logits, method.spike_times(x).logits)


@pytest.mark.parametrize(
    ("neuron", "topology", "sentence"),
    [
        ("lif", "mlp", "ttfs needs a neuron whose leak is False; lif's is True."),
        ("rel-psp", "mlp", "ttfs needs a neuron whose parallel is sequential; rel-psp's is closed_form."),
        ("if", "recurrent", "ttfs trains chain networks; recurrent is a recurrent network."),
    ],
)
def test_says_what_it_cannot_convert(neuron: str, topology: str, sentence: str) -> None:
    assert why_unsupported(Cell("accuracy", "digits", neuron, "ttfs", topology), REGISTRY) == sentence


def test_only_networks_that_pass_times_are_asked_for_them() -> None:
    sentence = "spike_times is asked of methods that are 'passes_times'; qcfs is not."
    assert why_unsupported(Cell("spike_times", "digits", "if", "qcfs", "mlp"), REGISTRY) == sentence


@pytest.mark.parametrize(
    ("params", "word"),
    [({"statistic": "median"}, "statistic"), ({"q": 0}, "percentile"), ({"zeta": -1}, "zeta")],
)
def test_refuses_what_has_no_meaning(params: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        build_method("ttfs", **params)
