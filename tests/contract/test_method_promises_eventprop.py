"""EventProp's gradient beside finite differences of the neuron in continuous time, and beside its equations."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from harness.golden import float64_default
from reference_impls.api import Network, build_method, build_network, build_neuron

TAU_M, TAU_S, END = 10.0, 5.0, 40.0
"""Time constants and length of the simulation, in the same unit."""
TIMES = np.array([0.5, 3.25, 9.75, 14.0, 21.5, 24.75])
WEIGHTS = np.array([3.1, 2.3, 2.9, 3.4, 2.7, 3.2])
"""Input spikes, one of each of six synapses onto one neuron."""
Array = NDArray[np.float64]


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def response(since: Any, size: Any = 1.0, v: Any = 0.0) -> Any:
    """Membrane of the continuous neuron some time after it was `v`, with a current of `size` then."""
    kernel = TAU_S / (TAU_M - TAU_S) * (np.exp(-since / TAU_M) - np.exp(-since / TAU_S))
    return v * np.exp(-since / TAU_M) + size * kernel


def spike_times(weights: Array) -> list[float]:
    """Solve for the threshold crossings between events, to rounding."""
    now, v, i, fired = 0.0, 0.0, 0.0, []
    events = [*zip(TIMES, weights, strict=True), (END, 0.0)]
    for at, weight in events:
        while True:
            grid = np.linspace(0.0, at - now, 400)
            above = np.flatnonzero(response(grid, i, v) >= 1)
            if not len(above):
                break
            low, high = grid[above[0] - 1], grid[above[0]]
            for _ in range(60):
                middle = (low + high) / 2
                low, high = (low, middle) if response(middle, i, v) >= 1 else (middle, high)
            now, i, v = now + high, i * math.exp(-high / TAU_S), 0.0
            fired.append(now)
        v, i, now = response(at - now, i, v), i * math.exp(-(at - now) / TAU_S) + weight, at
    return fired


def exact_loss(weights: Array) -> float:
    """Mean over time of a read-out membrane behind one synapse of weight 1."""
    since = np.array([END - fired for fired in spike_times(weights)])
    # Of the read-out's response the integral is known in closed form.
    integral = TAU_S / (TAU_M - TAU_S) * (TAU_M * (1 - np.exp(-since / TAU_M)) - TAU_S * (1 - np.exp(-since / TAU_S)))
    return float(integral.sum() / END)


def in_steps(dt: float) -> tuple[float, Array]:
    """Loss and gradient on the six weights, by the method on steps of `dt`."""
    decay, current_decay = math.exp(-dt / TAU_M), math.exp(-dt / TAU_S)
    make = functools.partial(
        build_neuron,
        "cuba-lif",
        decay=decay,
        current_decay=current_decay,
        input_gain="one_minus_decay",
        v_threshold=1.0,
    )
    network: Any = build_network("mlp", (6,), 1, make, hidden=[1])
    method: Any = build_method("eventprop", loss="mean_ce", least_rise=0.0)
    method.prepare(network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.layers()[0].synapse.weight.copy_(torch.tensor(WEIGHTS))
        network.readout.weight.fill_(1.0)
    x = torch.zeros(round(END / dt), 1, 6)
    for synapse, at in enumerate(TIMES):
        x[round(at / dt), 0, synapse] = 1.0
    loss = method.membranes(x).mean()
    loss.backward()
    return float(loss.detach()), network.layers()[0].synapse.weight.grad.numpy().ravel()


def test_the_gradient_is_that_of_the_continuous_neuron() -> None:
    step = 1e-6
    expected = np.array(
        [
            (exact_loss(WEIGHTS + step * unit) - exact_loss(WEIGHTS - step * unit)) / (2 * step)
            for unit in np.eye(len(WEIGHTS))
        ]
    )
    assert len(spike_times(WEIGHTS)) >= 3
    errors = []
    for dt in (0.2, 0.02):
        loss, gradient = in_steps(dt)
        assert loss == pytest.approx(exact_loss(WEIGHTS), rel=0.05)
        errors.append(np.abs(gradient - expected).max() / np.abs(expected).max())
    assert errors[1] < 0.03
    assert errors[1] < errors[0] / 2


def network(name: str, hidden: list[int], **params: Any) -> Network:
    torch.manual_seed(3)
    net = build_network("mlp", (8,), 3, functools.partial(build_neuron, name, **params), hidden=hidden)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter *= 3
    return net


def adjoint(
    x: Array, weights: list[Array], biases: list[Array], signal: Array, neuron: Any, least_rise: float
) -> tuple[list[Array], list[Array]]:
    """Restate the method layer by layer in numpy: `signal` is the gradient on the last layer's spikes ``[T, B, N]``."""
    a, c, theta = neuron.decay, neuron.current_decay, neuron.v_threshold
    inputs, spikes, rises = [x], [], []
    for weight, bias in zip(weights, biases, strict=True):
        drive = inputs[-1] @ weight.T + bias
        v = i = np.zeros_like(drive[0])
        s, rise = np.zeros_like(drive), np.zeros_like(drive)
        for t in range(len(drive)):
            i = c * i + drive[t]
            h = a * v + i
            s[t], rise[t] = h >= theta, np.maximum(h - v, least_rise)
            v = (1 - s[t]) * h
        inputs.append(s)
        spikes.append(s)
        rises.append(rise)
    by_weight, by_bias = [], []
    for layer in reversed(range(len(weights))):
        s, rise = spikes[layer], rises[layer]
        lambda_v = lambda_i = np.zeros_like(s[0])
        lambdas = np.zeros_like(s)
        for t in reversed(range(len(s))):
            shift = (signal[t + 1] if t + 1 < len(s) else 0) - signal[t]
            jump = (lambda_v * (rise[t] + (1 - a) * theta) - shift) / rise[t]
            lambda_h = np.where(s[t] > 0, jump, lambda_v)
            lambdas[t] = lambda_i = lambda_h + c * lambda_i
            lambda_v = a * lambda_h
        by_weight.insert(0, np.einsum("tbo,tbi->oi", lambdas, inputs[layer]))
        by_bias.insert(0, lambdas.sum((0, 1)))
        signal = lambdas @ weights[layer]
    return by_weight, by_bias


def test_two_layers_follow_the_adjoint_equations() -> None:
    net: Any = network("cuba-lif", [7, 6])
    method: Any = build_method("eventprop")
    method.prepare(net)
    x = 3 * torch.rand(9, 4, 8, generator=torch.Generator().manual_seed(1))
    target = torch.tensor([0, 1, 2, 1])
    found = method.gradients(x, target)
    # The gradient on the last layer's spikes, from the read-out alone.
    blocks = net.layers()
    spikes = x
    for block in blocks:
        spikes = block.neuron(torch.stack([block.synapse(step) for step in spikes])).detach()
    spikes.requires_grad_()
    i = v = torch.zeros(4, 3)
    membranes = []
    for step in spikes:
        i = 0.5 * i + net.readout(step)
        v = 0.75 * v + i
        membranes.append(v)
    torch.nn.functional.cross_entropy(torch.stack(membranes).amax(0), target).backward()
    assert spikes.grad is not None
    weights, biases = (
        [getattr(block.synapse, name).detach().numpy() for block in blocks] for name in ("weight", "bias")
    )
    expected = adjoint(x.numpy(), weights, biases, spikes.grad.numpy(), blocks[0].neuron, 0.05)
    for layer, block in enumerate(blocks):
        for name, values in zip(("weight", "bias"), expected, strict=True):
            (key,) = (k for k, p in net.named_parameters() if p is getattr(block.synapse, name))
            assert np.abs(values[layer]).max() > 0
            np.testing.assert_allclose(found[key].numpy(), values[layer], rtol=1e-9, atol=1e-12)


def test_norses_convention_gives_the_same_gradient_as_ours() -> None:
    x, target = 3 * torch.rand(12, 4, 8, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 1, 2, 1])
    gradients = []
    for name, params in (
        ("cuba-lif-norse", {"tau": 4.0, "current_decay": 0.5}),
        ("cuba-lif", {"input_gain": "one_minus_decay", "v_threshold": 1.0, "fire_rule": "gt"}),
    ):
        method = build_method("eventprop")
        method.prepare(network(name, [6], **params))
        gradients.append(method.gradients(x, target))
    assert any(gradient.any() for gradient in gradients[0].values())
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name])


def test_a_silent_layer_gets_no_gradient() -> None:
    net = network("cuba-lif", [6], v_threshold=1e6)
    method = build_method("eventprop")
    method.prepare(net)
    found = method.gradients(torch.rand(5, 2, 8), torch.tensor([0, 1]))
    assert not any(gradient.any() for name, gradient in found.items() if "readout" not in name)


def test_other_neurons_are_refused() -> None:
    with pytest.raises(ValueError, match="cuba-lif is a neuron that it trains"):
        build_method("eventprop").prepare(network("tc-lif", [6]))
