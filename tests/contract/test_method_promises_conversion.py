"""What conversion promises: counts that stand for activations, thresholds of the network as it is, and bursts."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.catalogue.cell import Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import load_registry
from harness.golden import float64_default
from harness.measure.memory import saved_bytes
from reference_impls.api import Network, build_method, build_network, build_neuron, over_time
from reference_impls.conversion.activations import qcfs
from reference_impls.conversion.burst import BurstIF
from reference_impls.conversion.method import Recent
from reference_impls.conversion.spiking import become_spiking, residuals, spike_rates, weight_form
from reference_impls.conversion.statistics import STATISTICS, best_rounding, percentile, threshold_of

FEATURES, CLASSES, BATCH = 6, 3, 4
REGISTRY = load_registry()
CONVERSIONS = ("threshold-balancing", "burst", "qcfs", "noisy-quantisation")


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def network(topology: str = "mlp", neuron: str = "if", hidden: tuple[int, ...] = (8, 7)) -> Any:
    torch.manual_seed(3)
    make = functools.partial(build_neuron, neuron)
    return build_network(topology, (FEATURES,), CLASSES, make, hidden=list(hidden))


def prepared(name: str, rate: float | None = None, **params: Any) -> Any:
    method = build_method(name, **params)
    method.prepare(network(), None if rate is None else functools.partial(torch.optim.Adam, lr=rate))
    return method


def sequence(T: int, constant: bool = False) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    x = 2 * torch.rand((1 if constant else T, BATCH, FEATURES), generator=generator)
    return x.expand(T, BATCH, FEATURES), torch.tensor([0, 1, 2, 1])


@pytest.mark.parametrize("start", [0.0, 0.5])
@pytest.mark.parametrize("steps", [1, 5, 16])
def test_a_neuron_counts_what_its_constant_input_holds(start: float, steps: int) -> None:
    """min(T, floor(z T / theta + start)), for inputs off the ties."""
    neuron: Any = build_neuron("if", v_threshold=1.7, v_init=start * 1.7)
    z = torch.linspace(0, 3, 997)
    counts = neuron(z.expand(steps, 1, -1)).sum(0)[0]
    assert torch.equal(counts, (z * steps / 1.7 + start).floor().clamp(max=steps))


@pytest.mark.parametrize("most", [1, 5])
@pytest.mark.parametrize("steps", [1, 3, 20])
def test_what_is_not_fired_yet_is_in_the_membrane(steps: int, most: int) -> None:
    """phi_l = W phi_{l-1} + b - (v[T] - v[0]) / T for every neuron, at every T, whatever the input."""
    net, thresholds = network(), [0.4, 0.3]
    for block in net.layers():
        block.neuron = BurstIF(most)
    become_spiking(net, thresholds, 0.5)
    x, _ = sequence(steps)
    rates, membranes = spike_rates(net, x)
    below = x.mean(0)
    for block, rate, v, threshold in zip(net.layers(), rates, membranes, thresholds, strict=True):
        expected = block.synapse(below) - (v - threshold / 2) / steps
        assert torch.allclose(rate, expected, atol=1e-13)
        below = rate


def test_with_the_largest_activation_rates_become_the_anns() -> None:
    """At T = 2,048 nothing is clipped and rounding is small; the errors fall with T."""
    method, (x, target) = prepared("threshold-balancing-max", 0.01), sequence(1)
    for _ in range(20):
        method.update(x, target)
    several = method.read_outs(x.expand(2048, -1, -1), [8, 128, 2048])
    errors = [float((found - method.predict_ann(x)).abs().max()) for found in several]
    assert errors[2] < 2e-3
    assert errors == sorted(errors, reverse=True)


def test_binary_spikes_and_thresholds_of_one_are_the_same_network() -> None:
    net, thresholds = network(), [0.4, 0.3]
    become_spiking(net, thresholds, 0.5)
    folded = weight_form(net, thresholds, 0.5)
    x, _ = sequence(12)
    seen: dict[str, list[Tensor]] = {"own": [], "folded": []}
    logits = []
    for name, one in (("own", net), ("folded", folded)):
        with one.observed_by(lambda _layer, spikes, name=name: seen[name].append(spikes)):
            logits.append(one.run(x).logits)
    assert [neuron.v_threshold for neuron in folded.neurons()] == [1.0, 1.0]
    assert [block.scale for block in folded.layers()] == [1.0, 1.0]
    assert all(torch.equal(one, other) for one, other in zip(seen["own"], seen["folded"], strict=True))
    assert seen["own"][1].any()
    assert torch.allclose(*logits, atol=1e-13)


@pytest.mark.parametrize("q", [0.1, 37.0, 99.0, 99.9, 100.0])
def test_percentile_is_torchs_where_torch_has_one(q: float) -> None:
    a = torch.rand(7, 11, 3).relu()
    assert float(percentile(a, q)) == pytest.approx(float(torch.quantile(a.flatten(), q / 100)), abs=1e-15)


def test_best_rounding_finds_the_step_of_rounded_values() -> None:
    """Values k V / T are rendered without error by V, if V is on the grid."""
    V = 0.8
    a = torch.cat([(torch.arange(17) * V / 16 + 1e-9).repeat(10), torch.tensor([1.0])])  # the grid begins at 1
    assert float(best_rounding(a, 16)) == pytest.approx(V)
    assert float(best_rounding(torch.zeros(5), 16)) == 0.0


def test_a_silent_layer_has_a_threshold_all_the_same() -> None:
    assert all(threshold_of(torch.zeros(4, 3), statistic) > 0 for statistic in STATISTICS)


def test_one_spike_a_step_is_no_burst() -> None:
    x = torch.randn(30, 5, 40)
    params = {"v_threshold": 0.7, "v_init": 0.35}
    one, burst = build_neuron("if", **params), BurstIF(1, **params)
    assert torch.equal(one(x), burst(x))


def test_large_bursts_say_a_constant_input_at_once() -> None:
    neuron = BurstIF(1000, v_threshold=0.1)
    x = 5 * torch.rand(1, 2, 9)
    said = neuron(x.expand(6, -1, -1)).cumsum(0) * 0.1
    owed = x * torch.arange(1, 7).view(-1, 1, 1) - said
    assert (owed > -1e-12).all()
    assert (owed < 0.1 + 1e-12).all()
    assert float(said[0].max()) > 1


def test_clamp_first_ends_the_gradient_at_the_clipping_point() -> None:
    found = []
    for z in (-0.1, 0.3, 1.9, 2.1, 3.0):
        x, up = torch.tensor(z, requires_grad=True), torch.tensor(2.0, requires_grad=True)
        qcfs(x, up, 4, "clamp_then_floor").backward()
        assert x.grad is not None
        assert up.grad is not None
        found.append((float(x.grad), round(float(up.grad), 12)))
    assert found == [(0, 0), (1, 0.1), (1, 0.05), (0, 1), (0, 1)]


def test_no_noise_is_qcfs_to_the_bit() -> None:
    x, target = sequence(3)
    gradients = [prepared(name).gradients(x, target) for name in ("qcfs", "noisy-quantisation")]
    assert all(torch.equal(gradients[0][name], gradients[1][name]) for name in gradients[0])


def test_the_residual_error_makes_noise_where_there_is_some() -> None:
    """At as many steps as levels the first layer counts what the activation rounds: only deeper ones are uneven."""
    torch.manual_seed(4)
    x, target = 2 * torch.randn(1, 200, FEATURES), torch.randint(CLASSES, (200,))
    sigmas = {}
    for steps in (2, 4):
        method = prepared("noisy-quantisation", 0.01, steps=steps, up=0.6)
        assert method.sigma == [0.0, 0.0]
        assert method.pretrain(lambda: [(x, target)] * 4, 4).epochs == 3
        sigmas[steps] = method.sigma
    assert sigmas[4][0] == pytest.approx(0, abs=1e-12)
    assert sigmas[4][1] > 1e-3
    assert sigmas[2][0] > 0.01
    torch.manual_seed(1)
    first = method.accumulate(x, target).loss
    assert method.accumulate(x, target).loss != first, "the noise is drawn anew"
    assert torch.equal(method.predict_ann(x), method.predict_ann(x)), "the ANN's own error is without noise"


@pytest.mark.parametrize("name", CONVERSIONS)
def test_thresholds_follow_the_ann_when_they_are_asked_for(name: str) -> None:
    method, (x, target) = prepared(name, 0.05), sequence(3)
    method.update(x, target)
    method.predict(x)
    before = list(method.thresholds)
    method.update(x, target)
    assert list(method.thresholds) == before, "nobody asked yet"
    assert [synapse.amplitude for synapse in method.synapses()[1:]] == list(method.thresholds)
    assert list(method.thresholds) != before
    assert [neuron.v_threshold for neuron in method.network.neurons()] == list(method.thresholds)
    assert [neuron.v_init for neuron in method.network.neurons()] == [v / 2 for v in method.thresholds]


@pytest.mark.parametrize("name", CONVERSIONS)
def test_an_update_is_an_anns_and_keeps_nothing_of_time(name: str) -> None:
    def kept(T: int) -> int:
        method, (x, target) = prepared(name), sequence(T)
        return saved_bytes(functools.partial(method.gradients, x, target), [x]).peak_bytes

    assert kept(2) == kept(64)
    method, (x, target) = prepared(name, 0.01), sequence(5)
    assert method.update(x, target).stages == ()
    assert torch.equal(method.predict_ann(x), method.predict_ann(x.mean(0, keepdim=True)))


def test_residuals_name_what_is_clipped_and_what_is_owed() -> None:
    net = network()
    x, _ = sequence(64, constant=True)
    become_spiking(net, [0.05, 100.0], 0.5)
    found = residuals(net, x, lambda _layer, z: z.relu())
    assert found["clipped"][0] > 0.2
    assert found["clipped"][1] == 0.0
    become_spiking(net, [100.0, 100.0], 0.5)
    assert residuals(net, x, lambda _layer, z: z.relu()) == {"clipped": [0.0, 0.0], "unsettled": [0.0, 0.0]}


def test_a_neuron_that_fired_too_early_is_unsettled() -> None:
    """Input arrives before what takes it back: a spike too many, though the sum says none."""
    net = network(hidden=(1,))
    with torch.no_grad():
        net.layers()[0].synapse.weight.fill_(1 / FEATURES)
        net.layers()[0].synapse.bias.zero_()
    become_spiking(net, [1.0], 0.0)
    x = torch.tensor([1.0, -1.0, 0.0, 0.0]).view(4, 1, 1).expand(4, 1, FEATURES)
    assert residuals(net, x, lambda _layer, z: z.relu())["unsettled"] == [1.0]


def test_recent_samples_are_bounded_and_the_newest_are_kept() -> None:
    recent = Recent(5)
    for value in range(4):
        recent.add(torch.full((3, 1), float(value)))
    assert recent.all().flatten().tolist() == [2, 2, 3, 3, 3]
    with pytest.raises(ValueError, match="calibration_samples"):
        Recent(0)


def test_clipping_points_stay_positive() -> None:
    method, (x, target) = prepared("qcfs", 10.0), sequence(2)
    for _ in range(20):
        method.update(x, target)
    assert min(float(up.detach()) for up in method.ups()) >= 1e-3


def test_pretraining_takes_its_share_and_the_rest_goes_on() -> None:
    method, (x, target) = prepared("qcfs", 0.01), sequence(2)
    report = method.pretrain(lambda: [(x, target)] * 2, 8)
    assert (report.epochs, report.updates) == (6, 12)
    assert report.losses[-1] < report.losses[0]
    assert math.isfinite(method.update(x, target).loss)


@pytest.mark.parametrize(
    ("neuron", "topology", "sentence"),
    [
        ("lif", "mlp", "qcfs needs a neuron whose leak is False; lif's is True."),
        ("psn", "mlp", "qcfs needs a neuron whose parallel is sequential; psn's is matmul."),
        ("ternary-if", "mlp", "qcfs needs a neuron whose output is binary; ternary-if's is ternary."),
        ("if", "feedback", "qcfs trains chain networks; feedback is a feedback network."),
    ],
)
def test_says_what_it_cannot_convert(neuron: str, topology: str, sentence: str) -> None:
    assert why_unsupported(Cell("accuracy", "digits", neuron, "qcfs", topology), REGISTRY) == sentence


@pytest.mark.parametrize(("neuron", "topology"), [("lif", "mlp"), ("if", "recurrent")])
@pytest.mark.parametrize("name", [*CONVERSIONS, "stdb", "tandem", "hybrid-coding"])
def test_refuses_another_network(name: str, neuron: str, topology: str) -> None:
    other: Network = network(topology, neuron)
    with pytest.raises(ValueError, match=r"chain|no leak"):
        build_method(name).prepare(other)


@pytest.mark.parametrize(
    ("name", "params", "word"),
    [
        ("threshold-balancing", {"statistic": "median"}, "statistic"),
        ("threshold-balancing", {"q": 0}, "percentile"),
        ("threshold-balancing", {"start": 1.0}, "start"),
        ("burst", {"most": 0}, "most"),
        ("qcfs", {"levels": 0}, "levels"),
        ("qcfs", {"up": 0}, "up"),
        ("qcfs", {"order": "floor"}, "order"),
        ("qcfs", {"pretraining_share": 1}, "pretraining_share"),
        ("noisy-quantisation", {"steps": 0}, "steps"),
        ("stdb", {"encoding": "rate"}, "encoding"),
        ("stdb", {"threshold_factor": 0}, "threshold_factor"),
        ("tandem", {"q": 101}, "percentile"),
        ("hybrid-coding", {"v_out": 0}, "v_out"),
    ],
)
def test_refuses_what_has_no_meaning(name: str, params: dict[str, Any], word: str) -> None:
    with pytest.raises((ValueError, TypeError), match=word):
        build_method(name, **params)


def test_the_first_map_of_a_constant_input_is_computed_once() -> None:
    method, (x, _) = prepared("qcfs"), sequence(40, constant=True)
    calls = []
    method.network.layers()[0].synapse.register_forward_hook(lambda *_: calls.append(1))
    method.read_outs(x, [1, 4, 40])
    assert len(calls) == 1
    assert over_time(method.network.layers()[0].synapse, x).stride(0) == 0
