"""What STDB promises, restated step by step: late spikes, own thresholds, a derivative that remembers."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.golden import float64_default
from reference_impls.api import build_method, build_network, build_neuron
from reference_impls.conversion.delayed import NEVER, DelayedIF, DelayedState

FEATURES, HIDDEN, CLASSES, BATCH = 5, (7, 6), 3, 4
Array = NDArray[Any]


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def prepared(rate: float | None = None, hidden: tuple[int, ...] = HIDDEN, **params: Any) -> Any:
    torch.manual_seed(3)
    make = functools.partial(build_neuron, "if")
    method: Any = build_method("stdb", **params)
    optimizer = None if rate is None else functools.partial(torch.optim.Adam, lr=rate)
    method.prepare(build_network("mlp", (FEATURES,), CLASSES, make, hidden=list(hidden)), optimizer)
    return method


def batch(T: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    x = torch.rand((1, BATCH, FEATURES), generator=generator)
    return x.expand(T, BATCH, FEATURES), torch.tensor([0, 1, 2, 1])


class Restated:
    """The released loop over steps and layers, in NumPy, with its gradient written out backwards."""

    def __init__(self, weights: list[Array], thresholds: list[float], alpha: float, beta: float, linear: bool) -> None:
        self.weights, self.thresholds = weights, thresholds
        self.alpha, self.beta, self.linear = alpha, beta, linear

    def forward(self, x: Array) -> Array:
        """Return the output's membrane after all steps, and keep what backward needs."""
        layers = range(len(self.thresholds))
        u = [np.zeros((x.shape[1], self.weights[i].shape[0])) for i in layers]
        last = [np.full_like(u[i], -1000.0) for i in layers]
        out = np.zeros((x.shape[1], self.weights[-1].shape[0]))
        self.inputs: list[list[Array]] = []
        self.slopes: list[list[Array]] = []
        self.spikes: list[list[Array]] = []
        for t in range(x.shape[0]):
            sent, inputs, slopes = x[t], [x[t]], []
            for i in layers:
                z = u[i] / self.thresholds[i] - 1
                o = (z > 0).astype(float)
                if self.linear:
                    slopes.append(self.alpha * np.maximum(0, 1 - np.abs(z)))
                else:
                    slopes.append(self.alpha * np.exp(-self.beta * (t - 1 - last[i])))
                last[i] = np.where(o > 0, t - 1, last[i])
                u[i] = u[i] + sent @ self.weights[i].T - self.thresholds[i] * o
                sent = o
                inputs.append(o)
            out = out + sent @ self.weights[-1].T
            self.inputs.append(inputs)
            self.slopes.append(slopes)
            self.spikes.append(inputs[1:])
        return out

    def backward(self, out: Array, target: Array) -> list[Array]:
        """Return the gradient of the mean cross-entropy by every weight."""
        p = np.exp(out - out.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        delta = (p - np.eye(out.shape[1])[target]) / len(target)
        found = [np.zeros_like(w) for w in self.weights]
        later = [np.zeros((len(target), w.shape[0])) for w in self.weights[:-1]]
        for t in reversed(range(len(self.inputs))):
            into_membrane = list(later)  # of each layer, after its charge at step t
            found[-1] += delta.T @ self.inputs[t][-1]
            for i in reversed(range(len(later))):
                above = delta if i == len(later) - 1 else into_membrane[i + 1]
                sent = above @ self.weights[i + 1]
                found[i] += into_membrane[i].T @ self.inputs[t][i]
                later[i] = into_membrane[i] + sent * self.slopes[t][i] / self.thresholds[i]
        return found


def restated(method: Any) -> Restated:
    network = method.network
    weights = [block.synapse.weight.detach().numpy() for block in network.layers()]
    weights.append(network.readout.weight.detach().numpy())
    neuron = network.neurons()[0]
    return Restated(weights, list(method.thresholds), neuron.alpha, neuron.beta, neuron.surrogate == "linear")


@pytest.mark.parametrize("surrogate", ["stdb", "linear"])
def test_spikes_and_gradients_are_those_of_the_restated_loop(surrogate: str) -> None:
    method, (x, target) = prepared(surrogate=surrogate, beta=0.1, threshold_factor=0.3), batch(14)
    method.calibrate(x[0])
    torch.manual_seed(7)
    encoded = method.encoded(x).numpy()
    plain = restated(method)
    out = plain.forward(encoded)
    expected = plain.backward(out, target.numpy())
    seen: list[Tensor] = []
    torch.manual_seed(7)
    with method.network.observed_by(lambda _layer, spikes: seen.append(spikes.detach())):
        gradients = method.gradients(x, target)
    for layer, spikes in enumerate(seen):
        assert np.array_equal(spikes.numpy(), np.stack([step[layer] for step in plain.spikes]))
        assert spikes.any()
    names = ["blocks.0.synapse.weight", "blocks.1.synapse.weight", "readout.weight"]
    for name, gradient in zip(names, expected, strict=True):
        assert np.allclose(gradients[name].numpy(), gradient, atol=1e-12)
        assert gradient.any()


def test_the_read_out_moves_one_step_a_layer_late() -> None:
    method, (x, _) = prepared(encoding="direct", threshold_factor=0.01), batch(9)
    method.calibrate(x[0])
    few = method.read_outs(x, [1, 2, 3, 9])
    assert not few[:2].any(), "two hidden layers pass two steps before anything arrives"
    assert few[2].any()


def test_thresholds_are_a_share_of_the_largest_input_with_the_layers_below_already_set() -> None:
    method, (x, _) = prepared(threshold_factor=0.7, calibration_steps=30), batch(1)
    method.calibrate(x[0])
    encoded = method.encoded(x[0].expand(30, BATCH, FEATURES), torch.Generator().manual_seed(2005)).numpy()
    weights = restated(method).weights
    first = np.max(encoded @ weights[0].T)
    plain = Restated(weights[:2], [first], 0.3, 0.01, linear=False)
    plain.forward(encoded)
    second = max(np.max(step[0] @ weights[1].T) for step in plain.spikes)
    assert method.thresholds == pytest.approx([0.7 * first, 0.7 * second])


def test_the_derivative_decays_with_the_time_since_the_last_spike() -> None:
    neuron = DelayedIF()
    since = torch.tensor([1.0, 100.0, NEVER])
    assert neuron.slope(torch.zeros(3), since).tolist() == pytest.approx(
        [0.3 * math.exp(-0.01), 0.3 * math.exp(-1), 0.3 * math.exp(-9.99)]
    )
    _, state = neuron.step(torch.zeros(2), DelayedState(torch.tensor([2.0, 0.5]), torch.tensor([NEVER, 7.0])), {})
    assert state.since.tolist() == [1.0, 8.0]
    assert state.v.tolist() == [1.0, 0.5]


def test_poisson_spikes_have_the_sign_and_the_rate_of_the_input() -> None:
    method = prepared()
    x = torch.tensor([-2.0, -0.5, 0.0, 0.25, 1.0]).view(1, 1, 5).expand(4000, 1, 5)
    spikes = method.encoded(x, torch.Generator().manual_seed(1))
    assert set(spikes.unique().tolist()) == {-1.0, 0.0, 1.0}
    assert spikes.mean(0)[0].tolist() == pytest.approx([-1.0, -0.5, 0.0, 0.25, 1.0], abs=0.03)
    assert torch.equal(method.predict(x[:20]), method.predict(x[:20])), "a prediction can be repeated"


def test_at_many_steps_the_converted_network_says_what_its_ann_says() -> None:
    method, (x, target) = prepared(0.02, hidden=(32,), threshold_factor=1.0), batch(1)
    report = method.pretrain(lambda: [(x, target)] * 60, 4)
    assert report.epochs == 2
    many = method.predict(x.expand(3000, BATCH, FEATURES))
    assert torch.equal(many.argmax(1), method.predict_ann(x).argmax(1))
    assert torch.equal(method.predict_ann(x).argmax(1), target)


def test_biases_stay_zero_and_input_spikes_are_counted_as_spikes() -> None:
    method, (x, target) = prepared(0.05), batch(12)
    for _ in range(3):
        method.update(x, target)
    assert not any(p.any() for name, p in method.network.named_parameters() if name.endswith("bias"))
    assert [synapse.source for synapse in method.synapses()] == ["spikes"] * 3
    assert [synapse.source for synapse in prepared(encoding="direct").synapses()] == ["input", "spikes", "spikes"]


def test_fine_tuning_leaves_the_ann_as_it_was() -> None:
    method, (x, target) = prepared(0.05), batch(12)
    method.pretrain(lambda: [(x, target)] * 5, 4)
    before = method.predict_ann(x)
    weight = method.network.readout.weight.detach().clone()
    for _ in range(3):
        method.update(x, target)
    assert torch.equal(method.predict_ann(x), before)
    assert not torch.equal(method.network.readout.weight, weight)
    assert [group["lr"] for group in method.optimizer.param_groups] == [pytest.approx(0.005)]


def test_what_keeps_it_from_its_ann_is_told() -> None:
    method, (x, target) = prepared(0.05, threshold_factor=0.3), batch(12)
    method.pretrain(lambda: [(x, target)] * 5, 4)
    assert method.conversion_residuals(x)["weights_moved"] == [0.0, 0.0]
    for _ in range(3):
        method.update(x, target)
    found = method.conversion_residuals(x)
    assert min(found["weights_moved"]) > 0
    assert found["overdriven"][0] == pytest.approx(
        float(
            (method.fed(x) @ method.network.layers()[0].synapse.weight.T)
            .mean(0)
            .gt(method.thresholds[0])
            .double()
            .mean()
        )
    )


def test_pretraining_needs_an_optimizer() -> None:
    with pytest.raises(RuntimeError, match="prepare"):
        prepared().pretrain(list, 2)
