"""tdBN and TEBN: their equations restated in numpy, what is folded for inference, and what is counted."""

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
from harness.measure.training_energy import training_work
from reference_impls.api import build_method, build_network, build_neuron
from reference_impls.topologies._normalised import EPSILON, MOMENTUM, threshold_of

FLAT, IMAGE, CLASSES, BATCH, T = (7,), (2, 4, 8), 3, 5, 4
Statistics = list[tuple[np.ndarray, np.ndarray]]
ROWS = ("mlp-tdbn", "mlp-tebn", "conv-tdbn", "conv-tebn")


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def network(name: str, neuron: str = "lif", threshold: float = 1.0, **params: Any) -> Any:
    torch.manual_seed(3)
    make = functools.partial(build_neuron, neuron, v_threshold=threshold) if threshold != 1 else neuron
    if isinstance(make, str):
        make = functools.partial(build_neuron, make)
    shape = FLAT if name.startswith("mlp") else IMAGE
    size: Any = {"hidden": [6, 5]} if name.startswith("mlp") else {"channels": [4, 3]}
    net: Any = build_network(name, shape, CLASSES, make, **size, **params)
    with torch.no_grad():
        for layer in net.layers():
            leaf = leaf_of(layer.synapse)
            leaf.gain.uniform_(0.5, 2.0)
            leaf.bias.uniform_(-0.5, 1.0)
        for scale in net.step_scales:
            scale.uniform_(0.5, 2.0)
    return net


def leaf_of(synapse: Any) -> Any:
    return synapse[-1] if isinstance(synapse, torch.nn.Sequential) else synapse


def sequence(name: str, steps: int = T) -> Tensor:
    shape = FLAT if name.startswith("mlp") else IMAGE
    return (torch.rand(steps, BATCH, *shape, generator=torch.Generator().manual_seed(1)) < 0.5).double()


def pooled(z: np.ndarray) -> np.ndarray:
    rows, channels, height, width = z.shape
    return z.reshape(rows, channels, height // 2, 2, width // 2, 2).mean((3, 5))


def convolved(z: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    around = np.pad(z, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(around, (3, 3), axis=(2, 3))
    return np.einsum("rchwij,ocij->rohw", windows, kernel)


def restated(net: Any, x: Tensor, name: str, threshold: float) -> tuple[np.ndarray, Statistics]:
    """Return logits ``[T, B, C]`` of a batch that is learned from, and mean and variance of every layer."""
    signal, statistics = x.numpy(), []
    for index, layer in enumerate(net.layers()):
        leaf = leaf_of(layer.synapse)
        rows = signal.reshape(T * BATCH, *signal.shape[2:])
        weight = leaf.weight.detach().numpy()
        z = rows @ weight.T if name.startswith("mlp") else convolved(pooled(rows) if index else rows, weight)
        channel_last = np.moveaxis(z, 1, -1)
        flat = channel_last.reshape(-1, z.shape[1])
        mean, variance = flat.mean(0), ((flat - flat.mean(0)) ** 2).mean(0)
        statistics.append((mean, variance))
        hat = (channel_last - mean) / np.sqrt(variance + EPSILON)
        gain, bias = leaf.gain.detach().numpy(), leaf.bias.detach().numpy()
        if name.endswith("tdbn"):
            hat = hat * threshold
        current = np.moveaxis(gain * hat + bias, -1, 1).reshape(T, BATCH, *z.shape[1:])
        if name.endswith("tebn"):
            scale = net.step_scales[index].detach().numpy()[:T]
            current = current * scale.reshape(T, *[1] * (current.ndim - 1))
        v, spikes = np.zeros(current.shape[1:]), []
        for given in current:
            h = 0.5 * v + given
            s = (h >= threshold).astype(float)
            v = h - threshold * s
            spikes.append(s)
        signal = np.stack(spikes)
    readout = leaf_of(net.readout)
    last = signal.reshape(T * BATCH, *signal.shape[2:])
    last = last if name.startswith("mlp") else pooled(last).reshape(T * BATCH, -1)
    logits = last @ readout.weight.detach().numpy().T + readout.bias.detach().numpy()
    return logits.reshape(T, BATCH, CLASSES), statistics


@pytest.mark.parametrize("name", ROWS)
def test_a_batch_that_is_learned_from_follows_the_equations(name: str) -> None:
    threshold = 0.7
    net, x = network(name, threshold=threshold), sequence(name)
    logits, statistics = restated(net, x, name, threshold)
    np.testing.assert_allclose(net.run(x).logits.detach().numpy(), logits, atol=1e-10)
    assert np.abs(logits).sum() > 0
    for layer, (mean, variance) in zip(net.layers(), statistics, strict=True):
        leaf = leaf_of(layer.synapse)
        np.testing.assert_allclose(leaf.running_mean.numpy(), MOMENTUM * mean, atol=1e-12)
        np.testing.assert_allclose(leaf.running_var.numpy(), 1 + MOMENTUM * (variance - 1), atol=1e-12)


@pytest.mark.parametrize("name", ROWS)
def test_gradients_pass_through_the_statistics(name: str) -> None:
    """Of what a layer's map gives, by finite differences: torch's own batch norm would have the same."""
    net, x = network(name), sequence(name)[0]
    leaf = leaf_of(net.layers()[0].synapse)
    upstream = torch.randn(leaf(x).shape, generator=torch.Generator().manual_seed(2))

    def loss() -> Tensor:
        return (leaf(x) * upstream).sum()

    leaf.zero_grad()
    loss().backward()
    for parameter in (leaf.weight, leaf.gain, leaf.bias):
        flat = parameter.detach().view(-1)
        for index in (0, flat.numel() - 1):
            kept, ends = float(flat[index]), []
            for moved in (1e-5, -1e-5):
                flat[index] = kept + moved
                ends.append(float(loss().detach()))
            flat[index] = kept
            assert parameter.grad.view(-1)[index] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("name", ROWS)
def test_what_is_folded_says_what_the_running_statistics_say(name: str) -> None:
    net = network(name)
    for layer in net.layers():
        leaf = leaf_of(layer.synapse)
        leaf.running_mean.uniform_(-1, 1)
        leaf.running_var.uniform_(0.2, 3)
    net.eval()
    x = sequence(name).flatten(0, 1)
    leaf = leaf_of(net.layers()[0].synapse)
    shape = (-1, *[1] * (x.dim() - 2))
    raw = x @ leaf.weight.T if x.dim() == 2 else torch.nn.functional.conv2d(x, leaf.weight, padding=1)
    hat = (raw - leaf.running_mean.view(shape)) / (leaf.running_var.view(shape) + EPSILON).sqrt()
    unfolded = leaf.scale * leaf.gain.view(shape) * hat + leaf.bias.view(shape)
    torch.testing.assert_close(leaf(x), unfolded, rtol=0, atol=1e-12)
    # And a plain map with the folded weight and bias is the same map.
    plain = torch.nn.Linear(*FLAT, 6) if x.dim() == 2 else torch.nn.Conv2d(2, 4, 3, padding=1)
    plain.load_state_dict({"weight": leaf.effective_weight().detach(), "bias": leaf.effective_bias().detach()})
    assert torch.equal(plain(x), leaf(x))


@pytest.mark.parametrize("name", ["mlp-tdbn", "conv-tdbn"])
def test_a_folded_network_is_the_plain_network(name: str) -> None:
    net, x = network(name), sequence(name)
    for _ in range(3):
        net.run(x)
    net.eval()
    base = name.removesuffix("-tdbn")
    size: Any = {"hidden": [6, 5]} if base == "mlp" else {"channels": [4, 3]}
    plain: Any = build_network(base, x.shape[2:], CLASSES, functools.partial(build_neuron, "lif"), **size)
    with torch.no_grad():
        for ours, theirs in zip(net.layers(), plain.layers(), strict=True):
            leaf_of(theirs.synapse).weight.copy_(leaf_of(ours.synapse).effective_weight())
            leaf_of(theirs.synapse).bias.copy_(leaf_of(ours.synapse).effective_bias())
    plain.readout.load_state_dict(net.readout.state_dict())
    assert torch.equal(net.run(x).logits, plain.run(x).logits)
    ours, theirs = count_activity(net, [x]), count_activity(plain, [x])
    assert ours.operations() == theirs.operations()
    assert ours.events == theirs.events > 0
    assert ours.coverage == 1


@pytest.mark.parametrize("name", ROWS)
def test_an_input_that_stays_gives_what_one_that_is_repeated_gives(name: str) -> None:
    x = sequence(name, 1)[0]
    once, again = network(name), network(name)
    stays = once.run(x.expand(T, *x.shape)).logits
    repeated = again.run(torch.stack([x] * T)).logits
    torch.testing.assert_close(stays, repeated, rtol=0, atol=1e-12)
    for one, two in zip(once.buffers(), again.buffers(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["mlp-tdbn", "mlp-tebn"])
def test_a_sequence_in_pieces_is_the_sequence(name: str) -> None:
    """For inference: TEBN's scales go on where the piece before ended, and later steps share the last."""
    params = {"steps": 3} if name.endswith("tebn") else {}
    net, x = network(name, **params).eval(), sequence(name, 6)
    whole = net.run(x)
    states, parts = None, []
    for part in x.split(2):
        out = net.run(part, states)
        states = out.states
        parts.append(out.logits)
    torch.testing.assert_close(torch.cat(parts), whole.logits, rtol=0, atol=1e-12)
    if params:
        shifted = net.run(x[2:]).logits
        assert not torch.allclose(shifted, net.run(x[2:], (*(None,) * 2, torch.tensor(2))).logits)


def test_recomputing_a_segment_does_not_count_its_statistics_again() -> None:
    kept = []
    for params in ({"stepwise": True}, {"stepwise": True, "checkpoint": 1}):
        net = network("mlp-tdbn")
        method = build_method("bptt", loss="per_step_ce", **params)
        method.prepare(net)
        method.accumulate(sequence("mlp-tdbn"), torch.arange(BATCH) % CLASSES)
        kept.append([buffer.clone() for buffer in net.buffers()])
    for one, two in zip(*kept, strict=True):
        assert torch.equal(one, two)


def test_energy_of_learning_is_known() -> None:
    net, x = network("conv-tebn"), sequence("conv-tebn")
    method = build_method("bptt")
    method.prepare(net)
    target = torch.arange(BATCH) % CLASSES
    work = training_work(lambda: method.accumulate(x, target), x)
    assert work.reason is None
    assert work.joules()["backward products"] > 0


def test_threshold_is_the_neurons_own() -> None:
    assert threshold_of(build_neuron("lif", v_threshold=0.25)) == 0.25
    assert threshold_of(build_neuron("relu")) == 1.0
    assert leaf_of(network("mlp-tdbn", threshold=0.25).layers()[0].synapse).scale == 0.25
    assert leaf_of(network("mlp-tebn", threshold=0.25).layers()[0].synapse).scale == 1.0


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"alpha": 0.0}, "alpha must be positive"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"normalisation": "tdbm"}, "did you mean 'tdbn'"),
    ],
)
def test_bad_parameters_are_named(params: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        network("mlp-tdbn", **params)


def test_impossible_pairs_are_sentences() -> None:
    registry = load_registry()
    for method in ("ottt-a", "qcfs", "sltt"):
        sentence = why_unsupported(Cell("accuracy", "digits", "if", method, "conv-tebn"), registry)
        assert sentence is not None
        assert method in sentence
        assert "conv-tebn is a delayed network" in sentence
    for neuron in ("psn", "lif"):
        assert why_unsupported(Cell("accuracy", "digits", neuron, "bptt", "conv-tebn"), registry) is None


@pytest.mark.parametrize("name", ROWS)
def test_a_small_batch_is_learned(name: str) -> None:
    net, x, target = network(name, "if"), sequence(name), torch.arange(BATCH) % CLASSES
    method = build_method("bptt")
    method.prepare(net, functools.partial(torch.optim.Adam, lr=0.02))
    losses = [method.update(x, target).loss for _ in range(40)]
    assert losses[-1] < losses[0] / 2
    net.eval()
    assert (method.predict(x).argmax(1) == target).double().mean() > 0.7
