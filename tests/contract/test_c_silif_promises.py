"""C-SiLIF: its equations restated with complex numbers, forward and backward, and how it begins."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.golden import float64_default
from reference_impls.api import build_neuron

UNITS, BATCH, T = 5, 3, 20


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def current() -> Tensor:
    return 4 * torch.rand(T, BATCH, UNITS, generator=torch.Generator().manual_seed(4)) - 1


def built(**params: Any) -> Any:
    torch.manual_seed(2)
    return build_neuron("c-silif", shape=(UNITS,), **{"dt_range": (0.1, 1.0), **params})


def values(neuron: Any) -> tuple[np.ndarray, ...]:
    return tuple(p.detach().numpy() for p in (neuron.log_dt, neuron.log_decay, neuron.omega, neuron.b))


def test_forward_and_gradient_follow_the_equations() -> None:
    """The gradient by hand: du[t]/dp goes through a, through the reset and, as ds/du, through the surrogate."""
    neuron, x = built(v_threshold=0.8), current()
    log_dt, log_decay, omega, b = values(neuron)
    rate = -np.exp(log_decay) + 1j * omega
    a = np.exp(np.exp(log_dt) * rate)
    by_parameter = {
        "log_dt": a * np.exp(log_dt) * rate,
        "log_decay": -a * np.exp(log_dt + log_decay),
        "omega": 1j * a * np.exp(log_dt),
    }
    upstream = np.random.default_rng(0).normal(size=(T, BATCH, UNITS))
    u, s = np.zeros((BATCH, UNITS), complex), np.zeros((BATCH, UNITS))
    held = {name: np.zeros((BATCH, UNITS), complex) for name in (*by_parameter, "b")}
    fired = {name: np.zeros((BATCH, UNITS)) for name in held}
    gradients = {name: np.zeros(UNITS) for name in held}
    spikes = []
    for given, up in zip(x.numpy(), upstream, strict=True):
        before = u - 0.4 * s
        held = {
            name: a * (derivative - 0.4 * fired[name]) + (given if name == "b" else by_parameter[name] * before)
            for name, derivative in held.items()
        }
        u = a * before + b * given
        above = 2 * u.real - 0.8
        s = (above > 0).astype(float)
        fired = {name: (np.abs(above) <= 0.5) * 2 * derivative.real for name, derivative in held.items()}
        gradients = {name: gradients[name] + (up * fired[name]).sum(0) for name in gradients}
        spikes.append(s)
    out = neuron(x)
    np.testing.assert_array_equal(out.detach().numpy(), np.stack(spikes))
    assert 0.05 < np.mean(spikes) < 0.95
    (out * torch.tensor(upstream)).sum().backward()
    for name, expected in gradients.items():
        np.testing.assert_allclose(getattr(neuron, name).grad.numpy(), expected, atol=1e-9)
        assert np.abs(expected).max() > 1e-3


def test_without_spikes_it_is_the_state_space_model() -> None:
    """Subthreshold the state is one convolution with the powers of a: what an SSM computes in parallel."""
    neuron, x = built(v_threshold=1e6), current()
    log_dt, log_decay, omega, b = values(neuron)
    a = np.exp(np.exp(log_dt) * (-np.exp(log_decay) + 1j * omega))
    powers = a ** np.arange(T)[::-1, None]
    expected = (powers[:, None] * b * x.numpy()).sum(0)
    state = neuron.run(x).state
    np.testing.assert_allclose(state.v.detach().numpy() + 1j * state.i.detach().numpy(), expected, atol=1e-10)


def test_it_begins_as_published() -> None:
    torch.manual_seed(0)
    neuron: Any = build_neuron("c-silif", shape=(2000,))
    log_dt, log_decay, omega, b = values(neuron)
    assert np.log(0.01) <= log_dt.min() < -4.5
    assert -0.75 < log_dt.max() <= np.log(0.5)
    assert log_decay == pytest.approx(math.log(0.5))
    assert omega == pytest.approx(math.pi)
    assert (b.min(), b.max()) == pytest.approx((0, 1), abs=0.01)
    layer: Any = build_neuron("c-silif-layer")
    assert layer.b.shape == ()
    assert layer.log_dt.item() == pytest.approx((math.log(0.01) + math.log(0.5)) / 2)


@pytest.mark.parametrize(
    ("params", "said"), [({"decay": 0.0}, "decay must be positive"), ({"dt_range": (0.5, 0.1)}, "least, greatest")]
)
def test_bad_parameters_are_named(params: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        built(**params)
