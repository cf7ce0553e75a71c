"""Delays earn their place: neurons without memory cannot tell the lag between two spikes, unless synapses wait."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import Tensor

from reference_impls.api import build_method, build_network, build_neuron

LAGS = torch.tensor([1, 3, 5])
STEPS, BATCHES = 14, 150


def draw(samples: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two inputs that spike once each; the class is how much later the second does."""
    target = torch.randint(len(LAGS), (samples,), generator=generator)
    first = torch.randint(STEPS - 8, (samples,), generator=generator)
    x, sample = torch.zeros(STEPS, samples, 2), torch.arange(samples)
    x[first, sample, 0] = 1.0
    x[first + LAGS[target], sample, 1] = 1.0
    return x, target


def accuracy(topology: str, seed: int, **params: Any) -> float:
    """Train with BPTT and test with whole delays; the membrane keeps half a percent from one step to the next."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    neuron = functools.partial(build_neuron, "lif", tau=1.005, surrogate={"name": "atan", "params": {"alpha": 5.0}})
    method = build_method("bptt")
    method.prepare(
        build_network(topology, (2,), len(LAGS), neuron, hidden=[24], **params),
        functools.partial(torch.optim.Adam, lr=1e-2),
    )
    for _ in range(BATCHES):
        method.update(*draw(64, generator))
    method.network.eval()
    x, target = draw(1000, generator)
    return float((method.predict(x).argmax(1) == target).double().mean())


def test_without_delays_it_is_a_guess() -> None:
    assert accuracy("mlp", seed=0) < 0.45


@pytest.mark.parametrize(
    ("topology", "seed", "params"),
    [
        ("delayed", 0, {"length": 9, "position_gain": 10.0, "anneal_batches": 120}),
        ("delayed-max", 1, {"length": 9, "position_gain": 10.0, "anneal_batches": 120}),
        ("delayed-round", 1, {"longest": 6, "tau": 1.5, "delay_gradient": "difference"}),
    ],
)
def test_learned_delays_tell_the_lag(topology: str, seed: int, params: dict[str, Any]) -> None:
    assert accuracy(topology, seed, **params) > 0.7
