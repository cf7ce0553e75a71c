"""What learning takes, counted from what ran: hand counts of one update, one rule for all methods."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from harness.measure.arithmetic import FP32_45NM, Arithmetic
from harness.measure.products import is_choice, is_gate
from harness.measure.training_energy import training_work
from reference_impls.api import build_method, build_network, build_neuron


def test_a_linear_layer_by_hand() -> None:
    weight = torch.rand(4, 5, generator=torch.Generator().manual_seed(0)).add(0.5).requires_grad_()
    x = torch.tensor([[1.5, 0.0, 2.5, 0.0, 3.0], [1.0, 0.5, 0.0, 0.0, 0.0]])  # 5 entries that are not 0

    def learn() -> None:
        functional.linear(x, weight).backward(torch.full((2, 4), 0.3) * torch.arange(1.0, 9.0).view(2, 4))

    found = training_work(learn, x.unsqueeze(0))
    assert found.reason is None
    assert found.parts["forward products"] == Arithmetic(5 * 4, 5 * 4).times(1 / 2)
    # The weights' gradient: every entry of x that is not 0 with all four errors. None goes back to x.
    assert found.parts["backward products"] == Arithmetic(5 * 4, 5 * 4).times(1 / 2)


def test_spikes_of_any_height_are_added_and_zeros_are_skipped() -> None:
    weight = torch.rand(4, 5, generator=torch.Generator().manual_seed(0)) + 0.5
    spikes = torch.tensor([[0.0, 0.5, -0.5, 0.0, 0.0]])
    found = training_work(lambda: functional.linear(spikes, weight), spikes.unsqueeze(0))
    assert found.parts["forward products"] == Arithmetic(additions=2 * 4)
    pruned = weight.clone()
    pruned[:3, 1] = 0
    found = training_work(lambda: functional.linear(spikes, pruned), spikes.unsqueeze(0))
    assert found.parts["forward products"] == Arithmetic(additions=4 + 1)
    assert is_choice(spikes)
    assert not is_gate(spikes)
    assert not is_choice(torch.tensor([0.5, 0.25]))


def test_convolutions_count_pairs_inside_the_border_forwards_and_backwards() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(1, 2, 3, padding=1, bias=False)
    x = (torch.rand(1, 1, 4, 4) + 0.5).requires_grad_()
    pairs = 2 * (4 * 4 + 8 * 6 + 4 * 9)
    found = training_work(lambda: layer(x).backward(torch.rand(1, 2, 4, 4) + 0.5), x.unsqueeze(0))
    assert found.parts["forward products"] == Arithmetic(pairs, pairs)
    assert found.parts["backward products"] == Arithmetic(2 * pairs, 2 * pairs)


def test_a_constant_input_is_multiplied_once_whoever_walks_over_time() -> None:
    weight = torch.rand(4, 5, generator=torch.Generator().manual_seed(0)) + 0.5
    x = (torch.rand(3, 5) + 0.5).expand(6, 3, 5)
    at_once = training_work(lambda: functional.linear(x[0], weight), x)
    stepwise = training_work(lambda: [functional.linear(x_t, weight) for x_t in x], x)
    assert at_once.parts["forward products"] == stepwise.parts["forward products"] == Arithmetic(20, 20)
    assert at_once.kept_products == 0
    assert stepwise.kept_products == 5 * 2 * 20
    moving = torch.rand(6, 3, 5) + 0.5
    changing = training_work(lambda: [functional.linear(x_t, weight) for x_t in moving], moving)
    assert changing.parts["forward products"] == Arithmetic(6 * 20, 6 * 20)


def test_an_operator_without_energy_is_named_and_there_is_no_figure() -> None:
    x = torch.rand(2, 3, 4)
    found = training_work(lambda: torch.special.bessel_j0(x), x)
    assert found.reason == "no energy is known for special_bessel_j0"


def of(method: str, topology: str = "mlp", T: int = 6) -> dict[str, float]:
    torch.manual_seed(0)
    network = build_network(topology, (8,), 5, functools.partial(build_neuron, "if"), hidden=[12, 10])
    trained = build_method(method)
    trained.prepare(network)
    x = (torch.rand(4, 8) * 2).expand(T, 4, 8)
    found = training_work(lambda: trained.accumulate(x, torch.arange(4)), x)
    assert found.reason is None
    return found.joules(FP32_45NM)


@pytest.mark.parametrize("method", ["bptt-tet", "bptt-checkpointed", "ottt-a", "sltt"])
def test_methods_that_simulate_alike_pay_alike_for_it(method: str) -> None:
    network_alone = of("bptt")["forward products"]
    paid = of(method)["forward products"]
    # OTTT's traces are fed forward as well; nobody pays for the input more than once.
    assert network_alone <= paid * (1 + 1e-9)
    assert paid <= 2 * network_alone


def test_the_backward_pass_of_bptt_grows_with_time_and_that_of_sltt_k_does_not() -> None:
    assert of("bptt", T=12)["backward products"] > 1.7 * of("bptt", T=6)["backward products"]
    assert of("sltt-k", T=12)["backward products"] < 1.3 * of("sltt-k", T=6)["backward products"]


def test_iterations_of_a_solver_are_counted() -> None:
    solved, free = (sum(of(name, "feedback").values()) for name in ("ide", "ide-jacobian-free"))
    assert solved > 1.5 * free


def test_counting_leaves_the_gradient_alone() -> None:
    def gradients(counted: bool) -> dict[str, Tensor]:
        torch.manual_seed(0)
        network = build_network("mlp", (8,), 5, functools.partial(build_neuron, "lif"), hidden=[12])
        method = build_method("bptt")
        method.prepare(network)
        x, target = torch.rand(5, 4, 8) * 2, torch.arange(4)
        if counted:
            training_work(lambda: method.accumulate(x, target), x)
        else:
            method.accumulate(x, target)
        return {name: parameter.grad for name, parameter in network.named_parameters() if parameter.grad is not None}

    plain, counted = gradients(counted=False), gradients(counted=True)
    assert plain.keys() == counted.keys()
    assert all(torch.equal(plain[name], counted[name]) for name in plain)
