"""What LC-TTFS and DFT promise: their equations, restated, and membranes that are integrated step by step.

No official vectors: LC-TTFS has no released code (arXiv 2310.14978); DFT's (ICCV 2023) is restated as it was read.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.catalogue.cell import Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import load_registry
from harness.golden import float64_default
from reference_impls.api import build_method, build_network, build_neuron
from reference_impls.conversion.one_spike import crossing
from reference_impls.conversion.spiking import ann_layers

FEATURES, CLASSES, BATCH, HIDDEN = 6, 3, 12, (8, 7)
REGISTRY = load_registry()
DT = 1e-4


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def batch(T: int = 1) -> tuple[Tensor, Tensor]:
    """Samples in [0, 1], with zeros among their entries."""
    generator = torch.Generator().manual_seed(5)
    x = torch.rand((1, BATCH, FEATURES), generator=generator)
    x = x.where(torch.rand(x.shape, generator=generator) > 0.25, 0.0)
    return x.expand(T, -1, -1), torch.arange(BATCH) % CLASSES


def prepared(name: str, updates: int = 0, **params: Any) -> Any:
    torch.manual_seed(3)
    network = build_network("mlp", (FEATURES,), CLASSES, functools.partial(build_neuron, "if"), hidden=list(HIDDEN))
    method = build_method(name, **params)
    method.prepare(network, functools.partial(torch.optim.Adam, lr=0.02))
    for _ in range(updates):
        method.update(*batch())
    return method


def maps(method: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    modules = [*(block.synapse for block in method.network.layers()), method.network.readout]
    return [(own.weight.detach().numpy(), own.bias.detach().numpy()) for own in modules]


def with_unit_sums(method: Any) -> Any:
    """Let the bias make every neuron's weights add up to 1."""
    with torch.no_grad():
        for block in method.network.layers():
            block.synapse.bias.copy_(1 - block.synapse.weight.sum(1))
    method.stale = True
    return method


def test_where_weights_add_up_to_one_the_network_is_the_clipped_anns() -> None:
    method, (x, _) = with_unit_sums(prepared("lc-ttfs", updates=10)), batch()
    found = method.spike_times(x)
    activations, logits = ann_layers(method.network, x[0], lambda _layer, z: z.clamp(0, 1))
    for share, a in zip(found.shares[1:], activations, strict=True):
        assert torch.allclose(1 - share, a, rtol=0, atol=1e-12)
        assert (a > 0).any()
    assert torch.equal(found.logits.argmax(1), logits.argmax(1))
    assert torch.allclose(found.logits, logits, rtol=0, atol=1e-12)
    assert torch.allclose(method.predict_ann(x), logits, rtol=0, atol=0)


@pytest.mark.parametrize("updates", [0, 15])
def test_a_sum_stretches_time(updates: int) -> None:
    """t_j = (1 + sum w t_i) / S on the clock of the window below, silent inputs at its end; clipped to [1, 2]."""
    method, (x, _) = prepared("lc-ttfs", updates), batch()
    found = method.spike_times(x)
    times = 1 - x[0].numpy()  # 1: silent, and counted as a spike at the end of the window
    for share, (weight, bias) in zip(found.shares[1:], maps(method)[:-1], strict=True):
        S = weight.sum(1) + bias  # the bias fires at 0
        with np.errstate(divide="ignore"):
            t = (1 + times @ weight.T) / S
        above = S - times @ weight.T >= 1  # the membrane as the window opens
        expected = np.where(above, 1.0, np.where(S > 0, np.clip(t, 1, 2), 2.0)) - 1
        assert np.allclose(share.numpy(), expected, atol=1e-12)
        times = expected
    weight, bias = maps(method)[-1]
    assert np.allclose(found.logits.numpy(), (1 - times) @ weight.T + bias, atol=1e-12)


def integrated(weight: np.ndarray, bias: np.ndarray, times: np.ndarray, threshold: Any) -> np.ndarray:
    """First time in [1, 2] at which ``sum_i w_i max(0, t - t_i)`` is at `threshold(t)`, as a share of the window."""
    fired = np.ones(len(weight))
    for t in np.arange(1, 2, DT):
        membrane = weight @ np.maximum(0, t - times) + bias * t
        fired[(membrane >= threshold(t)) & (fired == 1)] = t - 1
    return fired


def test_lc_ttfs_is_a_membrane_under_a_threshold_of_one_inside_the_window() -> None:
    method, (x, _) = prepared("lc-ttfs", updates=15), batch()
    share = method.spike_times(x).shares[1]
    weight, bias = maps(method)[0]
    for sample in range(3):
        found = integrated(weight, bias, 1 - x[0, sample].numpy(), lambda _t: 1.0)
        assert np.abs(found - share[sample].numpy()).max() < 2 * DT


def test_the_regulariser_pulls_sums_to_one() -> None:
    """Its gradient is 2 lambda (S - 1) for every weight and the bias of a neuron."""
    method = prepared("lc-ttfs", sum_weight=0.3)
    without = prepared("lc-ttfs-warped").gradients(*batch())
    sums = method.sums()
    for name, gradient in method.gradients(*batch()).items():
        layer = {"blocks.0": 0, "blocks.1": 1}.get(name[:8])
        if layer is None:
            assert torch.equal(gradient, without[name])
            continue
        pull = 0.6 * (sums[layer] - 1)
        assert torch.allclose(gradient - without[name], pull[:, None] if gradient.dim() == 2 else pull, atol=1e-12)
    before = method.conversion_residuals(batch()[0])["warped"]
    for _ in range(60):
        method.update(*batch())
    assert max(method.conversion_residuals(batch()[0])["warped"]) < 0.2 * min(before)


def test_dft_spike_times_are_those_of_the_released_equations() -> None:
    """t = (2 + sum w t) / (1 + sum w) over what fired, 1 where it is above at once, silent beyond 2; then t - 1.

    Where 1 + sum w is not positive the membrane never meets its threshold; the released code divides all the same.
    """
    method, (x, _) = prepared("dft", updates=15), batch()
    found = method.spike_times(x)
    times = np.where(x[0].numpy() > 0, 1 - x[0].numpy(), np.inf)
    for share, (weight, bias) in zip(found.shares[1:], maps(method)[:-1], strict=True):
        assert not bias.any()
        fired = np.isfinite(times)
        S, moment = fired @ weight.T, np.where(fired, times, 0) @ weight.T
        t = np.where(S > -1, (2 + moment) / (1 + S), np.inf)
        t = np.where(S - moment >= 1, 1.0, np.where(t > 2, np.inf, t)) - 1
        assert np.allclose(share.numpy(), np.where(np.isfinite(t), t, 1.0), atol=1e-12)
        assert np.isfinite(t).any()
        assert np.isinf(t).any()
        times = t
    weight, _ = maps(method)[-1]
    values = np.where(np.isfinite(times), 1 - times, 0)
    assert np.allclose(found.logits.numpy(), (np.isfinite(times) + values) @ weight.T, atol=1e-12)


def test_dft_is_a_membrane_under_a_threshold_that_falls() -> None:
    method, (x, _) = prepared("dft", updates=15), batch()
    share = method.spike_times(x).shares[1]
    weight, bias = maps(method)[0]
    for sample in range(3):
        on = x[0, sample].numpy() > 0
        found = integrated(weight[:, on], bias, 1 - x[0, sample].numpy()[on], lambda t: 2 - t)
        assert np.abs(found - share[sample].numpy()).max() < 2 * DT


def test_dft_derivatives_are_exact_until_they_are_clipped() -> None:
    """By membrane and rise: -1 / rise and -share / rise, at most `steepest`."""
    z = torch.tensor([0.2, 0.9, 0.995, -5.0, 1.5], requires_grad=True)
    rise = torch.tensor([1.7, 0.5, 0.01, 1.0, 1.0], requires_grad=True)
    exact = torch.autograd.grad(crossing(z, rise, 1.0).sum(), (z, rise))
    step = 1e-7
    numeric = (crossing(z + step, rise, 1.0) - crossing(z - step, rise, 1.0)) / (2 * step)
    assert torch.allclose(exact[0], numeric, rtol=1e-5)
    numeric = (crossing(z, rise + step, 1.0) - crossing(z, rise - step, 1.0)) / (2 * step)
    assert torch.allclose(exact[1], numeric, rtol=1e-4)
    assert exact[0].tolist()[3:] == [0, 0], "silent, and before its window"
    clipped = torch.autograd.grad(crossing(z, rise, 1.0, steepest=11.0).sum(), (z, rise))
    assert clipped[0].tolist() == [exact[0][0], exact[0][1], -11, 0, 0]
    assert torch.allclose(clipped[1][:2], exact[1][:2])
    assert float(clipped[1][2]) == -11
    assert torch.equal(crossing(z, rise, 1.0), crossing(z, rise, 1.0, steepest=11.0))


def test_dft_gradients_are_those_of_its_times() -> None:
    """Of the cross-entropy, against central differences; no weight's step moves a neuron across the window's end."""
    method, (x, target) = prepared("dft", updates=10, steepest=1e6), batch()
    gradients = method.gradients(x, target)
    for name, parameter in method.network.named_parameters():
        if not parameter.requires_grad:
            assert not gradients[name].any()
            continue
        flat = parameter.detach().view(-1)
        for index in range(0, flat.numel(), 3):
            found = []
            for sign in (1, -1):
                with torch.no_grad():
                    flat[index] += sign * 1e-6
                    found.append(_loss(method, x, target))
                    flat[index] -= sign * 1e-6
            assert float(gradients[name].view(-1)[index]) == pytest.approx(
                (found[0] - found[1]) / 2e-6, abs=1e-7, rel=1e-5
            )


def _loss(method: Any, x: Tensor, target: Tensor) -> float:
    return float(
        torch.nn.functional.cross_entropy(method.walk(x, windows=method.windows_now()).logits, target).detach()
    )


def test_dft_begins_with_the_weights_of_an_ann() -> None:
    method, (x, target) = prepared("dft"), batch()
    before = method.network.layers()[0].synapse.weight.detach().clone()
    report = method.pretrain(lambda: [(x, target)] * 3, 8)
    assert (report.epochs, report.updates) == (2, 6)
    assert not torch.equal(method.network.layers()[0].synapse.weight, before)
    ann = torch.nn.functional.cross_entropy(method.predict_ann(x), target)
    assert float(ann) < report.losses[0]
    assert method.accumulate(x, target).loss == pytest.approx(_loss(method, x, target))


def test_says_what_it_cannot_convert() -> None:
    sentence = "lc-ttfs trains fully connected layers; conv has convolutions."
    assert why_unsupported(Cell("accuracy", "digits", "if", "lc-ttfs", "conv"), REGISTRY) == sentence
    conv = build_network("conv", (1, 8, 8), 3, functools.partial(build_neuron, "if"), channels=[2])
    with pytest.raises(ValueError, match="fully connected"):
        build_method("lc-ttfs").prepare(conv)


@pytest.mark.parametrize(
    ("name", "params", "word"),
    [("lc-ttfs", {"sum_weight": -1}, "sum_weight"), ("dft", {"steepest": 0}, "steepest")],
)
def test_refuses_what_has_no_meaning(name: str, params: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        build_method(name, **params)
