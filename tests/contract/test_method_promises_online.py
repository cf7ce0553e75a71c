"""What SLTT promises: no gradient across steps, flat memory, and K steps that stand for all of them."""

from __future__ import annotations

import functools
import itertools
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

FEATURES, CLASSES, BATCH = 6, 3, 4


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def network(topology: str = "mlp", neuron: str = "lif", **params: Any) -> Network:
    torch.manual_seed(3)
    make = functools.partial(build_neuron, neuron, **params)
    return build_network(topology, (FEATURES,), CLASSES, make, hidden=[8, 7])


def sequence(T: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return 3 * torch.rand((T, BATCH, FEATURES), generator=generator), torch.tensor([0, 1, 2, 1])


def gradients(name: str, net: Network, x: Tensor, target: Tensor, **params: Any) -> dict[str, Tensor]:
    method = build_method(name, **params)
    method.prepare(net)
    return method.gradients(x, target)


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, atol=1e-15, rtol=1e-12), name


@pytest.mark.parametrize("topology", ["mlp", "feedback"])
def test_is_bptt_truncated_at_every_step(topology: str) -> None:
    net, (x, target) = network(topology), sequence(5)
    found = gradients("sltt", net, x, target, mse_weight=0.0)
    net = network(topology)  # a feedback map's power iteration starts again
    assert_same(found, gradients("bptt", net, x, target, loss="per_step_ce", window=1))


@pytest.mark.parametrize(("T", "decay"), [(1, 0.5), (5, 0.0)])
def test_is_bptt_where_nothing_crosses_time(T: int, decay: float) -> None:
    net, (x, target) = network(decay=decay), sequence(T)
    tet = gradients("bptt-tet", net, x, target, tet_weight=0.05, tet_target=1.0)
    assert_same(gradients("sltt", net, x, target), tet)


def test_drops_the_temporal_part() -> None:
    net, (x, target) = network(), sequence(5)
    bptt = gradients("bptt-tet", net, x, target)
    found = gradients("sltt", net, x, target)
    assert not torch.allclose(found["blocks.0.synapse.weight"], bptt["blocks.0.synapse.weight"], rtol=1e-2)


def test_all_k_steps_are_sltt() -> None:
    net, (x, target) = network(), sequence(5)
    full = gradients("sltt", net, x, target)
    for name, gradient in gradients("sltt-k", net, x, target, K=5).items():
        assert torch.equal(gradient, full[name]), name


def test_average_over_all_choices_is_the_kept_share_of_sltt() -> None:
    net, (x, target) = network(), sequence(5)
    full, choices = gradients("sltt", net, x, target), list(itertools.combinations(range(5), 2))
    parts = [gradients("sltt-k", net, x, target, chosen=chosen) for chosen in choices]
    for name, gradient in full.items():
        mean = torch.stack([part[name] for part in parts]).mean(0)
        assert torch.allclose(mean, gradient * 2 / 5, atol=1e-15, rtol=1e-11), name


def test_draws_k_different_steps_and_the_generator_decides_which() -> None:
    method: Any = build_method("sltt-k", K=3)
    torch.manual_seed(0)
    drawn = [frozenset(method._draw(8)) for _ in range(40)]
    assert {len(chosen) for chosen in drawn} == {3}
    assert set().union(*drawn) == set(range(8))
    torch.manual_seed(0)
    assert [frozenset(method._draw(8)) for _ in range(40)] == drawn
    assert method._draw(2) == {0, 1}


@pytest.mark.parametrize("name", ["sltt", "sltt-k"])
@pytest.mark.parametrize("topology", ["mlp", "feedback"])
def test_saves_the_same_bytes_for_any_number_of_steps(name: str, topology: str) -> None:
    kept = set()
    for T in (4, 16, 64):
        net, (x, target) = network(topology), sequence(T)
        method = build_method(name)
        method.prepare(net)
        kept.add(saved_bytes(functools.partial(method.gradients, x, target), [x, *net.parameters()]).peak_bytes)
    assert len(kept) == 1, kept


def test_sltt_k_saves_for_k_steps_only() -> None:
    x, target = sequence(12)
    total = []
    for K in (1, 2, 12):
        net = network()
        method = build_method("sltt-k", K=K)
        method.prepare(net)
        total.append(saved_bytes(functools.partial(method.gradients, x, target), [x, *net.parameters()]).total_bytes)
    assert total[1] == 2 * total[0]
    assert total[2] == 12 * total[0]


def test_impossible_choices_are_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="different steps"):
        build_method("sltt-k", chosen=[1, 1])
    with pytest.raises(ValueError, match="sequential"):
        build_method("sltt").prepare(network(neuron="psu"))
    reason = why_unsupported(Cell("accuracy", "digits", "psu", "sltt", "mlp"), load_registry())
    assert reason == "sltt needs a neuron whose parallel is sequential; psu's is matmul."
