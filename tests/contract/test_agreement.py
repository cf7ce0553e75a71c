"""Gradients beside BPTT's, per layer: what must agree does, and forward-mode differentiation finds the same slope."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from structures import TOPOLOGY_OF

from harness.catalogue.loading import load_registry
from harness.conformance.agreement import LAYERS, TOGETHER, LayerAgreement, agreement, compared
from harness.conformance.methods import MethodSubject
from harness.golden import float64_default
from reference_impls.api import build_method, build_network, build_neuron

REGISTRY = load_registry()


def layers_of(method: str, topology: str = "mlp") -> dict[str, LayerAgreement]:
    found = agreement(MethodSubject(REGISTRY.methods[method], "if", topology, REGISTRY))
    return {layer.layer: layer for layer in found}


CLASSIFIERS = [name for name, row in REGISTRY.methods.items() if "classes" in row.capabilities.targets]


@pytest.mark.parametrize("method", CLASSIFIERS)
def test_every_method_is_compared_layer_by_layer(method: str) -> None:
    able = REGISTRY.methods[method].capabilities
    for structure in able.structures:
        if structure not in REGISTRY.methods["bptt"].capabilities.structures:
            continue
        found = layers_of(method, TOPOLOGY_OF[structure])
        assert TOGETHER in found
        assert len(found) >= 2 + min(LAYERS, able.hidden_layers or LAYERS)
        together = found[TOGETHER]
        assert together.cosine is not None
        assert -1 - 1e-9 <= together.cosine <= 1 + 1e-9


@pytest.mark.parametrize("method", ["bptt", "bptt-tet", "bptt-checkpointed"])
@pytest.mark.parametrize("topology", ["mlp", "nf-resnet", "feedback"])
def test_bptt_agrees_with_itself(method: str, topology: str) -> None:
    for layer in layers_of(method, topology).values():
        assert layer.relative_error is None or layer.relative_error < 1e-12, layer


def test_ottt_agrees_where_its_paper_says() -> None:
    """Exact switches: the read-out and the last hidden layer are BPTT's, what lies below is not."""
    found = layers_of("ottt-exact")
    assert found["readout"].relative_error == pytest.approx(0, abs=1e-12)
    assert found["layer2"].relative_error == pytest.approx(0, abs=1e-12)
    assert found["layer1"].relative_error is not None
    assert found["layer1"].relative_error > 1e-3
    official = layers_of("ottt-a")["readout"].relative_error
    assert official is not None
    assert official > 1e-3


def test_the_figures_are_what_they_say() -> None:
    with float64_default():
        net = build_network("mlp", (2,), 2, lambda: build_neuron("if"), hidden=[1])
    zero = {name: torch.zeros_like(parameter) for name, parameter in net.named_parameters()}
    ones = {name: torch.ones_like(parameter) for name, parameter in net.named_parameters()}
    (first, *_), (against_nothing, *_) = (
        compared(net, {name: -2 * value for name, value in ones.items()}, expected) for expected in (ones, zero)
    )
    assert (first.layer, first.parameters) == ("layer1", 3)
    assert first.cosine == pytest.approx(-1)
    assert first.relative_error == pytest.approx(3)
    assert first.norm_ratio == pytest.approx(2)
    assert (against_nothing.cosine, against_nothing.relative_error, against_nothing.norm_ratio) == (None, None, None)


@pytest.mark.parametrize(
    ("neuron", "topology"),
    [
        ("lif", "mlp"),
        ("lif-attached", "feedback"),
        ("lif-hard", "mlp"),
        *((name, "mlp") for name in ("if", "plif", "klif", "clif", "cuba-lif", "se-adlif", "alif-lsnn", "ternary-lif")),
    ],
)
@pytest.mark.parametrize("loss", ["rate_ce", "tet"])
def test_a_derivative_carried_forward_is_bptts_gradient_along_it(neuron: str, topology: str, loss: str) -> None:
    torch.manual_seed(4)
    x, target = 3 * torch.rand(5, 4, 6, dtype=torch.float64), torch.tensor([0, 1, 2, 1])
    with float64_default():
        net = build_network(topology, (6,), 3, functools.partial(build_neuron, neuron), hidden=[8, 7])
        bptt, forward = build_method("bptt", loss=loss), build_method("forward-gradient", loss=loss)
        bptt.prepare(net)
        gradient = bptt.gradients(x, target)
        forward.prepare(net)
        direction = {name: torch.randn_like(value) for name, value in net.named_parameters()}
        subject: Any = forward
        state = {name: value.clone() for name, value in net.state_dict().items()}
        value, slope = subject.slope(x, target, direction)
        assert all(torch.equal(state[name], now) for name, now in net.state_dict().items())
        assert float(value) == pytest.approx(bptt.accumulate(x, target).loss, rel=1e-12)
    expected = sum(float((gradient[name] * direction[name]).sum()) for name in gradient)
    assert expected != 0
    assert float(slope) == pytest.approx(expected, rel=1e-9, abs=1e-10)


def test_forward_gradients_average_to_bptts() -> None:
    torch.manual_seed(1)
    x, target = 3 * torch.rand(4, 4, 3), torch.tensor([0, 1, 1, 0])
    net = build_network("mlp", (3,), 2, lambda: build_neuron("lif"), hidden=[4])
    bptt, forward = build_method("bptt"), build_method("forward-gradient", directions=400)
    bptt.prepare(net)
    expected = torch.cat([value.flatten() for value in bptt.gradients(x, target).values()])
    forward.prepare(net)
    found = torch.cat([value.flatten() for value in forward.gradients(x, target).values()])
    assert float((found - expected).norm() / expected.norm()) < 4 * (expected.numel() / 400) ** 0.5
    assert float(torch.cosine_similarity(found, expected, dim=0)) > 0.9
