"""What e-prop promises: the gradient without paths through other neurons, exactly, for every sequential neuron."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from forward_mode import directional_derivative, flat, rtrl
from torch import Tensor
from torch.nn import functional

from harness.catalogue.cell import Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import load_registry
from harness.golden import float64_default
from harness.measure.memory import live_bytes, saved_bytes
from reference_impls.api import Network, build_method, build_network, build_neuron

FEATURES, CLASSES, BATCH, HIDDEN = 6, 3, 4, 8
REGISTRY = load_registry()
STEPPED = [
    name
    for name, row in REGISTRY.neurons.items()
    if row.capabilities.parallel == "sequential" and not row.capabilities.needs_T
]
ADAPTIVE = {"adapt_gain": [0.0] * 4 + [0.2] * 4, "tau_adapt": 5.0}


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def network(
    topology: str = "recurrent", neuron: str = "lif", neuron_params: dict[str, Any] | None = None, **params: Any
) -> Any:
    torch.manual_seed(3)
    make = functools.partial(build_neuron, neuron, **(neuron_params or {}))
    return build_network(topology, (FEATURES,), CLASSES, make, **{"hidden": [HIDDEN], **params})


def sequence(T: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return 3 * torch.randn((T, BATCH, FEATURES), generator=generator), torch.tensor([0, 1, 2, 1])


def gradients(name: str, net: Network, x: Tensor, target: Tensor, **params: Any) -> dict[str, Tensor]:
    method = build_method(name, **params)
    method.prepare(net)
    return method.gradients(x, target)


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, atol=1e-14, rtol=1e-11), name


def cut_gradients(net: Any, x: Tensor, target: Tensor, rate_cost: float = 0.0, target_rate: float = 0.0) -> Any:
    """Backpropagate, but through no spike on its way to another neuron; the mean over time of the cross-entropy."""
    (block,), state, spikes, y = net.layers(), None, None, net.readout.bias
    loss, fired = torch.zeros(()), []
    for x_t in x:
        current = block.synapse(x_t)
        state = block.neuron.init_state(current) if state is None else state
        current = current if spikes is None else current + block.lateral(spikes.detach())
        spikes, state = block.neuron.advance(current, state)
        y = net.readout_decay * y + (1 - net.readout_decay) * net.readout(spikes)
        loss = loss + functional.cross_entropy(y, target) / len(x)
        fired.append(spikes)
    rates = torch.stack(fired).mean((0, 1))
    loss = loss + rate_cost * (rates - target_rate).pow(2).sum()
    found = torch.autograd.grad(loss, list(net.parameters()))
    return dict(zip(dict(net.named_parameters()), found, strict=True)), float(loss.detach())


@pytest.mark.parametrize("readout_decay", [0.0, 0.6])
@pytest.mark.parametrize("neuron", STEPPED)
def test_without_recurrent_weights_it_is_bptt_for_every_neuron_and_its_parameters(
    neuron: str, readout_decay: float
) -> None:
    net, (x, target) = network(neuron=neuron, readout_decay=readout_decay), sequence(7)
    net.layers()[0].lateral.weight.data.zero_()
    bptt, found = (gradients(name, net, x, target, loss=loss) for name, loss in LOSSES.items())
    others = {name: gradient for name, gradient in bptt.items() if "lateral" not in name}
    assert others["blocks.0.synapse.weight"].any() or neuron == "clif"
    assert_same(found, others)


LOSSES = {"bptt": "per_step_ce", "eprop": "cross_entropy"}


def test_on_a_chain_with_one_layer_it_is_bptt() -> None:
    net, (x, target) = network("mlp", weight_standardisation=True), sequence(7)
    bptt, found = (gradients(name, net, x, target, loss=loss) for name, loss in LOSSES.items())
    assert_same(found, bptt)


@pytest.mark.parametrize("rate_cost", [0.0, 3.0])
@pytest.mark.parametrize("readout_decay", [0.0, 0.6])
@pytest.mark.parametrize(
    ("neuron", "params"),
    [("lif", {}), ("lif-hard", {}), ("plif-soft", {}), ("alif-eprop", ADAPTIVE), ("alif-lsnn", {}), ("asrnn-alif", {})],
)
def test_is_backpropagation_without_the_paths_to_other_neurons(
    neuron: str, params: dict[str, Any], readout_decay: float, rate_cost: float
) -> None:
    net, (x, target) = network(neuron=neuron, neuron_params=params, readout_decay=readout_decay), sequence(9)
    expected, loss = cut_gradients(net, x, target, rate_cost, 0.1)
    method = build_method("eprop", rate_cost=rate_cost, target_rate=0.1)
    method.prepare(net)
    assert_same(method.gradients(x, target), expected)
    assert method.accumulate(x, target).loss == pytest.approx(loss, rel=1e-12)
    assert expected["blocks.0.lateral.weight"].any()
    assert not expected["blocks.0.lateral.weight"].diagonal().any()


@pytest.mark.parametrize("diagonal", [True, False])
def test_is_rtrl_where_neurons_are_connected_with_themselves_only(diagonal: bool) -> None:
    """RTRL is the exact gradient, whatever the weights; e-prop knows the diagonal of the Jacobian."""
    net, (x, target) = network(self_connections=True, hidden=[4]), sequence(6)
    lateral = net.layers()[0].lateral.weight
    if diagonal:
        lateral.data.copy_(lateral.data.diag().diag())
    exact = rtrl(net, x, lambda logits, _t: functional.cross_entropy(logits, target) / len(x))
    bptt, found = (gradients(name, net, x, target, loss=loss) for name, loss in LOSSES.items())
    assert torch.allclose(flat(bptt), exact, atol=1e-14, rtol=1e-11)
    if diagonal:  # the gradient of a weight between two neurons, which is 0 here, still has a path that e-prop cuts
        kept = torch.eye(4).bool()
        for gradient in (bptt, found):
            gradient["blocks.0.lateral.weight"] = gradient["blocks.0.lateral.weight"][kept]
        assert_same(found, bptt)
    else:
        assert not torch.allclose(flat(found), exact, rtol=1e-3)


@pytest.mark.parametrize("topology", ["mlp", "recurrent", "feedback"])
@pytest.mark.parametrize("neuron", ["lif", "alif-eprop", "plif-soft"])
def test_bptt_is_what_a_tangent_that_goes_forward_says(topology: str, neuron: str) -> None:
    params = {"restriction": "none"} if topology == "feedback" else {}
    net, (x, target) = network(topology, neuron, hidden=[5, 4], **params), sequence(5)
    bptt = flat(gradients("bptt", net, x, target, loss="per_step_ce"))
    direction = torch.randn(bptt.shape, generator=torch.Generator().manual_seed(1))
    slope = directional_derivative(
        net, x, lambda logits, _t: functional.cross_entropy(logits, target) / len(x), direction
    )
    assert abs(float(slope - bptt @ direction)) < 1e-12
    assert abs(float(slope)) > 1e-3


def test_random_feedback_replaces_the_read_out_in_the_learning_signal_only() -> None:
    net, (x, target) = network(readout_decay=0.6), sequence(7)
    symmetric = gradients("eprop", net, x, target)
    method: Any = build_method("eprop-random")
    method.prepare(net)
    other = method.gradients(x, target)
    for name in ("readout.weight", "readout.bias"):
        assert torch.equal(other[name], symmetric[name]), name
    assert not torch.allclose(other["blocks.0.synapse.weight"], symmetric["blocks.0.synapse.weight"], rtol=1e-2)
    method.feedback_weight.data.copy_(net.readout.weight)
    assert_same(method.gradients(x, target), symmetric)
    before = method.feedback_weight.clone()
    method.optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    method.update(x, target)
    assert torch.equal(method.feedback_weight, before)


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_adaptive_feedback_receives_the_updates_of_the_read_out(name: str) -> None:
    net, (x, target) = network(), sequence(7)
    make: Any = {"sgd": torch.optim.SGD, "adam": torch.optim.AdamW}[name]
    method: Any = build_method("eprop-adaptive")
    method.prepare(net, functools.partial(make, lr=0.05, weight_decay=0.1))
    with torch.no_grad():
        distance = method.feedback_weight - net.readout.weight
        for _ in range(5):
            method.update(x, target)
            distance = distance * (1 - 0.05 * 0.1)  # what the decay does to both
        assert torch.allclose(method.feedback_weight - net.readout.weight, distance, atol=1e-12)


def test_feedback_and_weights_align_while_it_learns() -> None:
    x, target = sequence(10)
    cosines = []
    for updates in (0, 60):
        net = network(hidden=[32], readout_decay=0.5)
        method = build_method("eprop-random")
        method.prepare(net, functools.partial(torch.optim.Adam, lr=0.01))
        for _ in range(updates):
            method.update(x, target)
        bptt, found = gradients("bptt", net, x, target, loss="per_step_ce"), method.gradients(x, target)
        name = "blocks.0.synapse.weight"
        cosines.append(float(functional.cosine_similarity(bptt[name].flatten(), found[name].flatten(), dim=0)))
    assert cosines[1] > cosines[0] + 0.2, cosines


def test_symmetric_gradients_point_where_those_of_bptt_do() -> None:
    net, (x, target) = network(), sequence(10)
    bptt, found = (gradients(name, net, x, target, loss=loss) for name, loss in LOSSES.items())
    for name, gradient in bptt.items():
        assert float(functional.cosine_similarity(gradient.flatten(), found[name].flatten(), dim=0)) > 0.5, name


def test_online_update_tends_to_accumulated_as_the_step_shrinks() -> None:
    x, target = sequence(7)
    accumulated, errors = flat(gradients("eprop", network(readout_decay=0.6), x, target)), []
    for rate in (1e-2, 1e-3, 1e-4):
        net = network(readout_decay=0.6)
        before = flat(dict(net.named_parameters()))
        method = build_method("eprop-online")
        method.prepare(net, functools.partial(torch.optim.SGD, lr=rate))
        assert method.update(x, target).updates == 7
        moved = (before - flat(dict(net.named_parameters()))) / rate
        errors.append(float((moved - accumulated).norm() / accumulated.norm()))
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 1e-3


def test_decision_steps_silence_the_loss_before_them() -> None:
    net, (x, target) = network(readout_decay=0.6), sequence(7)
    late = gradients("eprop", net, x, target, decision_steps=2)
    logits = net.run(x).logits
    expected = torch.stack([functional.cross_entropy(step, target) for step in logits[-2:]]).mean()
    bias = torch.autograd.grad(expected, net.readout.bias)[0]
    assert torch.allclose(late["readout.bias"], bias, atol=1e-14)
    method = build_method("eprop", decision_steps=2)
    method.prepare(net)
    assert torch.equal(method.predict(x), logits[-2:].mean(0))


@pytest.mark.parametrize(("neuron", "readout_decay"), [("lif", 0.0), ("alif-eprop", 0.6)])
def test_eprop_keeps_the_same_bytes_for_any_number_of_steps(neuron: str, readout_decay: float) -> None:
    kept, alive = set(), set()
    for T in (8, 16, 64):
        net, (x, target) = network(neuron=neuron, readout_decay=readout_decay), sequence(T)
        method = build_method("eprop", rate_cost=1.0)
        method.prepare(net)
        work = functools.partial(method.gradients, x, target)
        kept.add(saved_bytes(work, [x, *net.parameters()]).peak_bytes)
        alive.add(live_bytes(work).peak_bytes)
    assert len(kept) == 1, kept
    assert len(alive) == 1, alive


def test_a_lif_has_one_trace_for_all_neurons_and_an_alif_one_for_each() -> None:
    x, _ = sequence(7)
    shapes = {}
    for neuron in ("lif-eprop", "alif-eprop"):
        method: Any = build_method("eprop")
        method.prepare(network(neuron=neuron))
        walk = method.begin(x)
        for _ in walk.losses(torch.tensor([0, 1, 2, 1])):
            pass
        parts = {name: walk.layer.traces.synapses.part(index) for index, name in enumerate(("v", "b"))}
        shapes[neuron] = {name: part.shape[2] for name, part in parts.items() if part is not None}
    assert shapes["lif-eprop"]["v"] == shapes["alif-eprop"]["v"] == 1
    assert shapes["alif-eprop"]["b"] == HIDDEN


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        (Cell("accuracy", "digits", "if", "eprop", "feedback"), "eprop trains recurrent and chain networks; feedback"),
        (
            Cell("accuracy", "digits-rows", "if", "eprop", "mlp"),
            "eprop trains networks of at most 1 hidden layer; the mlp network of digits-rows has 2.",
        ),
        (
            Cell("accuracy", "digits", "if", "eprop", "conv"),
            "eprop trains fully connected layers; conv has convolutions.",
        ),
        (Cell("accuracy", "digits", "glif", "eprop", "mlp"), "a neuron whose needs_T is False; glif's is True."),
        (Cell("accuracy", "digits", "psn", "bptt", "recurrent"), "recurrent needs a neuron's spikes step by step"),
        (Cell("accuracy", "digits", "if", "eprop", "recurrent"), ""),
    ],
)
def test_what_cannot_be_is_said(cell: Cell, sentence: str) -> None:
    reason = why_unsupported(cell, REGISTRY)
    assert sentence in reason if sentence and reason else reason is None


@pytest.mark.parametrize(
    ("net", "problem"),
    [
        (functools.partial(network, "mlp", hidden=[8, 7]), "one hidden layer"),
        (functools.partial(network, "feedback"), "feedback"),
        (functools.partial(network, "mlp", "psu"), "sequential"),
        (functools.partial(network, "recurrent", "glif", {"T": 5}), "does more in a time step"),
    ],
)
def test_a_network_that_eprop_cannot_train_is_refused(net: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        build_method("eprop").prepare(net())
