"""What T2FSNN promises: times that say logarithms, to a bound, and kernels that fit their activations.

No official vectors: the equations (arXiv 2003.11741, as far as they are known here) are restated.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.golden import float64_default
from reference_impls.api import build_method, build_network, build_neuron
from reference_impls.conversion.exponential import Exponential, Kernel, decode, encode, fitted
from reference_impls.conversion.spiking import ann_layers

FEATURES, CLASSES, BATCH = 6, 3, 12


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    x = torch.rand((1, BATCH, FEATURES), generator=generator)
    return x.where(torch.rand(x.shape, generator=generator) > 0.2, 0.0), torch.arange(BATCH) % CLASSES


def prepared(updates: int = 15, **params: Any) -> Any:
    torch.manual_seed(3)
    network = build_network("mlp", (FEATURES,), CLASSES, functools.partial(build_neuron, "if"), hidden=[8, 7])
    method = build_method("t2fsnn", **params)
    method.prepare(network, functools.partial(torch.optim.Adam, lr=0.02))
    for _ in range(updates):
        method.update(*batch())
    return method


@pytest.mark.parametrize("steps", [4, 16, 100])
def test_what_is_decoded_is_low_by_less_than_a_step_of_the_kernel(steps: int) -> None:
    """Between the smallest and the largest value, the relative error is below exp(1 / tau) - 1, tau in steps."""
    kernel = Kernel(2.0, 0.3, 0.05)
    smallest, largest = 2 * math.exp((0.05 - 1 + 1 / steps) / 0.3), 2 * math.exp(0.05 / 0.3)
    u = torch.linspace(smallest * 1.0001, largest * 0.9999, 5001)
    said = decode(encode(u, kernel, steps), kernel)
    assert (said <= u * (1 + 1e-12)).all()
    assert float((u / said - 1).max()) < math.exp(1 / (0.3 * steps)) - 1 + 1e-12
    assert float((u / said - 1).max()) > 0.9 * (math.exp(1 / (0.3 * steps)) - 1), "the bound is met"
    beyond = torch.tensor([-1.0, 0.0, smallest * 0.999, largest * 3])
    assert decode(encode(beyond, kernel, steps), kernel)[:3].tolist() == [0, 0, 0]
    assert encode(beyond, kernel, steps).tolist()[3] == 0, "at once"


def test_continuous_time_is_the_relu_network_where_the_kernels_reach() -> None:
    """Every value that a kernel can say comes back exactly; what is too small is silent, what is too large is cut."""
    method, (x, _) = prepared(), batch()
    found = method.spike_times(x)
    z = x[0]
    for layer, (share, kernel) in enumerate(zip(found.shares, method.kernels, strict=True)):
        if layer:
            z = method.network.layers()[layer - 1].synapse(z).detach().relu()
        low, high = (kernel.scale * math.exp((kernel.delay - s) / kernel.tau) for s in (1.0, 0.0))
        expected = torch.where(z > low, z.clamp(max=high), 0.0)
        assert torch.allclose(decode(share, kernel), expected, atol=1e-12)
        assert torch.equal(share == 1, z <= low)
        assert (share < 1).any()
        z = expected
    assert torch.allclose(found.logits, method.network.readout(z), atol=1e-12)


@pytest.mark.parametrize("T", [3, 16])
def test_a_neuron_fires_at_the_published_step(T: int) -> None:
    """t = ceil(t_d - tau ln(u / theta_0)), clipped to 0, silent from T on, restated in steps."""
    below, own = Kernel(1.0, 0.4, 0.1), Kernel(1.7, 0.25, 0.02)
    generator = torch.Generator().manual_seed(2)
    inputs = (torch.rand((T, 5, 40), generator=generator) < 0.1).double()
    bias = torch.randn(40, generator=generator)
    spikes = Exponential(below, own, bias)(inputs + bias).numpy()
    t = np.arange(T)
    u = np.einsum("t,tbn->bn", np.exp(-(t - 0.1 * T) / (0.4 * T)), inputs.numpy()) + bias.numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        when = np.ceil(0.02 * T - 0.25 * T * np.log(u / 1.7))
    when = np.where(u > 0, np.maximum(when, 0), T)
    assert (spikes.sum(0) == (when < T)).all()
    assert (spikes.argmax(0) == np.where(when < T, when, 0)).all()
    assert 0 < spikes.sum() < u.size


def test_kernels_are_fitted_to_their_activations() -> None:
    """The fit says them better than where it began, at about the smallest and largest value that it is to say."""
    generator = torch.Generator().manual_seed(4)
    a = (2 * torch.randn(4000, generator=generator)).relu()
    kernel = fitted(a, 16)
    start = Kernel(kernel.scale, 0.25, 0.0)
    errors = [float((a - decode(encode(a, one, 16), one)).square().mean()) for one in (start, kernel)]
    assert kernel.scale == float(a.max())
    assert errors[1] < errors[0]
    assert math.exp(kernel.delay / kernel.tau) == pytest.approx(1, abs=0.1)
    assert fitted(torch.zeros(7), 16).scale == 1.0


def test_more_steps_come_nearer_to_the_relu_network() -> None:
    method, (x, _) = prepared(), batch()
    _, logits = ann_layers(method.network, x[0], lambda _layer, z: z.detach().relu())
    logits = logits.detach()
    read = method.read_outs(x.expand(1024, -1, -1), [8, 64, 1024])
    errors = (read - method.spike_times(x).logits).abs().amax((1, 2)).tolist()
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.02
    assert float((method.spike_times(x).logits - logits).abs().max()) < 0.5
    residuals = method.conversion_residuals(x.expand(64, -1, -1))
    assert max(residuals["rounded"]) < 0.3


def test_refuses_what_has_no_meaning() -> None:
    with pytest.raises(ValueError, match="fitting_steps"):
        build_method("t2fsnn", fitting_steps=0)
