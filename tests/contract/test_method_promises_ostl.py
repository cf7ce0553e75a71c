"""OSTL's gradient beside autograd with the same paths cut, and beside BPTT where there are none to cut."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from harness.golden import float64_default
from reference_impls.api import build_method, build_network, build_neuron

T, CLASSES = 6, 3
TARGET = torch.tensor([0, 1, 2, 1])
NEURONS = ("lif", "lif-attached", "cuba-lif", "tc-lif", "alif-lsnn")


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def network(neuron: str, hidden: list[int]) -> Any:
    torch.manual_seed(3)
    net = build_network("mlp", (6,), CLASSES, functools.partial(build_neuron, neuron), hidden=hidden)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "neuron" not in name:
                parameter *= 3
    return net


def sequence() -> Tensor:
    return 3 * torch.rand(T, len(TARGET), 6, generator=torch.Generator().manual_seed(5))


def gradients(name: str, net: Any, **params: Any) -> dict[str, Tensor]:
    method = build_method(name, **params)
    method.prepare(net)
    return method.gradients(sequence(), TARGET)


def cut(state: Any) -> Any:
    return type(state)(*(part.detach() for part in state))


def by_autograd(net: Any) -> dict[str, Tensor]:
    """For every layer the gradient with the states of all layers above it cut, and its input held."""
    found: dict[str, Tensor] = {}
    blocks = net.layers()
    for chosen, block in enumerate([*blocks, net]):
        net.zero_grad()
        states: list[Any] = [None] * len(blocks)
        loss: Any = 0.0
        for signal in sequence():
            for index, each in enumerate(blocks):
                current = each.synapse(signal)
                state = each.neuron.init_state(current.detach()) if states[index] is None else states[index]
                state = cut(state) if index > chosen else state
                signal, states[index] = each.neuron.step(current, state, each.neuron.step_params())
                signal = signal.detach() if index < chosen else signal
            loss = loss + functional.cross_entropy(net.readout(signal), TARGET) / T
        loss.backward()
        own = net.readout if block is net else block
        found |= {id(parameter): parameter.grad.clone() for parameter in own.parameters() if parameter.grad is not None}  # type: ignore[misc]
    return {name: found.get(id(parameter), torch.zeros_like(parameter)) for name, parameter in net.named_parameters()}  # type: ignore[call-overload]


@pytest.mark.parametrize("neuron", NEURONS)
def test_three_layers_have_the_gradient_without_mixed_paths(neuron: str) -> None:
    net = network(neuron, [8, 7, 6])
    found, expected = gradients("ostl", net), by_autograd(net)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-9, atol=1e-13)
    assert all(gradient.any() for name, gradient in found.items() if name.endswith("weight"))


@pytest.mark.parametrize("neuron", NEURONS)
def test_one_hidden_layer_has_the_gradient_of_bptt(neuron: str) -> None:
    net = network(neuron, [8])
    found, expected = gradients("ostl", net), gradients("bptt", net, loss="per_step_ce")
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-9, atol=1e-13)


def test_with_lif_it_is_ottt_with_exact_switches() -> None:
    net = network("lif", [8, 7])
    found, expected = gradients("ostl", net), gradients("ottt-exact", net, mse_weight=0.0)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-9, atol=1e-13)
    bptt = gradients("bptt", net, loss="per_step_ce")
    assert not torch.allclose(found["blocks.0.synapse.weight"], bptt["blocks.0.synapse.weight"])


def test_recurrent_networks_are_refused() -> None:
    net = build_network("recurrent", (6,), CLASSES, functools.partial(build_neuron, "lif"), hidden=[4])
    with pytest.raises(ValueError, match="Jacobian of a whole layer"):
        build_method("ostl").prepare(net)
