"""What SPSN and ParaLIF promise beyond the contract of every neuron, in float64."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from harness.golden import float64_default
from reference_impls.api import build_neuron
from reference_impls.neurons._cascade import CascadeNeuron
from reference_impls.neurons._scan import cascaded, decaying_sum, fast_length


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def recursion(x: Tensor, alpha: float, beta: float) -> Tensor:
    c = v = torch.zeros_like(x[0])
    trace = []
    for x_t in x:
        c = alpha * c + x_t
        v = beta * v + (1 - beta) * c
        trace.append(v)
    return torch.stack(trace)


def sequence(steps: int) -> Tensor:
    return torch.randn(steps, 2, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("form", ["fft", "matmul", "scan"])
@pytest.mark.parametrize(("alpha", "beta"), [(0.9, 0.9), (0.5, 0.95), (0.999, 0.8)])
@pytest.mark.parametrize("steps", [1, 2, 9, 64, 700])
def test_every_form_is_the_recursion(form: str, alpha: float, beta: float, steps: int) -> None:
    neuron = build_neuron("paralif-threshold", current_decay=alpha, decay=beta, parallel=form)
    assert isinstance(neuron, CascadeNeuron)
    assert torch.allclose(neuron.membrane(sequence(steps)), recursion(sequence(steps), alpha, beta), atol=1e-11)


@pytest.mark.parametrize("form", ["fft", "matmul", "scan"])
def test_without_a_synapse_there_is_one_filter(form: str) -> None:
    neuron = build_neuron("paralif-threshold", tau_syn=None, decay=0.8, parallel=form)
    assert isinstance(neuron, CascadeNeuron)
    assert torch.allclose(neuron.membrane(sequence(9)), recursion(sequence(9), 0.0, 0.8), atol=1e-12)


@pytest.mark.parametrize("form", ["fft", "matmul", "scan"])
def test_learned_decays_begin_where_they_are_asked_to_and_have_a_gradient(form: str) -> None:
    neuron = build_neuron("paralif-delta", tau=10.0, tau_syn=5.0, learn_tau=True, learn_threshold=True, parallel=form)
    fixed = build_neuron("paralif-delta", tau=10.0, tau_syn=5.0)
    assert torch.equal(neuron(sequence(20)), fixed(sequence(20)))
    assert isinstance(neuron, CascadeNeuron)
    parameters = [neuron.raw_current_decay, neuron.raw_decay]
    assert torch.autograd.gradcheck(lambda *_: neuron.membrane(sequence(5)), parameters)
    neuron(sequence(20)).sum().backward()
    assert all(parameter.grad is not None for parameter in neuron.parameters())


def test_fft_takes_half_precision() -> None:
    x = sequence(9).to(torch.bfloat16)
    assert build_neuron("paralif-threshold", parallel="fft")(x).dtype == torch.bfloat16


def test_one_logistic_draw_fires_as_often_as_two_gumbel_draws() -> None:
    torch.manual_seed(0)
    neuron = build_neuron("spsn-gumbel-softmax", tau=1.0, tau_syn=None)
    x = torch.full((1, 200_000), 0.3)
    rates = [float(neuron(x, noise=noise).mean()) for noise in (None, torch.rand(1, 200_000, 2))]
    assert rates[0] == pytest.approx(rates[1], abs=5e-3)


@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_gumbel_noise_at_the_edge_is_finite(edge: float) -> None:
    neuron = build_neuron("spsn-gumbel-softmax").float()
    x = torch.ones(2, 3, dtype=torch.float32, requires_grad=True)
    for shape in ((2, 3), (2, 3, 2)):
        x.grad = None
        neuron(x, noise=torch.full(shape, edge, dtype=torch.float32)).sum().backward()
        assert x.grad is not None
        assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.99, 1.0])
@pytest.mark.parametrize("steps", [1, 63, 64, 65, 96, 97, 5000])
def test_a_decaying_sum_is_its_recursion(decay: float, steps: int) -> None:
    x, total, sums = sequence(steps), torch.zeros(2, 3), []
    for x_t in x:
        total = decay * total + x_t
        sums.append(total)
    assert torch.allclose(decaying_sum(decay, x), torch.stack(sums), atol=1e-10)
    assert torch.allclose(decaying_sum(torch.full((3,), decay), x), torch.stack(sums), atol=1e-10)


@pytest.mark.parametrize("steps", [5, 70, 2100])
def test_sums_have_the_gradient_of_their_recursion(steps: int) -> None:
    x, decay = sequence(steps)[:, :1, :1].requires_grad_(), torch.tensor(0.7, requires_grad=True)
    upstream = torch.randn(steps, 1, 1, generator=torch.Generator().manual_seed(1))
    total, sums = torch.zeros(1, 1), []
    for x_t in x:
        total = decay * total + x_t
        sums.append(total)
    wanted = torch.autograd.grad(torch.stack(sums), (x, decay), upstream)
    found = torch.autograd.grad(decaying_sum(decay, x), (x, decay), upstream)
    for ours, theirs in zip(found, wanted, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-10)


def test_an_empty_batch_passes_through_long_sequences() -> None:
    assert decaying_sum(0.5, torch.zeros(100, 0, 3)).shape == (100, 0, 3)
    assert cascaded(0.5, 0.4, torch.zeros(100, 0, 3)).shape == (100, 0, 3)


def test_counting_is_exact_in_single_precision() -> None:
    ones = torch.ones(2048, 1, 1, dtype=torch.float32)
    counts = decaying_sum(1.0, decaying_sum(1.0, ones)).flatten()
    assert counts[-1].item() == 2048 * 2049 // 2


def test_fast_lengths_have_small_factors_only() -> None:
    assert [fast_length(least) for least in (1, 2, 7, 11, 13, 17, 97, 1023, 1999)] == [
        *(1, 2, 8, 12, 15, 18, 100, 1024, 2000)
    ]
