"""What TC-LIF, the resonators and the integer LIF promise beyond the contract of every neuron, in float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.golden import float64_default
from harness.measure.counters import quanta
from reference_impls.api import build_neuron


@pytest.fixture(autouse=True)
def in_float64() -> Iterator[None]:
    with float64_default():
        yield


def current(steps: int, low: float, high: float) -> Tensor:
    return torch.rand(steps, 2, 3, generator=torch.Generator().manual_seed(4)) * (high - low) + low


def test_tc_lif_keeps_what_a_lif_has_forgotten() -> None:
    """A single impulse goes round between the compartments; it never decays to nothing below the threshold."""
    x = torch.zeros(200, 1, 1)
    x[0] = 0.5
    neuron: Any = build_neuron("tc-lif", raw_beta1=-2.0, raw_beta2=-2.0)
    state: Any = neuron.run(x).state
    lif: Any = build_neuron("lif").run(x).state
    assert abs(state.v) + abs(state.d) > 0.1
    assert abs(lif.v) < 1e-12


def test_the_paper_form_of_tc_lif_differs_by_what_the_dendrite_sees_of_the_soma() -> None:
    """Supplementary table 4 beside the released order: equal up to the step after a neuron's first spike."""
    x, neuron = current(12, -0.5, 1.5), build_neuron("tc-lif")
    spikes = []
    d, v, s = (np.zeros((2, 3)) for _ in range(3))
    for current_t in x.numpy():
        d = d + current_t - 0.5 * v - 0.5 * s
        v = v + 0.5 * d - s
        s = (v >= 1).astype(float)
        spikes.append(s)
    released, paper = neuron(x).detach().numpy(), np.stack(spikes)
    quiet = released.cumsum(0) - released == 0
    assert np.array_equal(released[quiet], paper[quiet])
    assert not np.array_equal(released, paper)


def amplitude(name: str, omega: float) -> float:
    """Size of the oscillation 400 steps after an impulse, without damping beyond what the neuron itself adds."""
    x = torch.zeros(400, 1, 1)
    x[0] = 50.0
    state: Any = build_neuron(name, granularity="layer", omega=omega, b_offset=0.0).run(x).state
    return float(torch.hypot(state.v, state.i).detach())


@pytest.mark.parametrize("omega", [5.0, 50.0, 95.0])
def test_a_balanced_resonator_neither_grows_nor_shrinks_at_its_boundary(omega: float) -> None:
    assert amplitude("brf", omega) == pytest.approx(0.5)
    assert amplitude("rf", omega) > 0.8


def test_a_frequency_beyond_the_steps_reach_stays_finite() -> None:
    neuron = build_neuron("brf", granularity="layer", omega=500.0)
    x = current(30, -50.0, 100.0).requires_grad_()
    neuron(x).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in neuron.parameters())


def test_a_spike_raises_threshold_and_damping_of_a_balanced_resonator() -> None:
    neuron: Any = build_neuron("brf", granularity="layer", omega=10.0, b_offset=1.0)
    x = torch.zeros(2, 1, 1)
    x[0] = 150.0
    fired: Any = neuron.run(x[:1]).state
    assert fired.q.item() == 1
    damping = 10 * fired.q + 1 - (-1 + (1 - 0.1**2) ** 0.5) / 0.01  # of b, in the last step
    after: Any = neuron.run(x[1:], fired).state
    expected = fired.v * (1 - 0.01 * (damping - 9 * fired.q))
    assert after.v.item() == pytest.approx(expected.item())
    assert after.q.item() == pytest.approx(0.9)


def test_expanded_integers_are_the_same_current_and_the_same_count() -> None:
    neuron: Any = build_neuron("ilif")
    integers = neuron(current(5, -1.0, 6.0))
    spikes, weight = neuron.expanded(integers), nn.Linear(3, 4, bias=False)
    assert spikes.shape == (20, 2, 3)
    assert set(spikes.unique().tolist()) == {0.0, 1.0}
    virtual = weight(spikes).unflatten(0, (5, 4)).sum(1)
    torch.testing.assert_close(virtual, weight(integers))
    counted, odd = quanta(integers.detach())
    assert int(counted.sum()) == int(spikes.sum()) > 0
    assert not odd.any()


def test_an_integer_lif_follows_a_plain_loop() -> None:
    x, h, emitted = current(9, -2.0, 6.0), np.zeros((2, 3)), []
    for current_t in x.numpy():
        h = 0.25 * (h - (emitted[-1] if emitted else 0)) + current_t
        emitted.append(np.rint(np.clip(h, 0, 4)))
    assert np.array_equal(build_neuron("ilif")(x).numpy(), np.stack(emitted))


def test_bad_values_are_named() -> None:
    with pytest.raises(ValueError, match="max_level must be at least 1"):
        build_neuron("ilif", max_level=0)
    with pytest.raises(ValueError, match="omega_range"):
        build_neuron("brf", shape=(3,), omega_range=(5.0, 1.0))
    with pytest.raises(ValueError, match="dendritic_reset"):
        build_neuron("tc-lif", dendritic_reset=-1.0)
