"""What the adaptive neurons promise beyond the contract of every neuron, in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from harness.golden import float64_default
from reference_impls.api import build_neuron
from reference_impls.neurons._adaptive import within


def spikes_and_gradient(name: str, x: Tensor, **params: Any) -> tuple[Tensor, Tensor]:
    with float64_default():
        neuron = build_neuron(name, shape=x.shape[2:], **params)
    leaf = x.clone().requires_grad_()
    spikes = neuron(leaf)
    (spikes * torch.linspace(-1, 1, spikes.numel()).view(spikes.shape)).sum().backward()
    assert leaf.grad is not None
    return spikes.detach(), leaf.grad


def current(steps: int = 40) -> Tensor:
    return torch.randn(steps, 2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3 + 1


def test_paper_form_of_lsnn_is_the_adaptive_srnn_neuron_that_begins_unadapted() -> None:
    shared: dict[str, Any] = {"v_threshold": 0.1, "adapt_gain": 1.8, "surrogate": "multi_gaussian"}
    ours = spikes_and_gradient("alif-lsnn", current(), tau=12.0, tau_adapt=90.0, **shared)
    srnn = spikes_and_gradient("asrnn-alif", current(), tau_m=12.0, tau_adp=90.0, adapt_init=0.0, **shared)
    assert torch.equal(ours[0], srnn[0])
    assert torch.allclose(ours[1], srnn[1], atol=1e-12)


def test_released_lsnn_fires_on_the_membrane_before() -> None:
    x = torch.zeros(4, 1, 1, dtype=torch.float64)
    x[0] = 10.0
    firsts = {name: int(build_neuron(name)(x).flatten().argmax()) for name in ("alif-lsnn", "alif-lsnn-released")}
    assert firsts == {"alif-lsnn": 0, "alif-lsnn-released": 1}


@pytest.mark.parametrize("rest", [1, 3])
def test_refractory_neuron_keeps_silent_for_its_rest(rest: int) -> None:
    x = torch.full((20, 1, 1), 50.0, dtype=torch.float64)
    spikes = build_neuron("alif-lsnn", adapt_gain=0.0, n_refractory=rest)(x).flatten()
    assert spikes.nonzero().diff(dim=0).unique().tolist() == [rest + 1]


def test_surrogate_relative_to_the_threshold_carries_its_inverse() -> None:
    x = torch.zeros(1, 1, 1, dtype=torch.float64, requires_grad=True)
    build_neuron("alif-lsnn", v_threshold=0.5, decay=0.0, surrogate="triangle_lsnn")(x + 0.4).sum().backward()
    assert x.grad is not None
    assert x.grad.item() == pytest.approx(0.3 * (1 - 0.2) / 0.5)


def test_a_part_of_the_neurons_may_adapt() -> None:
    mixed = build_neuron("alif-lsnn", adapt_gain=[1.6, 1.6, 0.0, 0.0, 0.0])
    x = current()
    with float64_default():
        adapting, plain = (build_neuron("alif-lsnn", adapt_gain=gain)(x) for gain in (1.6, 0.0))
    spikes = mixed.double()(x)
    assert torch.equal(spikes[..., :2], adapting[..., :2])
    assert torch.equal(spikes[..., 2:], plain[..., 2:])


def test_symplectic_stays_bounded_where_forward_diverges() -> None:
    x = torch.zeros(1000, 1, 1, dtype=torch.float64)
    x[0] = 1.0
    set_up: dict[str, Any] = {"q": 120.0, "a": 1.0, "tau_u_mix": 1.0, "tau_w_mix": 0.0, "v_threshold": 1e9}
    largest = {}
    for name in ("se-adlif", "ef-adlif"):
        with float64_default():
            neuron = build_neuron(name, shape=(1,), **set_up)
        largest[name] = abs(float(neuron.run(x).state.v.detach()))
    assert largest["se-adlif"] < 1 < largest["ef-adlif"]


def test_clamped_value_passes_the_gradient_that_leads_back() -> None:
    value = torch.tensor([-0.5, -0.5, 0.5, 0.5, 1.5, 1.5], requires_grad=True)
    inside = within(value, 0.0, 1.0)
    inside.backward(torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0]))
    assert inside.tolist() == [0.0, 0.0, 0.5, 0.5, 1.0, 1.0]
    assert value.grad is not None
    assert value.grad.tolist() == [0.0, -1.0, 1.0, -1.0, 1.0, 0.0]
