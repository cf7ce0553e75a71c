"""What methods that differentiate rates promise: the recursion they name, and a backward pass without time."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.catalogue.cell import Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import load_registry
from harness.golden import float64_default
from harness.measure.memory import saved_bytes
from reference_impls.api import Network, build_method, build_network, build_neuron
from reference_impls.surrogate import make_surrogate, smooth_spikes
from reference_impls.training.rate_based_bp import Response

FEATURES, CLASSES, BATCH = 6, 3, 4
ROWS = ("rate-based-bp", "rate-based-bp-single-step")


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def network(topology: str = "mlp", neuron: str = "lif", hidden: tuple[int, ...] = (8, 7), **params: Any) -> Network:
    torch.manual_seed(3)
    make = functools.partial(build_neuron, neuron, **params)
    return build_network(topology, (FEATURES,), CLASSES, make, hidden=list(hidden))


def sequence(T: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return 3 * torch.rand((T, BATCH, FEATURES), generator=generator), torch.tensor([0, 1, 2, 1])


def gradients(name: str, net: Network, x: Tensor, target: Tensor, **params: Any) -> dict[str, Tensor]:
    method = build_method(name, **params)
    method.prepare(net)
    return method.gradients(x, target)


def respond(neuron: Any, x: Tensor) -> Response:
    response = Response(neuron)
    for x_t in x:
        response.step(x_t)
    return response


@pytest.mark.parametrize(("neuron", "decay"), [("if", 1.0), ("lif", 0.5)])
def test_sensitivity_is_the_published_recursion(neuron: str, decay: float) -> None:
    x, _ = sequence(6)
    slope = make_surrogate("atan").derivative
    v, k, total = torch.zeros_like(x[0]), 1.0, torch.zeros_like(x[0])
    for x_t in x:
        h = decay * v + x_t
        total += k * slope(h - 1)
        k = 1 + decay * k
        v = h - (h >= 1).to(h.dtype)
    assert torch.allclose(respond(build_neuron(neuron), x).sensitivity, total / 6, atol=1e-14)


@pytest.mark.parametrize(
    ("neuron", "params"), [("lif-attached", {}), ("lif-hard", {"detach_reset": False}), ("lif-decay-input", {})]
)
def test_sensitivity_is_the_derivative_of_the_smooth_rate(neuron: str, params: dict[str, Any]) -> None:
    """For resets that the released code refuses: finite differences of the mean over time, input shifted throughout."""
    layer, (x, _) = build_neuron(neuron, **{"detach_reset": False, **params}), sequence(6)
    with smooth_spikes():
        found = respond(layer, x).sensitivity
        ends = [respond(layer, x + sign * 1e-6).rate for sign in (1, -1)]
    assert torch.allclose(found, (ends[0] - ends[1]) / 2e-6, atol=1e-8)


@pytest.mark.parametrize("row", ROWS)
def test_one_step_is_bptt(row: str) -> None:
    net, (x, target) = network(), sequence(1)
    bptt = gradients("bptt", net, x, target)
    for name, gradient in gradients(row, net, x, target).items():
        assert torch.allclose(gradient, bptt[name], atol=1e-15, rtol=1e-12), name


def test_read_out_has_the_exact_gradient_over_t() -> None:
    net, (x, target) = network(), sequence(7)
    bptt, found = (gradients(name, net, x, target) for name in ("bptt", "rate-based-bp"))
    for name in ("readout.weight", "readout.bias"):
        assert torch.allclose(found[name], bptt[name] / 7, atol=1e-15, rtol=1e-12), name


def test_both_orders_give_one_gradient() -> None:
    net, (x, target) = network(), sequence(7)
    by_layer, by_step = (gradients(row, net, x, target) for row in ROWS)
    for name, gradient in by_layer.items():
        assert torch.allclose(by_step[name], gradient, atol=1e-15, rtol=1e-12), name


@pytest.mark.parametrize("row", ROWS)
def test_rate_based_saves_the_same_bytes_for_any_number_of_steps(row: str) -> None:
    kept = set()
    for T in (4, 16, 64):
        net, (x, target) = network(), sequence(T)
        method = build_method(row)
        method.prepare(net)
        kept.add(saved_bytes(functools.partial(method.gradients, x, target), [x, *net.parameters()]).peak_bytes)
    assert len(kept) == 1, kept


@pytest.mark.parametrize(
    ("neuron", "topology", "sentence"),
    [
        ("if", "feedback", "rate-based-bp trains chain networks; feedback is a feedback network."),
        ("psu", "mlp", "rate-based-bp needs a neuron whose parallel is sequential; psu's is matmul."),
    ],
)
def test_rate_based_names_what_it_cannot_train(neuron: str, topology: str, sentence: str) -> None:
    cell = Cell("accuracy", "digits", neuron, "rate-based-bp", topology)
    assert why_unsupported(cell, load_registry()) == sentence
    if topology == "feedback":
        with pytest.raises(ValueError, match="chain"):
            build_method("rate-based-bp").prepare(network(topology, neuron))
