"""What the papers promise of each training method, shown on small networks in float64."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.golden import float64_default
from reference_impls.api import Network, build_method, build_network, build_neuron
from reference_impls.surrogate import smooth_spikes
from reference_impls.synapses import standardised
from reference_impls.training._equilibrium import simulate

FEATURES, CLASSES, BATCH = 6, 3, 4


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def network(topology: str = "mlp", hidden: tuple[int, ...] = (8,), neuron: str = "lif", **params: Any) -> Network:
    torch.manual_seed(3)
    options = {"restriction": "none"} if topology == "feedback" else {}
    make = functools.partial(build_neuron, neuron, **params)
    return build_network(topology, (FEATURES,), CLASSES, make, hidden=list(hidden), **options)


def sequence(T: int, constant: bool = False) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    shape = (BATCH, FEATURES) if constant else (T, BATCH, FEATURES)
    x = torch.rand(shape, generator=generator) * 2
    return (x.expand(T, *shape) if constant else x), torch.tensor([0, 1, 2, 1])


def gradients(name: str, net: Network, x: Tensor, target: Tensor, **params: Any) -> dict[str, Tensor]:
    method = build_method(name, **params)
    method.prepare(net)
    return method.gradients(x, target)


def relative_error(ours: Mapping[str, Tensor], reference: Mapping[str, Tensor]) -> float:
    difference = torch.cat([(ours[name] - reference[name]).flatten() for name in reference])
    return float(difference.norm() / torch.cat([value.flatten() for value in reference.values()]).norm())


def test_ottt_with_exact_switches_is_bptt() -> None:
    net, (x, target) = network(), sequence(7)
    bptt = gradients("bptt", net, x, target, loss="per_step_ce")
    exact = gradients("ottt-exact", net, x, target, mse_weight=0.0)
    official = gradients("ottt-a", net, x, target, mse_weight=0.0)
    for name, gradient in bptt.items():
        assert torch.allclose(exact[name], gradient, atol=1e-15, rtol=1e-12), name
    assert relative_error(official, bptt) > 0.01


def test_ottt_exact_is_bptt_in_the_last_hidden_layer_of_a_deep_network() -> None:
    net, (x, target) = network(hidden=(10, 8)), sequence(7)
    bptt = gradients("bptt", net, x, target, loss="per_step_ce")
    exact = gradients("ottt-exact", net, x, target, mse_weight=0.0)
    for name in ("blocks.1.synapse.weight", "blocks.1.synapse.bias", "readout.weight", "readout.bias"):
        assert torch.allclose(exact[name], bptt[name], atol=1e-15, rtol=1e-12), name
    assert not torch.allclose(exact["blocks.0.synapse.weight"], bptt["blocks.0.synapse.weight"])


def test_ottt_online_tends_to_accumulated_as_the_step_shrinks() -> None:
    x, target = sequence(7)
    accumulated = gradients("ottt-a", network(), x, target)
    errors = []
    for rate in (1e-2, 1e-3, 1e-4):
        net = network()
        before = {name: value.detach().clone() for name, value in net.named_parameters()}
        method = build_method("ottt-o")
        method.prepare(net, functools.partial(torch.optim.SGD, lr=rate))
        assert method.update(x, target).updates == 7
        moved = {name: (before[name] - value.detach()) / rate for name, value in net.named_parameters()}
        errors.append(relative_error(moved, accumulated))
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 1e-3


@pytest.mark.parametrize("segment", [1, 2, 7])
@pytest.mark.parametrize("topology", ["mlp", "feedback"])
def test_checkpointing_recomputes_to_the_last_bit(segment: int, topology: str) -> None:
    """Bitwise equal to the same segments kept in memory; a sum over T in one product rounds differently."""
    net, (x, target) = network(topology), sequence(7)
    checkpointed = gradients("bptt", net, x, target, checkpoint=segment)
    net.zero_grad()
    logits, states = [], None
    for part in x.split(segment):
        out = net.run(part, states)
        states = out.states
        logits.append(out.logits)
    torch.nn.functional.cross_entropy(torch.cat(logits).mean(0), target).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None
        assert torch.equal(checkpointed[name], parameter.grad), name
    assert relative_error(checkpointed, gradients("bptt", net, x, target)) < 1e-14


@pytest.mark.parametrize("topology", ["mlp", "feedback"])
@pytest.mark.parametrize("loss", ["rate_ce", "tet"])
def test_checkpointed_steps_are_plain_bptt_bit_for_bit_whatever_the_segment(topology: str, loss: str) -> None:
    x, target = sequence(7)
    plain = gradients("bptt", network(topology), x, target, loss=loss, stepwise=True)
    for segment in (1, 2, 3, 7, 100):
        found = gradients(
            "bptt-checkpointed", network(topology), x, target, loss=loss, stepwise=True, checkpoint=segment
        )
        assert all(torch.equal(found[name], gradient) for name, gradient in plain.items()), segment
    assert relative_error(plain, gradients("bptt", network(topology), x, target, loss=loss)) < 1e-13


def test_truncation_longer_than_the_sequence_is_bptt_and_shorter_is_not() -> None:
    net, (x, target) = network(), sequence(7)
    plain = gradients("bptt", net, x, target, loss="per_step_ce")
    assert relative_error(gradients("bptt", net, x, target, loss="per_step_ce", window=7), plain) < 1e-14
    assert relative_error(gradients("bptt", net, x, target, loss="per_step_ce", window=2), plain) > 1e-3


def test_truncated_bptt_steps_once_per_window() -> None:
    net, (x, target) = network(), sequence(7)
    method = build_method("bptt", loss="per_step_ce", window=3, update="end_of_window")
    method.prepare(net, functools.partial(torch.optim.SGD, lr=0.1))
    assert method.update(x, target).updates == 3


def test_bptt_gradient_is_the_derivative_of_the_smooth_network() -> None:
    net, (x, target) = network(detach_reset=False), sequence(5)
    method = build_method("bptt")
    method.prepare(net)
    with smooth_spikes():
        found = method.gradients(x, target)
        for name, parameter in net.named_parameters():
            flat, index = parameter.data.view(-1), parameter.numel() // 2
            ends = []
            for sign in (1, -1):
                flat[index] += sign * 1e-6
                ends.append(method.accumulate(x, target).loss)
                flat[index] -= sign * 1e-6
            slope = (ends[0] - ends[1]) / 2e-6
            assert float(found[name].view(-1)[index]) == pytest.approx(slope, rel=1e-6, abs=1e-9), name


@pytest.mark.parametrize("hidden", [(8,), (8, 5)])
def test_ide_gradient_is_the_derivative_at_the_equilibrium(hidden: tuple[int, ...]) -> None:
    """At the fixed point a*, beta^T df/dtheta equals finite differences of L(a*(theta))."""
    net: Any = network("feedback", hidden, "if", v_threshold=2.0)
    x, target = sequence(1, constant=True)
    method: Any = build_method("ide", solver="dense")
    method.prepare(net)

    def settled() -> Tensor:
        rate = simulate(net, x).weighted[-1]
        for _ in range(400):
            rate = method._equilibrium_map(net.input_map(x[0]), rate)
        return rate.detach()

    def loss(rate: Tensor) -> Tensor:
        return torch.nn.functional.cross_entropy(net.classifier(rate), target)

    rate = settled().requires_grad_()
    (q,) = torch.autograd.grad(loss(rate), rate)
    beta, _ = method._adjoint(x[0], rate.detach(), q)
    image = method._equilibrium_map(net.input_map(x[0]), rate.detach())
    weights = {"input": net.input_map.weight, "feedback": net.feedback_map.weight}
    found = torch.autograd.grad(image, list(weights.values()), beta)
    for (name, weight), gradient in zip(weights.items(), found, strict=True):
        index = int(gradient.abs().argmax())
        ends = []
        for sign in (1, -1):
            weight.data.view(-1)[index] += sign * 1e-6
            ends.append(float(loss(settled()).detach()))
            weight.data.view(-1)[index] -= sign * 1e-6
        slope = (ends[0] - ends[1]) / 2e-6
        assert float(gradient.view(-1)[index]) == pytest.approx(slope, rel=1e-5), name


def test_rates_approach_the_equilibrium_as_one_over_t() -> None:
    net: Any = network("feedback", (8,), "if", v_threshold=2.0)
    method: Any = build_method("ide")
    method.prepare(net)
    x, _ = sequence(1, constant=True)
    rate = simulate(net, x).weighted[-1]
    for _ in range(400):
        rate = method._equilibrium_map(net.input_map(x[0]), rate)
    distances = [float((simulate(net, x.expand(T, -1, -1)).weighted[-1] - rate).norm()) for T in (50, 500, 5000)]
    assert distances[1] < distances[0] / 5
    assert distances[2] < distances[1] / 5


def spide_and_ide(hidden: tuple[int, ...], T_B: int, steps: int = 4000) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """SPIDE fires at V and subtracts 2V; its equilibrium is that of IDE with a threshold of 2V."""
    x, target = sequence(steps, constant=True)
    spide = gradients("spide", network("feedback", hidden, "if"), x, target, T_B=T_B, loss_scale_factor=2.0)
    ide = gradients("ide", network("feedback", hidden, "if", v_threshold=2.0), x, target, solver="dense")
    return spide, ide


@pytest.mark.parametrize("hidden", [pytest.param((8,), marks=pytest.mark.slow), (8, 5)])
def test_spide_gradient_approaches_ide_as_the_second_stage_grows(hidden: tuple[int, ...]) -> None:
    errors = [relative_error(*spide_and_ide(hidden, T_B)) for T_B in (20, 200, 4000)]
    assert errors[1] < errors[0] / 3, errors
    assert errors[2] < errors[1] / 3, errors
    assert errors[2] < 2e-3, errors


def second_stage(scale: float, T_B: int = 300) -> tuple[Any, list[Tensor]]:
    net: Any = network("feedback", (8, 5), "if")
    method: Any = build_method("spide", T_B=T_B)
    method.prepare(net)
    rates, masks = method.first_stage(sequence(30, constant=True)[0])
    generator = torch.Generator().manual_seed(9)
    q = scale * torch.randn(masks[-1].shape, generator=generator)
    emitted: list[Tensor] = []
    adjoint = method.second_stage(q, rates, masks, lambda _layer, spikes: emitted.append(spikes.clone()))
    return adjoint, emitted


def test_spide_sends_ternary_spikes_back() -> None:
    _, emitted = second_stage(0.3)
    values = torch.cat([spikes.flatten() for spikes in emitted]).unique().tolist()
    assert values == [-1.0, 0.0, 1.0]


def test_spide_backward_is_odd_in_its_input_and_silent_without() -> None:
    adjoint, _ = second_stage(0.3)
    mirrored, _ = second_stage(-0.3)
    silent, emitted = second_stage(0.0)
    for ours, theirs in zip(adjoint.beta, mirrored.beta, strict=True):
        assert torch.equal(ours, -theirs)
    assert not any(spikes.any() for spikes in emitted)
    assert silent.silent == 1.0


def test_spide_errors_saturate_at_one_spike_a_step() -> None:
    adjoint, _ = second_stage(50.0)
    assert adjoint.saturated > 0.2
    assert max(float(beta.abs().max()) for beta in adjoint.beta) <= 1.0


def test_spide_scale_factor_leaves_the_gradient_alone() -> None:
    x, target = sequence(200, constant=True)
    net = network("feedback", (8,), "if")
    small, large = (gradients("spide", net, x, target, T_B=5000, loss_scale_factor=scale) for scale in (1.0, 4.0))
    assert relative_error(small, large) < 2e-2


@pytest.mark.parametrize("solver", ["broyden", "iter_damped"])
def test_solvers_find_the_dense_solution(solver: str) -> None:
    net, (x, target) = network("feedback", (8, 5), "if", v_threshold=2.0), sequence(30, constant=True)
    dense = gradients("ide", net, x, target, solver="dense")
    found = gradients("ide", net, x, target, solver=solver, iterations=200)
    assert relative_error(found, dense) < 1e-8


def test_the_released_iteration_is_biased() -> None:
    net, (x, target) = network("feedback", (8,), "if", v_threshold=2.0), sequence(30, constant=True)
    dense = gradients("ide", net, x, target, solver="dense")
    released = gradients("ide", net, x, target, solver="iter_official", iterations=500)
    below_classifier = {name: value for name, value in dense.items() if "classifier" not in name}
    assert relative_error(released, below_classifier) > 0.1


def test_weight_standardisation_differentiates_through_mean_and_variance() -> None:
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(3, 4, generator=generator).requires_grad_()
    gain = torch.rand(3, 1, generator=generator).requires_grad_()
    assert torch.autograd.gradcheck(standardised, (weight, gain))
    assert torch.allclose(standardised(weight, gain).mean(1), torch.zeros(3), atol=1e-12)


@pytest.mark.parametrize(
    ("method", "topology", "neuron", "problem"),
    [
        ("dsr", "feedback", "if", "chain"),
        ("ottt-a", "mlp", "psu", "decay"),
        ("ide", "mlp", "if", "feedback"),
        ("spide", "mlp", "if", "feedback"),
        ("tbptt", "mlp", "psu", "sequential"),
    ],
)
def test_a_network_that_a_method_cannot_train_is_refused(method: str, topology: str, neuron: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        build_method(method).prepare(network(topology, neuron=neuron))
