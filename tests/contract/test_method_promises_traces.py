"""What OTTT and NDOT promise beyond a chain: the published recursions, restated without autograd."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.catalogue.loading import load_registry
from harness.golden import float64_default
from harness.measure.activity import count_activity
from harness.measure.memory import saved_bytes
from reference_impls.api import Network, build_method, build_network, build_neuron
from reference_impls.surrogate import make_surrogate
from reference_impls.training.ndot import sensitivity

FEATURES, CLASSES, BATCH, T = 12, 3, 4, 6
SHAPES: dict[str, tuple[int, ...]] = {"mlp": (FEATURES,), "feedback": (FEATURES,), "nf-resnet": (1, 3, 4)}
SIZES: dict[str, dict[str, Any]] = {
    "mlp": {"hidden": [8, 7]},
    "feedback": {"hidden": [8, 7], "restriction": "none"},
    "nf-resnet": {"channels": [4, 6]},
}
SLOPE = make_surrogate("atan").derivative


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def network(topology: str, **params: Any) -> Network:
    torch.manual_seed(3)
    make = functools.partial(build_neuron, "lif", **params)
    net = build_network(topology, SHAPES[topology], CLASSES, make, **SIZES[topology])
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if topology != "nf-resnet":
                parameter *= 3  # so that the second layer fires
            elif parameter.dim() == 0 or "readout" in name:
                parameter.normal_()  # these start at 0, where no gradient reaches what lies below
    return net


def sequence(topology: str, steps: int = T) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return 4 * torch.rand((steps, BATCH, *SHAPES[topology]), generator=generator), torch.tensor([0, 1, 2, 1])


def gradients(name: str, net: Network, x: Tensor, target: Tensor, **params: Any) -> dict[str, Tensor]:
    method = build_method(name, **params)
    method.prepare(net)
    return method.gradients(x, target)


@pytest.mark.parametrize("name", ["ottt-a", "ndot-a"])
@pytest.mark.parametrize("topology", SHAPES)
def test_without_memory_a_trace_is_the_spike(name: str, topology: str) -> None:
    """With decay 0 every trace is this step's spikes, and the gradient is SLTT's."""
    net, (x, target) = network(topology, decay=0.0), sequence(topology)
    expected = gradients("sltt", net, x, target, mse_target="one_hot")
    assert all(gradient.any() for gradient in expected.values())
    for key, gradient in gradients(name, net, x, target).items():
        assert torch.allclose(gradient, expected[key], atol=1e-15, rtol=1e-11), key


@pytest.mark.parametrize("name", ["ottt-a", "ndot-a"])
@pytest.mark.parametrize("topology", SHAPES)
def test_of_one_step_is_bptt(name: str, topology: str) -> None:
    net, (x, target) = network(topology), sequence(topology, 1)
    expected = gradients("bptt", net, x, target, loss="per_step_ce")
    for key, gradient in gradients(name, net, x, target, mse_weight=0.0).items():
        assert torch.allclose(gradient, expected[key], atol=1e-15, rtol=1e-11), key


def restated(net: Any, x: Tensor, target: Tensor, rule: str) -> list[Tensor]:
    """The recursion of the cards in plain tensors, for two layers of a feedback network without restriction.

    Returns the gradients of input map, forward map, feedback map and classifier.
    """
    maps = [net.input_map, net.forward_maps[0], net.feedback_map, net.classifier]
    w_in, w_mid, w_back, w_out = (module.weight.detach() for module in maps)
    b_in, b_mid, b_out = (module.bias.detach() for module in (maps[0], maps[1], maps[3]))
    found = [torch.zeros_like(weight) for weight in (w_in, w_mid, w_back, w_out)]
    decay, steps, rows = 0.5, x.shape[0], torch.nn.functional.one_hot(target, CLASSES).to(x.dtype)
    v1, v2 = (x.new_zeros(BATCH, weight.shape[0]) for weight in (w_in, w_mid))
    a1, a2, s2 = torch.zeros_like(v1), torch.zeros_like(v2), torch.zeros_like(v2)
    e1, e2 = torch.zeros_like(v1), torch.zeros_like(v2)
    for x_t in x:
        back = a2.clone()
        h1 = decay * v1 + x_t @ w_in.T + b_in + s2 @ w_back.T
        s1 = (h1 >= 1).to(h1)
        h2 = decay * v2 + s1 @ w_mid.T + b_mid
        s2 = (h2 >= 1).to(h2)
        a1, a2 = e1 * a1 + s1, e2 * a2 + s2
        if rule == "ottt":
            e1, e2 = torch.full_like(h1, decay), torch.full_like(h2, decay)
        else:
            e1, e2 = (
                torch.clamp((h - s) / torch.where(v == 0, torch.tensor(1e-8), v), -decay, decay)
                for h, s, v in ((h1, s1, v1), (h2, s2, v2))
            )
        v1, v2 = h1 - s1, h2 - s2
        error = (torch.softmax(s2 @ w_out.T + b_out, 1) - rows) / BATCH / steps
        g2 = error @ w_out * SLOPE(h2 - 1)
        g1 = g2 @ w_mid * SLOPE(h1 - 1)
        for total, post, pre in zip(found, (g1, g2, g1, error), (x_t, a1, back, a2), strict=True):
            total += post.T @ pre
    return found


@pytest.mark.parametrize("rule", ["ottt", "ndot"])
def test_the_recursion_restated(rule: str) -> None:
    net, (x, target) = network("feedback"), sequence("feedback")
    found = gradients(f"{rule}-a", net, x, target, mse_weight=0.0)
    names = ("input_map.weight", "forward_maps.0.weight", "feedback_map.weight", "classifier.weight")
    for name, expected in zip(names, restated(net, x, target, rule), strict=True):
        assert expected.any(), name
        assert torch.allclose(found[name], expected, atol=1e-15, rtol=1e-11), name


def test_ndot_is_not_ottt() -> None:
    net, (x, target) = network("mlp"), sequence("mlp")
    ottt, ndot = (gradients(name, net, x, target) for name in ("ottt-a", "ndot-a"))
    assert not torch.allclose(ottt["readout.weight"], ndot["readout.weight"], rtol=1e-2)
    assert torch.equal(ottt["readout.bias"], ndot["readout.bias"])


def test_sensitivity_stays_within_the_leak_and_has_a_value_at_zero() -> None:
    before = torch.tensor([1.0, 1.0, 1.0, -1.0, 0.0, 0.0, 0.0])
    after = torch.tensor([0.25, 2.0, -2.0, 0.3, 0.7, -0.7, 0.0])
    expected = torch.tensor([0.25, 0.5, -0.5, -0.3, 0.5, -0.5, 0.0])
    assert torch.allclose(sensitivity(before, after, 0.5), expected)


@pytest.mark.parametrize("rows", [("ottt-a", "ottt-o"), ("ndot-a", "ndot-o")])
def test_online_tends_to_accumulated_as_the_step_shrinks(rows: tuple[str, str]) -> None:
    x, target = sequence("nf-resnet")
    accumulated = gradients(rows[0], network("nf-resnet"), x, target)
    errors = []
    for rate in (1e-2, 1e-4):
        net = network("nf-resnet")
        before = {name: value.detach().clone() for name, value in net.named_parameters()}
        method = build_method(rows[1])
        method.prepare(net, functools.partial(torch.optim.SGD, lr=rate))
        assert method.update(x, target).updates == T
        moved = {name: (before[name] - value.detach()) / rate for name, value in net.named_parameters()}
        errors.append(max(float((moved[name] - accumulated[name]).abs().max()) for name in moved))
    assert errors[1] < errors[0] / 20


@pytest.mark.parametrize("topology", ["feedback", "nf-resnet"])
@pytest.mark.parametrize("name", ["ottt-exact", "ndot-a"])
def test_saves_the_same_bytes_for_any_number_of_steps(name: str, topology: str) -> None:
    kept = set()
    for steps in (4, 32):
        net, (x, target) = network(topology), sequence(topology, steps)
        method = build_method(name)
        method.prepare(net)
        kept.add(saved_bytes(functools.partial(method.gradients, x, target), [x, *net.parameters()]).peak_bytes)
    assert len(kept) == 1, kept


def test_a_residual_network_starts_as_its_shortcuts() -> None:
    """Branches and read-out begin at 0, so the first gradient reaches the read-out alone."""
    torch.manual_seed(0)
    net: Any = build_network("nf-resnet", (1, 8, 8), CLASSES, lambda: build_neuron("lif"), channels=[4, 6], depth=2)
    assert [round(block.beta**2, 6) for block in net.blocks] == [1.0, 1.04, 1.08, 1.04]
    x = 6 * torch.rand(T, BATCH, 1, 8, 8)
    assert not net(x).any()
    assert {name for name, g in gradients("bptt", net, x, torch.tensor([0, 1, 2, 1])).items() if g.any()} == {
        "readout.2.weight",
        "readout.2.bias",
    }


def test_a_residual_networks_synapses_are_all_counted() -> None:
    net = network("nf-resnet")
    activity = count_activity(net, [sequence("nf-resnet")[0]], input_kind="analog")
    assert activity.problems() == ()
    assert activity.coverage == 1


def test_ottts_feedback_weight_may_start_at_zero() -> None:
    make = functools.partial(build_neuron, "lif")
    net: Any = build_network("feedback", (FEATURES,), CLASSES, make, restriction="none", zero_feedback=True)
    assert not net.feedback_map.weight.any()
    assert gradients("ottt-a", net, *sequence("feedback"))["feedback_map.weight"].any()
    with pytest.raises(ValueError, match="restriction='none'"):
        build_network("feedback", (FEATURES,), CLASSES, make, zero_feedback=True)


def test_every_row_of_traces_trains_the_same_structures() -> None:
    rows = load_registry().methods
    for name in ("ottt-a", "ottt-o", "ottt-exact", "ndot-a", "ndot-o"):
        assert rows[name].capabilities.structures == ("chain", "residual", "feedback")
