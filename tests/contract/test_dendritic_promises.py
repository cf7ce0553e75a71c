"""Neurons with branches: their equations restated in numpy, what is counted, and which lags they can tell."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.golden import float64_default
from harness.measure.activity import count_activity
from reference_impls.api import build_method, build_network, build_neuron
from reference_impls.surrogate import make_surrogate

INPUTS, UNITS, CLASSES, BATCH, T = 7, 5, 3, 4, 6
SLOPE = make_surrogate("atan").derivative


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def network(name: str = "dendritic", neuron: str = "lif", hidden: tuple[int, ...] = (UNITS,), **params: Any) -> Any:
    torch.manual_seed(3)
    net: Any = build_network(name, (INPUTS,), CLASSES, functools.partial(build_neuron, neuron), hidden=hidden, **params)
    with torch.no_grad():
        for layer in net.layers:
            layer.synapse.weight *= 8
            layer.raw_beta -= 3  # some fast, some slow
    return net


def sequence(steps: int = T) -> Tensor:
    return (torch.rand(steps, BATCH, INPUTS, generator=torch.Generator().manual_seed(1)) < 0.5).double()


def test_forward_and_gradient_follow_the_equations() -> None:
    net, x = network(), sequence()
    (layer,), readout = net.layers, net.readout
    weight, bias, raw = (p.detach().numpy() for p in (layer.synapse.weight, layer.synapse.bias, layer.raw_beta))
    branch, beta = layer.synapse.branch_of.numpy(), 1 / (1 + np.exp(-raw))
    d, v = np.zeros((BATCH, UNITS, 4)), np.zeros((BATCH, UNITS))
    # Derivatives of what the branches hold, by each of their weights and by their own raw decay.
    by_weight, by_raw = np.zeros((BATCH, UNITS, INPUTS)), np.zeros((BATCH, UNITS, 4))
    logits = []
    upstream = np.random.default_rng(0).normal(size=(T, BATCH, CLASSES))
    held_v = [np.zeros_like(by_weight), np.zeros_like(by_raw)]
    gradients = [np.zeros_like(weight), np.zeros_like(raw)]
    for t, given in enumerate(x.numpy()):
        fed = bias.reshape(UNITS, 4) + np.stack([given @ np.where(branch == k, weight, 0).T for k in range(4)], 2)
        by_raw = beta * by_raw + beta * (1 - beta) * (d - fed)
        gathered = np.take_along_axis(beta, branch, 1)
        by_weight = gathered * by_weight + (1 - gathered) * given[:, None]
        d = beta * d + (1 - beta) * fed
        h = 0.5 * v + d.sum(2)
        s = (h >= 1).astype(float)
        v = h - s
        held_v = [0.5 * held + new for held, new in zip(held_v, (by_weight, by_raw), strict=True)]
        logits.append(s @ readout.weight.detach().numpy().T + readout.bias.detach().numpy())
        signal = (upstream[t] @ readout.weight.detach().numpy()) * SLOPE(torch.tensor(h - 1)).numpy()
        gradients = [g + (signal[..., None] * held).sum(0) for g, held in zip(gradients, held_v, strict=True)]
    out = net.run(x)
    np.testing.assert_allclose(out.logits.detach().numpy(), np.stack(logits), atol=1e-12)
    (out.logits * torch.tensor(upstream)).sum().backward()
    np.testing.assert_allclose(layer.synapse.weight.grad.numpy(), gradients[0], atol=1e-10)
    np.testing.assert_allclose(layer.raw_beta.grad.numpy(), gradients[1], atol=1e-10)
    assert np.abs(gradients[1]).min() > 0


def test_every_input_has_one_branch_of_a_neuron_and_branches_are_even() -> None:
    synapse = network(hidden=(40,)).layers[0].synapse
    counts = torch.stack([(synapse.branch_of == branch).sum(1) for branch in range(4)], 1)
    assert counts.sum(1).eq(INPUTS).all()
    assert (counts.amax(1) - counts.amin(1)).le(1).all()
    assert len(synapse.branch_of.unique(dim=0)) > 20  # neurons draw their own


def test_a_spike_costs_what_it_costs_without_branches() -> None:
    net, x = network(), sequence()
    first = count_activity(net, [x]).synapses[0]
    assert first.synapses == INPUTS * UNITS
    assert first.cached.accumulates == int(x.sum()) * UNITS
    assert (
        sum(p.numel() for p in (net.layers[0].synapse.weight, net.readout.weight)) == INPUTS * UNITS + UNITS * CLASSES
    )


def test_parts_of_a_sequence_give_what_the_whole_does() -> None:
    net, x = network(hidden=(6, 5)), sequence()
    whole, first = net.run(x), net.run(x[:2])
    rest = net.run(x[2:], first.states)
    torch.testing.assert_close(torch.cat([first.logits, rest.logits]), whole.logits)


def test_instant_branches_are_an_mlp() -> None:
    net, x = network(), sequence()
    with torch.no_grad():
        net.layers[0].raw_beta.fill_(-800.0)
    plain: Any = build_network("mlp", (INPUTS,), CLASSES, functools.partial(build_neuron, "lif"), hidden=(UNITS,))
    with torch.no_grad():
        synapse = plain.layers()[0].synapse
        synapse.weight.copy_(net.layers[0].synapse.weight)
        synapse.bias.copy_(net.layers[0].synapse.bias.view(UNITS, 4).sum(1))
        plain.readout.load_state_dict(net.readout.state_dict())
    torch.testing.assert_close(net(x), plain(x))


def test_fixed_branches_keep_their_time_constants() -> None:
    method = build_method("bptt")
    net = network("dendritic-fixed")
    method.prepare(net)
    assert not any(name.endswith("raw_beta") for name, p in net.named_parameters() if p.requires_grad)
    assert network().layers[0].raw_beta.requires_grad


def lag_accuracy(name: str) -> float:
    """Tell by how much a second input spikes later than the first, with somas that keep half a percent a step."""
    lags, steps = torch.tensor([1, 4, 9]), 16
    generator = torch.Generator().manual_seed(0)

    def draw(samples: int) -> tuple[Tensor, Tensor]:
        target = torch.randint(len(lags), (samples,), generator=generator)
        first = torch.randint(steps - 10, (samples,), generator=generator)
        x, sample = torch.zeros(steps, samples, 8), torch.arange(samples)
        x[first, sample, :4] = 1.0
        x[first + lags[target], sample, 4:] = 1.0
        return x, target

    torch.manual_seed(0)
    neuron = functools.partial(build_neuron, "lif", tau=1.005, surrogate={"name": "atan", "params": {"alpha": 5.0}})
    params = {} if name == "mlp" else {"raw_beta_range": (-2.0, 3.0)}
    method = build_method("bptt")
    method.prepare(
        build_network(name, (8,), len(lags), neuron, hidden=[24], **params),
        functools.partial(torch.optim.Adam, lr=1e-2),
    )
    for _ in range(150):
        method.update(*draw(64))
    x, target = draw(1000)
    return float((method.predict(x).argmax(1) == target).double().mean())


def test_branches_tell_the_lag_where_somas_forget() -> None:
    assert lag_accuracy("mlp") < 0.45
    assert lag_accuracy("dendritic") > 0.65


def test_bad_values_are_named() -> None:
    with pytest.raises(ValueError, match="branches must be between 1 and"):
        network(branches=8)
    with pytest.raises(ValueError, match="raw_beta_range"):
        network(raw_beta_range=(2.0, 1.0))
