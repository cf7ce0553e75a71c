"""What single-spike neurons promise beyond the contract of every neuron, in float64."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from harness.golden import float64_default
from reference_impls.api import build_neuron
from reference_impls.neurons.fastsnn_single_spike import SingleSpike


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def first_crossings(x: Tensor, decay: float | Tensor) -> Tensor:
    v, may_fire, spikes = torch.zeros_like(x[0]), torch.ones_like(x[0]), []
    for x_t in x:
        v = decay * v + x_t
        spikes.append((v > 1).to(x.dtype) * may_fire)
        may_fire = may_fire - spikes[-1]
    return torch.stack(spikes)


@pytest.mark.parametrize("steps", [1, 30, 1500])
@pytest.mark.parametrize("name", ["fastsnn-single-spike", "fastsnn-trained-kernels", "single-spike-block"])
def test_fires_at_the_first_crossing_only(name: str, steps: int) -> None:
    x = torch.randn(steps, 4, 5, generator=torch.Generator().manual_seed(0)) * 0.4
    params = {"T": steps} if name == "fastsnn-trained-kernels" else {}
    assert torch.equal(build_neuron(name, shape=(5,), **params)(x), first_crossings(x, 0.9))


def test_decay_of_every_neuron() -> None:
    x = torch.randn(30, 4, 3, generator=torch.Generator().manual_seed(0)) * 0.6
    decay = [0.1, 0.5, 0.95]
    assert torch.equal(
        build_neuron("single-spike-block", shape=(3,), decay=decay)(x), first_crossings(x, torch.tensor(decay))
    )


def test_half_precision_counts_far() -> None:
    x = torch.full((1000, 1, 2), 0.5, dtype=torch.float16, requires_grad=True)
    neuron = build_neuron("single-spike-block-fixed").half()
    spikes = neuron(x)
    spikes.sum().backward()
    assert spikes.sum(0).flatten().tolist() == [1.0, 1.0]


def test_fastsnn_gets_no_gradient_from_the_spike_on_and_block_does() -> None:
    x = torch.full((6, 1, 1), 0.6)
    reached = {}
    for name in ("fastsnn-single-spike", "single-spike-block"):
        for step in range(6):
            leaf = x.clone().requires_grad_()
            build_neuron(name, shape=(1,))(leaf)[step].sum().backward()
            assert leaf.grad is not None
            reached[name, step] = bool(leaf.grad.any())
    first = int(first_crossings(x, 0.9).flatten().argmax())
    assert [reached["fastsnn-single-spike", step] for step in range(6)] == [step < first for step in range(6)]
    assert all(reached["single-spike-block", step] for step in range(6))


def test_decay_outside_its_domain_is_refused() -> None:
    with pytest.raises(ValueError, match="decay must lie"):
        SingleSpike(decay=1.2)
    with pytest.raises(TypeError, match="needs T"):
        SingleSpike(learn_kernels=True)
