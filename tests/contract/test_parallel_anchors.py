"""Parallel neurons without golden vectors: their equations restated one neuron and one step at a time, in floats."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.golden import float64_default
from reference_impls.api import Neuron, UnsupportedError, build_neuron

LONG = 300
"""Beyond the length up to which filters are matrices: convolved by FFT."""


@pytest.fixture(autouse=True)
def in_float64() -> Iterator[None]:
    with float64_default():
        yield


def current(steps: int, seed: int = 0, scale: float = 2.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(steps, 2, 3, generator=generator) - 0.3) * scale


def one_by_one(x: Tensor, single: Callable[[list[float]], list[float]]) -> Tensor:
    """Apply a restatement for one neuron to every neuron of ``x[T, B, N]``."""
    columns = [torch.tensor(single(column.tolist())) for column in x.flatten(1).unbind(1)]
    return torch.stack(columns, 1).view(x.shape)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def fpt_probabilities(x: list[float], decay: float, slopes: tuple[float, ...]) -> list[float]:
    p = [0.0] * len(x)
    for slope in slopes:
        after, v = [], 0.0
        for t, value in enumerate(x):
            h = decay * v + value
            after.append(sigmoid(slope * (h - 1)))
            v = h - p[t]
        p = after
    return p


@pytest.mark.parametrize(("row", "slopes"), [("fpt", (6.0, 18.0, 36.0)), ("fpt-fixed", (1.0, 3.0, 12.0))])
def test_fpt_starts_as_three_sweeps_of_a_relaxed_lif(row: str, slopes: tuple[float, ...]) -> None:
    x = current(9)
    neuron: Any = build_neuron(row, T=9)
    p = neuron.probabilities(x)
    assert torch.allclose(p, one_by_one(x, lambda one: fpt_probabilities(one, 0.5, slopes)), atol=1e-12)
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(1))
    assert torch.equal(neuron(x, noise=noise), (noise < p).to(x.dtype))


def test_steep_sweeps_of_fpt_reach_the_lif_only_if_there_are_enough() -> None:
    x, lif = current(8, scale=4.0), build_neuron("lif", decay=0.5)
    enough: Any = build_neuron("fpt-lif", slopes=[1e4] * 9)
    few: Any = build_neuron("fpt-lif", slopes=[1e4] * 2)
    assert torch.equal(enough.probabilities(x).round(), lif(x))
    assert not torch.equal(few.probabilities(x).round(), lif(x))


def test_a_steep_sigmoid_of_fpt_has_a_gentler_gradient() -> None:
    neuron: Any = build_neuron("fpt-lif", slopes=[12.0])
    x = torch.full((1, 1, 1), 1.2, requires_grad=True)
    neuron.probabilities(x).sum().backward()
    gentle = sigmoid(4 * 0.2)
    assert x.grad is not None
    assert float(x.grad) == pytest.approx(4 * gentle * (1 - gentle))


def test_a_learned_matrix_of_fpt_never_looks_ahead() -> None:
    neuron: Any = build_neuron("fpt", T=6)
    neuron.weight.data.normal_(generator=torch.Generator().manual_seed(2))
    x, later = current(6), current(6)
    later[4:] += 1
    assert torch.equal(neuron.probabilities(x)[:4], neuron.probabilities(later)[:4])


def prf_spikes(x: list[float], tau: float, theta: float, part: str) -> list[float]:
    u, spikes = 0j, []
    for value in x:
        u = cmath.exp(-1 / tau + 1j * theta) * u + value
        spikes.append(float(getattr(u, part) >= 1))
    return spikes


@pytest.mark.parametrize("steps", [20, LONG])
def test_prf_is_an_oscillator_stepped_once_a_step(steps: int) -> None:
    x, neuron = current(steps), build_neuron("prf-layer", tau=5.0, theta=0.7)
    spikes = neuron(x)
    assert torch.equal(spikes, one_by_one(x, lambda one: prf_spikes(one, 5.0, 0.7, "real")))
    assert not torch.equal(spikes, one_by_one(x, lambda one: prf_spikes(one, 5.0, 0.7, "imag")))


def pmsn_spikes(x: list[float], neuron: Any) -> list[float]:
    dt = math.exp(float(neuron.log_dt.detach()))
    poles = [
        complex(-math.exp(a), b) for a, b in zip(neuron.log_damping.tolist(), neuron.frequency.tolist(), strict=True)
    ]
    enter, read = (
        [complex(a, b) for a, b in zip(real.tolist(), imaginary.tolist(), strict=True)]
        for real, imaginary in ((neuron.b_real, neuron.b_imaginary), (neuron.c_real, neuron.c_imaginary))
    )
    z, total, spikes = [0j] * len(poles), 0.0, []
    for value in x:
        z = [
            cmath.exp(dt * pole) * old + b * (cmath.exp(dt * pole) - 1) / pole * value
            for pole, b, old in zip(poles, enter, z, strict=True)
        ]
        y = sum((c * state).real for c, state in zip(read, z, strict=True)) + float(neuron.d.detach()) * value
        before, total = total, total + max(y, 0.0)
        spikes.append(float(min(1, math.floor(total - math.floor(before)))))
    return spikes


@pytest.mark.parametrize("steps", [20, LONG])
def test_pmsn_counts_thresholds_of_what_its_compartments_give(steps: int) -> None:
    neuron: Any = build_neuron("pmsn-layer")
    neuron.c_imaginary.data.copy_(torch.tensor([0.1, -0.2, 0.3, 0.2]))
    x = current(steps, scale=0.9)
    assert torch.equal(neuron(x), one_by_one(x, lambda one: pmsn_spikes(one, neuron)))


def test_pmsn_loses_what_passes_several_thresholds_at_once() -> None:
    neuron: Any = build_neuron("pmsn-layer")
    neuron.c_real.data.zero_()
    assert neuron(torch.tensor([3.5, 0.4, 0.2]).view(3, 1, 1)).flatten().tolist() == [1.0, 0.0, 1.0]


def blocks_alif_spikes(x: list[float], refractory: int, decay: float, p: float, b: float) -> list[float]:
    v, a, silent, spikes = 0.0, 0.0, 0, []
    for value in x:
        v = 0.0 if silent else decay * v + value
        s = float(not silent and v > 1 + b * a)
        silent = refractory if s else max(silent - 1, 0)
        v = 0.0 if s else v
        a = p * a + s
        spikes.append(s)
    return spikes


@pytest.mark.parametrize("refractory", [0, 1, 3, 7, 40])
def test_blocks_alif_is_an_adaptive_lif_that_hears_nothing_after_a_spike(refractory: int) -> None:
    x = current(29, scale=4.0)
    neuron = build_neuron("blocks-alif-layer", refractory=refractory, decay=0.8, adapt_decay=0.7, adapt_gain=0.6)
    spikes = neuron(x)
    assert spikes.sum() >= 6
    assert torch.equal(spikes, one_by_one(x, lambda one: blocks_alif_spikes(one, refractory, 0.8, 0.7, 0.6)))


def test_spikes_that_silence_the_next_block_carry_gradient_only_if_asked() -> None:
    found = []
    for detach_reset in (True, False):
        neuron = build_neuron("blocks-alif-layer", refractory=2, detach_reset=detach_reset)
        x = current(9, scale=4.0).requires_grad_()
        neuron(x)[-1].sum().backward()
        assert x.grad is not None
        found.append(x.grad)
    assert not torch.equal(*found)


def gradients(neuron: Neuron, x: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor]:
    leaf = x.clone().requires_grad_()
    spikes = neuron(leaf)
    (spikes * upstream).sum().backward()
    assert leaf.grad is not None
    return spikes.detach(), leaf.grad


@pytest.mark.parametrize("detach_reset", [True, False])
@pytest.mark.parametrize("tau", [1.5, 4.0])
def test_the_fixed_point_is_the_loop_spikes_and_gradient(tau: float, detach_reset: bool) -> None:
    x, upstream = current(24, scale=4.0), current(24, seed=3)
    options: dict[str, Any] = {"tau": tau, "detach_reset": detach_reset}
    loop = gradients(build_neuron("lif", reset_mode="soft", **options), x, upstream)
    parallel = gradients(build_neuron("lif-fixed-point", **options), x, upstream)
    assert torch.equal(loop[0], parallel[0])
    assert torch.allclose(loop[1], parallel[1], atol=1e-12)


def test_the_fixed_point_needs_fewer_iterations_than_steps() -> None:
    neuron: Any = build_neuron("lif-fixed-point")
    neuron(current(64))
    assert 1 < neuron.iterations < 32


@pytest.mark.parametrize("row", ["fpt-lif", "prf", "pmsn", "blocks-alif", "lif-fixed-point", "mp-lif"])
def test_none_of_them_can_be_fused(row: str) -> None:
    with pytest.raises(UnsupportedError, match="is a parallel neuron"):
        build_neuron(row, backend="fused-numba", shape=(3,))
