"""What ReL-PSP promises beyond the contract of every neuron, in float64."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from harness.golden import float64_default
from reference_impls.neurons.rel_psp import ReLPSP


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def test_grid_fires_at_the_step_not_before_the_exact_time() -> None:
    generator = torch.Generator().manual_seed(0)
    arrivals = torch.randint(0, 12, (50, 7), generator=generator)
    weight = torch.randn(9, 7, generator=generator) * 0.2 + 0.05
    exact = ReLPSP(t_max=15).spike_times(arrivals.double(), weight)
    arriving = torch.nn.functional.one_hot(arrivals, 16).double()
    current = torch.einsum("bit,oi->tbo", arriving, weight)
    spikes = ReLPSP()(current)
    fired = spikes.sum(0) > 0
    assert torch.equal(fired, torch.isfinite(exact))
    assert fired.any()
    assert not fired.all()
    assert torch.equal(spikes.argmax(0)[fired].double(), exact[fired].ceil())


def test_fires_where_its_membrane_reaches_the_threshold() -> None:
    x = torch.randn(20, 3, 40, generator=torch.Generator().manual_seed(1)) * 0.3
    neuron = ReLPSP()
    reached = neuron.membrane(x) >= 1
    assert torch.equal(neuron(x).bool(), reached & (reached.cumsum(0) == 1))


def test_gradients_are_those_of_the_closed_form() -> None:
    times = torch.tensor([[1.0, 2.0, 9.0, float("inf")]], requires_grad=True)
    weight = torch.tensor([[0.3, 0.4, 5.0, 5.0], [-1.0, -1.0, -1.0, 9.0]], requires_grad=True)
    when = ReLPSP().spike_times(times, weight)
    assert when.tolist() == [[pytest.approx((1 + 0.3 + 0.8) / 0.7), float("inf")]]
    when[0, 0].backward()
    assert times.grad is not None
    assert weight.grad is not None
    assert times.grad[0].tolist() == pytest.approx([0.3 / 0.7, 0.4 / 0.7, 0, 0])
    assert weight.grad[0].tolist() == pytest.approx([(1 - 3.0) / 0.7, (2 - 3.0) / 0.7, 0, 0])
    assert not weight.grad[1].any()
