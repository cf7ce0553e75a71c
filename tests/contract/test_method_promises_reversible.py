"""What T-RevSNN promises: BPTT's gradient, from states that were computed back and never kept."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.golden import float64_default
from harness.measure.memory import saved_bytes
from reference_impls.api import Network, build_method, build_network, build_neuron

FEATURES, CLASSES, BATCH = 6, 3, 4
RECIPE = {"reset_mode": "none", "v_threshold": 0.5, "surrogate": {"name": "rectangle", "params": {"width": 1.0}}}
TOPOLOGIES = ("mlp", "reversible")


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def network(topology: str, neuron: str = "lif", **params: Any) -> Network:
    torch.manual_seed(3)
    make = functools.partial(build_neuron, neuron, **(RECIPE | params))
    return build_network(topology, (FEATURES,), CLASSES, make, hidden=[8, 7, 6])


def sequence(T: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return 2 * torch.randn((T, BATCH, FEATURES), generator=generator), torch.tensor([0, 1, 2, 1])


def gradients(name: str, net: Network, x: Tensor, target: Tensor, **params: Any) -> dict[str, Tensor]:
    method = build_method(name, **params)
    method.prepare(net)
    return method.gradients(x, target)


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize(("neuron", "params"), [("if", {}), ("lif", {"decay": 0.8}), ("lif", {"decay": 0.5})])
def test_gradient_is_bptts(topology: str, neuron: str, params: dict[str, Any]) -> None:
    x, target = sequence(9)
    expected = gradients("bptt", network(topology, neuron, **params), x, target)
    found = gradients("t-revsnn", network(topology, neuron, **params), x, target)
    for name, gradient in expected.items():
        assert gradient.any(), name
        assert torch.allclose(found[name], gradient, atol=1e-13, rtol=1e-9), name


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_earlier_states_are_computed_back(topology: str) -> None:
    net, (x, target) = network(topology, decay=0.9), sequence(6)
    method: Any = build_method("t-revsnn")
    method.prepare(net)
    kept, states = [], None
    for x_t in x.split(1):
        states = net.run(x_t, states).states
        kept.append([state.v for state in states[:3] if state is not None])
    membranes = kept[-1]
    for t in reversed(range(1, 6)):
        membranes = method._before(x[t], membranes, first=False)
        for found, expected in zip(membranes, kept[t - 1], strict=True):
            assert torch.allclose(found, expected, atol=1e-13)
    assert method.accumulate(x, target).counters["reconstruction_error"] < 1e-13


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_saves_the_same_bytes_for_any_number_of_steps(topology: str) -> None:
    kept = set()
    for T in (4, 32):
        net, (x, target) = network(topology, "if"), sequence(T)
        method = build_method("t-revsnn")
        method.prepare(net)
        kept.add(saved_bytes(functools.partial(method.gradients, x, target), [x, *net.parameters()]).peak_bytes)
    assert len(kept) == 1, kept


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_a_batch_that_rounding_has_spoilt_is_run_again_with_its_membranes_kept(topology: str) -> None:
    x, target = sequence(40)
    expected = gradients("bptt", network(topology, decay=0.1), x, target)
    found = gradients("t-revsnn", network(topology, decay=0.1), x, target)
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, atol=1e-13, rtol=1e-9), name
    method = build_method("t-revsnn")
    method.prepare(net := network(topology, decay=0.1))
    counters = method.accumulate(x, target).counters
    assert counters["kept"] == 1
    assert not counters["reconstruction_error"] < 1e-2
    # What was accumulated before stands.
    method.accumulate(x, target)
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, 2 * expected[name], atol=1e-13, rtol=1e-9), name


def test_the_recursion_of_the_levels_restated() -> None:
    net: Any = network("reversible", decay=0.8)
    x, _ = sequence(5)
    c, logits = [torch.zeros(BATCH, width) for width in (8, 7, 6)], []
    for x_t in x:
        late = [(level >= 0.5).to(x) for level in c]
        fresh: list[Tensor] = []
        for level in range(3):
            into = net.input_map(x_t) if level == 0 else net.up[level - 1]((fresh[-1] >= 0.5).to(x))
            above = net.down[level](late[level + 1]) if level < 2 else 0.0
            fresh.append(0.8 * c[level] + into + above)
        c = fresh
        logits.append(net.readout((c[-1] >= 0.5).to(x)))
    assert torch.equal(net(x), torch.stack(logits))


def test_a_neuron_that_resets_is_refused() -> None:
    with pytest.raises(ValueError, match="reset_mode='none'"):
        build_method("t-revsnn").prepare(network("mlp", reset_mode="soft"))
