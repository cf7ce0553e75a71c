"""What DECOLLE promises: every layer learns from its own read-out and its own past, and from nothing else."""

from __future__ import annotations

import functools
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
from harness.measure.memory import live_bytes, saved_bytes
from reference_impls.api import build_method, build_network, build_neuron, over_time

FEATURES, CLASSES, BATCH = 6, 3, 4
FIRST = "blocks.0.synapse.weight"
SECOND = "blocks.1.synapse.weight"


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def network(topology: str = "mlp", neuron: str = "lif", shape: tuple[int, ...] = (FEATURES,), **params: Any) -> Any:
    torch.manual_seed(3)
    return build_network(topology, shape, CLASSES, functools.partial(build_neuron, neuron), **params)


def sequence(T: int, shape: tuple[int, ...] = (FEATURES,)) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return 3 * torch.randn((T, BATCH, *shape), generator=generator), torch.tensor([0, 1, 2, 1])


def prepared(net: Any, **params: Any) -> Any:
    torch.manual_seed(7)
    method = build_method("decolle", **params)
    method.prepare(net)
    return method


def summed_loss(logits: Tensor, target: Tensor) -> Tensor:
    rows = functional.one_hot(target, CLASSES).to(logits)
    return torch.stack([functional.smooth_l1_loss(step, rows) for step in logits]).sum()


def test_no_gradient_crosses_layers() -> None:
    net, (x, target) = network(hidden=[8, 7]), sequence(6)
    method = prepared(net)
    before = method.gradients(x, target)
    net.blocks[1].synapse.weight.data.mul_(-1.5)
    net.readout.weight.data.mul_(3)
    after = method.gradients(x, target)
    assert torch.equal(after[FIRST], before[FIRST])
    assert before[FIRST].any()
    assert not torch.equal(after[SECOND], before[SECOND])
    method.readouts[0][1].weight.data.mul_(2)
    last = method.gradients(x, target)
    assert torch.equal(last[SECOND], after[SECOND])
    assert not torch.equal(last[FIRST], after[FIRST])


def test_over_time_only_the_trace_of_the_input_goes_forward() -> None:
    """The published rule by hand, on the authors' neuron: dW[t] = (G^T dL/dr) / (10 |u| + 1)^2 P[t]^T."""
    net, (x, target) = network(neuron="decolle-lif", hidden=[8]), sequence(6)
    net.blocks[0].synapse.bias.data.zero_()
    method, expected = prepared(net), torch.zeros(8, FEATURES)
    q = p = torch.zeros(BATCH, FEATURES)
    r = s = torch.zeros(BATCH, 8)
    rows = functional.one_hot(target, CLASSES).to(x)
    for x_t in x:
        p, q = 0.9 * p + 0.1 * q, 0.85 * q + 0.15 * x_t
        r = 0.65 * r - 0.35 * s
        u = p @ net.blocks[0].synapse.weight.detach().t() + r
        s = (u > 0).to(x.dtype)
        error = (net.readout(s) - rows).clamp(-1, 1).detach() / rows.numel()
        du = error @ net.readout.weight.detach() / (10 * u.abs() + 1) ** 2
        expected += du.t() @ p
    assert torch.allclose(method.gradients(x, target)[FIRST], expected, atol=1e-14, rtol=1e-11)


@pytest.mark.parametrize(
    ("topology", "neuron", "params"),
    [
        ("mlp", "lif", {"hidden": [8]}),
        ("mlp", "lif-hard", {"hidden": [8]}),
        ("mlp", "plif", {"hidden": [8]}),
        ("conv", "if", {"channels": [3], "pool": 2}),
        ("conv", "lif", {"channels": [3], "pool": 1}),
        ("conv", "decolle-lif", {"channels": [3], "pool": 2}),
        ("conv", "lif-hard", {"channels": [3], "pool": 2}),
        ("conv", "clif", {"channels": [3], "pool": 1}),
        ("conv", "klif", {"channels": [3], "pool": 2}),
    ],
)
def test_one_layer_with_a_cut_reset_is_bptt_on_its_read_out(topology: str, neuron: str, params: dict[str, Any]) -> None:
    shape = (2, 6, 6) if topology == "conv" else (FEATURES,)
    net, (x, target) = network(topology, neuron, shape, **params), sequence(7, shape)
    method = prepared(net)
    found = method.gradients(x, target)
    summed_loss(net.run(x).logits, target).backward()
    for name, parameter in net.blocks.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.any(), name
        assert torch.allclose(found[f"blocks.{name}"], parameter.grad, atol=1e-14, rtol=1e-11), name


def test_convolutions_below_the_first_see_the_traces_of_their_input() -> None:
    shape = (1, 8, 8)
    net, (x, target) = network("conv", "lif", shape, channels=[3, 4]), sequence(5, shape)
    method = prepared(net)
    found = method.gradients(x, target)
    with torch.no_grad():
        z = net.blocks[0].neuron(over_time(net.blocks[0].synapse, x))
    spikes = net.blocks[1].neuron(over_time(net.blocks[1].synapse, z))
    logits = torch.stack([net.readout(s) for s in spikes])
    (gradient,) = torch.autograd.grad(summed_loss(logits, target), net.blocks[1].synapse[1].weight)
    assert torch.allclose(found["blocks.1.synapse.1.weight"], gradient, atol=1e-14, rtol=1e-11)


@pytest.mark.parametrize("update", ["online", "accumulated"])
def test_read_outs_stand_still(update: str) -> None:
    net, (x, target) = network(hidden=[8, 7]), sequence(6)
    method: Any = build_method("decolle", update=update)
    method.prepare(net, functools.partial(torch.optim.AdamW, lr=0.1))
    report = method.update(x, target)
    assert report.updates == (6 if update == "online" else 1)
    before = [value.clone() for readout in method.readouts for value in readout.parameters()]
    weight = net.blocks[0].synapse.weight.clone()
    method.update(x, target)
    after = [value for readout in method.readouts for value in readout.parameters()]
    assert len(before) == 4
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert not torch.equal(weight, net.blocks[0].synapse.weight)


@pytest.mark.parametrize("neuron", ["lif", "decolle-lif"])
def test_online_update_tends_to_accumulated_as_the_step_shrinks(neuron: str) -> None:
    x, target = sequence(7)
    accumulated = prepared(network(neuron=neuron, hidden=[8, 7])).gradients(x, target)[SECOND]
    errors = []
    for rate in (1e-2, 1e-3, 1e-4):
        net = network(neuron=neuron, hidden=[8, 7])
        before = net.blocks[1].synapse.weight.detach().clone()
        method = prepared(net)
        method.optimizer = torch.optim.SGD(net.parameters(), lr=rate)
        method.update(x, target)
        moved = (before - net.blocks[1].synapse.weight.detach()) / rate
        errors.append(float((moved - accumulated).norm() / accumulated.norm()))
    assert errors[2] < errors[0]
    assert errors[2] < 1e-3


def test_burn_in_is_simulated_or_as_released_skipped() -> None:
    net, (x, target) = network(hidden=[8]), sequence(7)
    simulated, released = (prepared(net, burn_in=3, start=start) for start in ("rest", "released"))
    assert torch.equal(simulated.predict(x), net.run(x).logits[3:].mean(0))
    assert torch.equal(released.predict(x), net.run(x[[0, 3, 4, 5, 6]]).logits[1:].mean(0))
    for method, seen in ((simulated, x), (released, x[[0, 3, 4, 5, 6]])):
        found = method.gradients(x, target)[FIRST]
        loss = summed_loss(net.run(seen).logits[-4:], target)
        (gradient,) = torch.autograd.grad(loss, net.blocks[0].synapse.weight)
        assert torch.allclose(found, gradient, atol=1e-14, rtol=1e-11)
    with pytest.raises(ValueError, match="leaves nothing of 3 time steps"):
        prepared(net, burn_in=3).predict(x[:3])


@pytest.mark.parametrize("neuron", ["lif", "decolle-lif"])
def test_decolle_keeps_the_same_bytes_for_any_number_of_steps(neuron: str) -> None:
    kept, alive = set(), set()
    for T in (8, 16, 64):
        net, (x, target) = network(neuron=neuron, hidden=[8, 7]), sequence(T)
        method = prepared(net)
        method.gradients(x, target)  # draws the read-outs
        work = functools.partial(method.gradients, x, target)
        kept.add(saved_bytes(work, [x, *net.parameters()]).peak_bytes)
        alive.add(live_bytes(work).peak_bytes)
    assert len(kept) == 1, kept
    assert len(alive) == 1, alive


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        (Cell("accuracy", "digits", "if", "decolle", "feedback"), "decolle trains chain networks; feedback is a"),
        (Cell("accuracy", "digits", "psu", "decolle", "mlp"), "decolle needs a neuron whose parallel is sequential"),
    ],
)
def test_what_decolle_cannot_train_is_said(cell: Cell, sentence: str) -> None:
    assert sentence in (why_unsupported(cell, load_registry()) or "")
    with pytest.raises(ValueError, match=r"chain|sequential"):
        prepared(network(cell.topology, cell.neuron, hidden=[8]))
