"""Spiking transformers: equations restated in numpy, what is counted of products of spikes, and what is refused."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
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
from reference_impls.topologies._attention import SpikeProduct, matched
from reference_impls.topologies._normalised import EPSILON

SAMPLE, CLASSES, BATCH, T = (1, 6, 8), 3, 4, 3
SIZE: dict[str, Any] = {"channels": [4, 8], "mlp_ratio": 1.5}
ROWS = ("spikformer", "spike-driven-transformer")
Array = np.ndarray


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def network(name: str, neuron: str = "lif", **params: Any) -> Any:
    torch.manual_seed(5)
    return build_network(name, SAMPLE, CLASSES, functools.partial(build_neuron, neuron), **{**SIZE, **params})


def sequence() -> Tensor:
    return torch.rand(T, BATCH, *SAMPLE, generator=torch.Generator().manual_seed(1))


def normal(z: Array, map_: Any) -> Array:
    """Normalise ``z[T, B, C, H, W]`` over all but its channels."""
    mean, variance = z.mean((0, 1, 3, 4), keepdims=True), z.var((0, 1, 3, 4), keepdims=True)
    shape = (1, 1, -1, 1, 1)
    gain, bias = map_.gain.detach().numpy().reshape(shape), map_.bias.detach().numpy().reshape(shape)
    return gain * (z - mean) / np.sqrt(variance + EPSILON) + bias


def convolved(x: Array, map_: Any) -> Array:
    """Convolve every step and normalise what comes out."""
    kernel = map_.weight.detach().numpy()
    reach = kernel.shape[-1] // 2
    around = np.pad(x, ((0, 0), (0, 0), (0, 0), (reach, reach), (reach, reach)))
    windows = np.lib.stride_tricks.sliding_window_view(around, kernel.shape[2:], axis=(3, 4))
    return normal(np.einsum("tbchwij,ocij->tbohw", windows, kernel), map_)


def fired(current: Array) -> Array:
    """LIF: decay 1/2, threshold 1, soft reset."""
    v, spikes = np.zeros(current.shape[1:]), []
    for given in current:
        h = 0.5 * v + given
        spikes.append((h >= 1).astype(float))
        v = h - spikes[-1]
    return np.stack(spikes)


def largest(x: Array) -> Array:
    """Return the maximum of 3 x 3 positions, every second one."""
    around = np.pad(x, ((0, 0), (0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(around, (3, 3), axis=(3, 4))
    return windows.max((5, 6))[:, :, :, ::2, ::2]


def read_out(x: Array, linear: Any) -> Array:
    return x @ linear.weight.detach().numpy().T + linear.bias.detach().numpy()


def spikformer(net: Any, x: Array, scale: float, heads: int) -> tuple[Array, list[Array]]:
    """Return the logits, and Q, K, V of the first block, each ``[T, B, heads, N, d]``."""
    first, second = net.patches.blocks
    s = largest(fired(convolved(fired(convolved(x, first.synapse)), second.synapse)))
    s = s + fired(convolved(s, net.patches.position.synapse))
    seen = []
    for block in net.blocks:
        attention = block.attention
        steps, batch, width, height, across = s.shape
        split = []
        for part in (attention.query, attention.key, attention.value):
            spikes = fired(convolved(s, part.synapse)).reshape(steps, batch, heads, width // heads, height * across)
            split.append(spikes.swapaxes(3, 4))
        seen += split
        q, k, v = split
        attended = np.zeros_like(v)
        for i in range(height * across):
            for j in range(height * across):
                score = (q[..., i, :] * k[..., j, :]).sum(-1, keepdims=True)
                attended[..., i, :] += score * v[..., j, :]
        merged = scale * attended.swapaxes(3, 4).reshape(s.shape)
        s = s + fired(convolved(fired(merged), attention.projection.synapse))
        s = s + fired(convolved(fired(convolved(s, block.first.synapse)), block.second.synapse))
    return read_out(s.mean((3, 4)), net.readout[-1]), seen[:3]


def spike_driven(net: Any, x: Array) -> tuple[Array, list[Array]]:
    """Return the logits, and Q, K, V of the first block, each ``[T, B, D, H, W]``."""
    first, second = net.patches.blocks
    u = largest(convolved(fired(convolved(x, first.synapse)), second.synapse))
    u = u + convolved(fired(u), net.patches.position)
    seen = []
    for block in net.blocks:
        s = fired(u)
        q, k, v = (fired(convolved(s, part.synapse)) for part in (block.query, block.key, block.value))
        seen += [q, k, v]
        gate = fired((k * v).sum((3, 4), keepdims=True))
        u = u + convolved(gate * q, block.projection)
        u = u + convolved(fired(convolved(fired(u), block.first.synapse)), block.second)
    return read_out(fired(u.mean((3, 4))), net.readout), seen[:3]


def test_spikformer_follows_the_equations() -> None:
    net, x = network("spikformer", depth=2, heads=2, scale=0.5), sequence()
    logits, (q, _, _) = spikformer(net, x.numpy(), 0.5, 2)
    np.testing.assert_allclose(net.run(x).logits.detach().numpy(), logits, atol=1e-9)
    assert 0 < q.mean() < 1


def test_spike_driven_transformer_follows_the_equations() -> None:
    net, x = network("spike-driven-transformer", depth=2), sequence()
    logits, (q, _, _) = spike_driven(net, x.numpy())
    np.testing.assert_allclose(net.run(x).logits.detach().numpy(), logits, atol=1e-9)
    assert 0 < q.mean() < 1


@pytest.mark.parametrize("name", ROWS)
def test_attention_has_a_part_in_what_is_read_out(name: str) -> None:
    net, x = network(name, **({"scale": 0.5} if name == "spikformer" else {})), sequence()
    before = net.run(x).logits
    for block in net.blocks:
        map_ = block.attention.projection.synapse if name == "spikformer" else block.projection
        with torch.no_grad():
            map_.gain.zero_()
    assert not torch.allclose(before, net.run(x).logits)


def pairs_of_spikformer(q: Array, k: Array, v: Array) -> dict[str, tuple[float, float]]:
    """Return additions and dense operations of both products, pair by pair."""
    scores = np.einsum("tbhic,tbhjc->tbhij", q, k)
    tokens = q.shape[3]
    return {
        "block1.scores": (float(np.einsum("tbhic,tbhjc->", q, k)), q.size * tokens),
        "block1.sums": (float(np.einsum("tbhij,tbhjc->", (scores > 0).astype(float), v)), q.size * tokens),
    }


def pairs_of_spike_driven(q: Array, k: Array, v: Array) -> dict[str, tuple[float, float]]:
    return {"block1.coincidences": (float((k * v).sum()), q.size)}


@pytest.mark.parametrize(
    ("name", "restate", "pairs"),
    [
        ("spikformer", functools.partial(spikformer, scale=0.5, heads=2), pairs_of_spikformer),
        ("spike-driven-transformer", spike_driven, pairs_of_spike_driven),
    ],
)
def test_products_of_spikes_are_additions_for_every_pair(
    name: str, restate: Callable[..., tuple[Array, list[Array]]], pairs: Callable[..., dict[str, tuple[float, float]]]
) -> None:
    net, x = network(name, **({"scale": 0.5, "heads": 2} if name == "spikformer" else {})), sequence()
    logits, found = restate(net, x.numpy())
    for module in net.modules():  # a batch's own statistics as the running ones: what follows sees the same spikes
        if hasattr(module, "_follow"):
            module._follow = functools.partial(take, module)
    net.run(x)
    activity = count_activity(net, [x])
    torch.testing.assert_close(net.eval().run(x).logits, torch.tensor(logits), rtol=0, atol=1e-9)
    assert activity.coverage == 1
    assert activity.problems() == ()
    by_name = {synapse.name: synapse for synapse in activity.synapses}
    for product, (additions, dense) in pairs(*found).items():
        counted = by_name[product]
        assert counted.cached.accumulates == additions > 0
        assert counted.cached.multiply_accumulates == 0
        assert counted.cached.dense == dense
        assert counted.connections == dense / (T * BATCH), "of one sample at one step"
        assert counted.violations == 0
    assert sum(synapse.cached.multiply_accumulates for synapse in activity.synapses[1:]) == 0


def take(module: Any, mean: Tensor, variance: Tensor) -> None:
    module.running_mean.copy_(mean.detach())
    module.running_var.copy_(variance.detach())


def test_a_product_is_the_same_watched_or_not() -> None:
    product = SpikeProduct(matched)
    spikes = [(torch.rand(2, 3, 2, 5, 4) < 0.5).double() for _ in range(2)]
    with pytest.raises(RuntimeError, match="run the network first"):
        product.effective_weight()
    together = product.over(*spikes)
    calls: list[torch.Size] = []
    hook = product.register_forward_pre_hook(lambda _module, args: calls.append(args[0].shape))
    assert torch.equal(product.over(*spikes), together)
    assert calls == [torch.Size([1, 2, 5, 4])] * 6
    assert torch.equal(product.effective_weight(), spikes[1][-1, -1])
    hook.remove()


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("neuron", ["plif", "psn", "ternary-lif"])
def test_other_neurons_learn_in_it(name: str, neuron: str) -> None:
    torch.manual_seed(0)
    params: Any = {"T": T} if neuron == "psn" else {}
    make = functools.partial(build_neuron, neuron, **params)
    net: Any = build_network(name, SAMPLE, CLASSES, make, **SIZE)
    method = build_method("bptt")
    method.prepare(net, functools.partial(torch.optim.Adam, lr=0.02))
    x, target = sequence(), torch.arange(BATCH) % CLASSES
    assert method.gradients(x, target)["patches.blocks.0.synapse.weight"].any()
    losses = [method.update(x, target).loss for _ in range(8)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", ROWS)
def test_a_small_batch_is_learned(name: str) -> None:
    net, x, target = network(name, "if"), sequence(), torch.arange(BATCH) % CLASSES
    method = build_method("bptt")
    method.prepare(net, functools.partial(torch.optim.Adam, lr=0.02))
    losses = [method.update(x, target).loss for _ in range(25)]
    assert losses[-1] < losses[0] / 2
    work = training_work(lambda: method.accumulate(x, target), x)
    assert work.reason is None


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"channels": []}, "at least one convolution"),
        ({"kernel_size": 2}, "must be odd"),
        ({"depth": 0}, "at least 1 block"),
    ],
)
def test_bad_parameters_are_named(name: str, params: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        network(name, **params)


def test_heads_must_divide_the_width_of_a_token() -> None:
    with pytest.raises(ValueError, match="heads must divide the last of channels, 8; got 3"):
        network("spikformer", heads=3)


def test_flat_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="needs samples of shape"):
        build_network("spikformer", (7,), CLASSES, functools.partial(build_neuron, "lif"))


def test_impossible_pairs_are_sentences() -> None:
    registry = load_registry()
    for name in ROWS:
        for task, neuron, method, said in (
            ("digits", "if", "ottt-a", f"{name} is a delayed network"),
            ("shd", "if", "bptt", f"{name} takes samples of 3 dimensions"),
            ("digits", "gru", "bptt", f"not {name}"),
        ):
            sentence = why_unsupported(Cell("accuracy", task, neuron, method, name), registry)
            assert sentence is not None
            assert said in sentence
        assert why_unsupported(Cell("accuracy", "mnist", "lif", "bptt", name), registry) is None
