"""What delays, lateral connections and gates promise beyond the vectors: naive restatements, streaming, refusals."""

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
from harness.measure.activity import count_activity
from reference_impls.api import NeuronFactory, build_method, build_network, build_neuron, detached
from reference_impls.delays import RoundedDelay, SpacedDelay, spaced_kernel
from reference_impls.topologies.lateral import LateralMap

REGISTRY = load_registry()
STEPS, BATCH, INPUTS, CLASSES = 7, 4, 5, 3


@pytest.fixture(autouse=True)
def in_float64() -> Iterator[None]:
    torch.manual_seed(3)
    with float64_default():
        yield


def spikes(*shape: int) -> Tensor:
    return (torch.rand(shape) < 0.4).to(torch.float64)


def neuron(name: str = "lif", **params: Any) -> NeuronFactory:
    return functools.partial(build_neuron, name, **params)


def delayed_sum(x: Tensor, weight: Tensor, delays: Tensor) -> Tensor:
    """``y_o[t] = sum_i w_oi x_i[t - d_oi]``, one synapse at a time."""
    y = torch.zeros(*x.shape[:2], weight.shape[0])
    for o, row in enumerate(delays.round().long().tolist()):
        for i, delay in enumerate(row):
            for t in range(delay, x.shape[0]):
                y[t, :, o] += weight[o, i] * x[t - delay, :, i]
    return y


@pytest.mark.parametrize("kind", [SpacedDelay, RoundedDelay])
def test_a_delay_is_a_shift(kind: Any) -> None:
    layer = kind(INPUTS, 2, 5).eval()
    x = spikes(STEPS, BATCH, INPUTS)
    expected = delayed_sum(x, layer.weight.detach(), layer.delays().detach())
    # A triangle's area is divided by itself and 1e-7.
    assert torch.allclose(layer.run(x)[0], expected, atol=1e-6)
    assert (layer.delays() != layer.delays()[0, 0]).any()


def test_a_step_of_the_position_is_a_step_of_the_output() -> None:
    layer = SpacedDelay(INPUTS, 2, 7)
    layer.raw_position.data.zero_()
    x = spikes(STEPS, BATCH, INPUTS)
    before = layer.run(x)[0]
    layer.raw_position.data -= 1
    layer.train(False)
    whole = layer.run(x)[0]
    layer.raw_position.data += 1
    assert not torch.allclose(before, whole)
    assert torch.allclose(layer.run(x)[0][:-1], whole[1:], atol=1e-6)


@pytest.mark.parametrize("version", ["gauss", "max"])
def test_positions_and_weights_of_several_bumps_have_their_true_gradient(version: str) -> None:
    weight = torch.randn(2, 3, 2, requires_grad=True)
    position = torch.randn(2, 3, 2).mul(0.8).requires_grad_()
    sigma = torch.tensor(0.8)
    assert torch.autograd.gradcheck(lambda w, p: spaced_kernel(w, p, sigma, 5, version), (weight, position))


def test_version_max_is_a_triangle_of_area_one() -> None:
    weight, position = torch.tensor([[[2.0]]]), torch.tensor([[[0.25]]])
    taps_of = functools.partial(spaced_kernel, weight, position, length=5, version="max")
    # 1 - |k - 2.25| and 2 - |k - 2.25| over the taps 0 to 4, before they are divided by their sums.
    narrow = torch.tensor([0.0, 0.0, 0.75, 0.25, 0.0]) * 2
    wide = torch.tensor([0.0, 0.75, 1.75, 1.25, 0.25]) * 2 / 4
    assert torch.allclose(taps_of(sigma=torch.tensor(0.0)).flatten(), narrow, atol=1e-6)
    assert torch.allclose(taps_of(sigma=torch.tensor(-1.0)).flatten(), wide, atol=1e-6)
    with pytest.raises(ValueError, match="version of a spaced kernel"):
        spaced_kernel(weight, position, torch.tensor(0.0), 5, "min")


def test_fixed_delays_are_whole_from_the_start_and_get_no_gradient() -> None:
    layer = SpacedDelay(INPUTS, 4, 7, position_gain=20.0, version="max", learn=False)
    x = spikes(STEPS, BATCH, INPUTS)
    expected = delayed_sum(x, layer.weight.detach(), layer.delays())
    for _ in range(3):
        y, _ = layer.run(x)
        y.sum().backward()
        layer.renew()
    assert torch.allclose(y, expected, atol=1e-6)
    assert len(layer.delays().unique()) > 3
    assert layer.raw_position.grad is None
    assert torch.equal(layer.eval().run(x)[0], y)


@pytest.mark.parametrize("version", ["gauss", "max"])
def test_the_width_falls_to_its_end_and_positions_stay_inside(version: str) -> None:
    layer = SpacedDelay(2, 2, 9, position_gain=10.0, anneal_batches=8, version=version)
    layer.raw_position.data.fill_(99.0)
    widths = []
    for _ in range(12):
        layer.renew()
        widths.append(float(layer.sigma))
    assert widths[:8] == sorted(widths[:8], reverse=True)
    assert widths[7:] == pytest.approx([0.23] * 5)
    assert torch.equal(layer.position, torch.full((2, 2), 4.0))
    assert "sigma" in layer.state_dict()


@pytest.mark.parametrize("granularity", ["synapse", "axon", "dendrite"])
def test_rounded_delays_get_grsnns_gradient(granularity: str) -> None:
    layer = RoundedDelay(2, 3, longest=3, base_delay=1, granularity=granularity, tau=4.0)
    x, upstream = spikes(STEPS, 1, 2), torch.randn(STEPS, 1, 3)
    (layer.run(x)[0] * upstream).sum().backward()
    smooth = layer.smooth_delays().detach().expand(3, 2)
    by_delay = torch.zeros(3, 2)
    for o in range(3):
        for i in range(2):
            for t in range(STEPS):
                j = t - 1 - int(smooth[o, i].round())
                slope = -sum(
                    math.e / 4 * (1 - (j - k + 1) / 4) * math.exp(-(j - k) / 4) * float(x[k, 0, i])
                    for k in range(j + 1)
                )
                by_delay[o, i] += layer.weight.detach()[o, i] * upstream[t, 0, o] * slope
    by_raw = by_delay * smooth * (1 - smooth / 3)  # through 3 sigmoid(raw)
    expected = {"synapse": by_raw, "axon": by_raw.sum(0, keepdim=True), "dendrite": by_raw.sum(1, keepdim=True)}
    assert layer.raw_delay.grad is not None
    assert torch.allclose(layer.raw_delay.grad, expected[granularity], atol=1e-12)


def test_the_difference_rule_is_the_slope_between_two_taps() -> None:
    layer = RoundedDelay(1, 1, longest=4, base_delay=1, delay_gradient="difference")
    layer.weight.data.fill_(1.0)
    layer.raw_delay.data.zero_()  # a delay of 2
    x = torch.zeros(6, 1, 1)
    x[1] = 1.0
    upstream = torch.arange(6.0).view(6, 1, 1)
    (layer.run(x)[0] * upstream).sum().backward()
    assert layer.raw_delay.grad is not None
    # The message comes at step 4; a longer delay moves it to step 5.
    assert float(layer.raw_delay.grad) == pytest.approx((5 - 4) * 4 / 4)


NETWORKS = [
    ("delayed", {"length": 5}, "lif"),
    ("delayed", {"length": 5}, "psn"),
    ("delayed-round", {}, "alpha-lif"),
    ("lateral", {"population": 4}, "ilc-cuba-lif"),
    ("gated", {}, "multilevel-if"),
    ("gated-input", {}, "multilevel-if"),
    ("gated-none", {}, "multilevel-lif"),
]


def network(topology: str, params: dict[str, Any], name: str) -> Any:
    needs = {"T": STEPS} if REGISTRY.neurons[name].capabilities.needs_T else {}
    return build_network(topology, (INPUTS,), CLASSES, neuron(name, **needs), hidden=[6, 8], **params)


@pytest.mark.parametrize(("topology", "params", "name"), [case for case in NETWORKS if case[2] != "psn"])
def test_a_sequence_cut_in_windows_or_steps_is_the_same(topology: str, params: dict[str, Any], name: str) -> None:
    built = network(topology, params, name).eval()
    x = spikes(STEPS, BATCH, INPUTS) * 2
    whole = built.run(x).logits
    for size in (1, 3):
        parts, states = [], None
        for part in x.split(size):
            out = built.run(part, detached(states))
            parts.append(out.logits)
            states = out.states
        assert torch.allclose(torch.cat(parts), whole, atol=1e-12)


@pytest.mark.parametrize(("topology", "params", "name"), [case for case in NETWORKS if case[2] != "psn"])
def test_bptt_trains_every_parameter(topology: str, params: dict[str, Any], name: str) -> None:
    built = network(topology, params, name)
    method = build_method("bptt")
    method.prepare(built)
    found = method.gradients(spikes(12, 16, INPUTS) * 2, torch.arange(16) % CLASSES)
    silent = [name for name, gradient in found.items() if not gradient.any()]
    assert silent == []


@pytest.mark.parametrize(("topology", "params", "name"), NETWORKS)
def test_counters_find_the_connections(topology: str, params: dict[str, Any], name: str) -> None:
    built = network(topology, params, name)
    activity = count_activity(built, [spikes(STEPS, BATCH, INPUTS)], input_kind="events")
    assert activity.coverage == 1
    joins = built.joins() or ()
    assert len(joins) in (0, len(activity.synapses))
    if topology == "lateral":
        last = max(join.receiver for join in joins if join.receiver is not None)
        into_last = [s.connections for s, join in zip(activity.synapses, joins, strict=True) if join.receiver == last]
        assert sum(into_last) == 8 * 12 + 12 * 4


def test_a_spike_behind_a_whole_delay_costs_one_addition_a_synapse() -> None:
    built = network("delayed", {"length": 5}, "if")
    x = torch.zeros(STEPS, 1, INPUTS)
    x[0, 0, 2] = 1.0
    (first, *_) = count_activity(built, [x], input_kind="events").synapses
    assert first.operations("recomputed").accumulates == 6


@pytest.mark.parametrize("kind", ["no-self", "lateral", "self", "no-lateral", "bias", "none"])
def test_a_mask_leaves_the_rest_trainable_and_what_is_masked_alone(kind: str) -> None:
    lateral = LateralMap(2, 3, kind)
    lateral(torch.ones(1, 6)).sum().backward()
    diagonal = torch.eye(3).repeat(2, 1).bool()
    expected = {"no-self": ~diagonal, "lateral": ~diagonal, "self": diagonal, "no-lateral": diagonal}
    assert lateral.weight.grad is not None
    assert torch.equal(lateral.weight.grad != 0, expected.get(kind, torch.zeros(6, 3).bool()))
    assert (lateral.bias is not None) == (kind in ("no-self", "no-lateral", "bias"))


def test_populations_do_not_reach_one_another() -> None:
    lateral = LateralMap(2, 3)
    one, other = torch.zeros(1, 6), torch.zeros(1, 6)
    other[0, :3] = 1.0
    assert torch.equal(lateral(one)[:, 3:], lateral(other)[:, 3:])
    assert not torch.equal(lateral(one)[:, :3], lateral(other)[:, :3])


def test_the_bias_of_the_connections_is_there_at_the_first_step() -> None:
    built = network("lateral", {"population": 4}, "ilc-cuba-lif")
    x = spikes(1, BATCH, INPUTS)
    before = built.run(x).logits
    built.lateral.bias.data += 5.0
    assert not torch.equal(before, built.run(x).logits)


def test_what_a_multilevel_neuron_emits_and_keeps_is_what_came_in() -> None:
    x = torch.randn(30, 2, 3)
    accumulator: Any = build_neuron("multilevel-if", max_abs=50.0, n_bits=8, level_threshold=2)
    out = accumulator.run(x)
    assert torch.allclose(out.spikes.sum(0) + out.state.v, x.sum(0), atol=1e-12)
    assert (out.state.v.abs() < 3 * 50.0 / (128 * (1 - 1e-4))).all()


def test_a_gated_layer_of_many_bits_is_a_gru_without_reset() -> None:
    built: Any = build_network(
        "gated", (INPUTS,), CLASSES, neuron("multilevel-if", n_bits=24, level_threshold=0), hidden=[6]
    )
    (layer,) = built.eval().gated_layers()
    x = torch.randn(STEPS, BATCH, INPUTS)
    emitted, _ = layer.run(x)
    h = torch.zeros(BATCH, 6)
    for t in range(STEPS):
        a = layer.norm(layer.input_map(x[t])) + layer.recurrent_map(h)
        z = torch.sigmoid(a[:, :6])
        h = z * h + (1 - z) * torch.relu(a[:, 6:])
        assert torch.allclose(emitted[t], h, atol=4.0 / 2**20)


def test_the_range_is_tracked_while_training_only() -> None:
    built: Any = build_network("gated", (INPUTS,), CLASSES, neuron("multilevel-if"), hidden=[6], dropout=0.0)
    accumulator = built.gated_layers()[0].neuron
    built.eval().run(torch.randn(STEPS, BATCH, INPUTS))
    assert float(accumulator.max_abs) == 4.0
    built.train().run(torch.randn(STEPS, BATCH, INPUTS))
    assert 0 < float(accumulator.max_abs) < 4.0
    assert int(accumulator.observations) == STEPS
    assert {"max_abs", "extremes", "observations"} <= set(accumulator.state_dict())


def test_adaptive_gain_with_a_constant_network_is_the_fixed_gain() -> None:
    adaptive: Any = build_neuron("amp-lif")
    for parameter in adaptive.gate.parameters():
        parameter.data.zero_()
    adaptive.gate.excite.bias.data.fill_(-math.log(5.0 - 1))
    x = torch.randn(STEPS, BATCH, INPUTS)
    assert torch.allclose(adaptive(x), build_neuron("mp-lif", tau=5.0)(x), atol=1e-12)
    raw = torch.randn(STEPS, BATCH)
    v, expected = torch.zeros(BATCH, INPUTS), []
    for t in range(STEPS):
        v = v + torch.sigmoid(raw[t])[:, None] * (x[t] - v)
        expected.append(v)
    assert torch.allclose(adaptive(x, raw_gain=raw), torch.stack(expected), atol=1e-12)


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        (Cell("accuracy", "digits", "psn", "bptt", "lateral"), "lateral needs a neuron's spikes step by step"),
        (Cell("accuracy", "digits", "if", "ottt-a", "delayed"), "delayed is a delayed network"),
        (Cell("accuracy", "digits", "if", "sltt", "gated"), "gated is a gated network"),
        (Cell("throughput", "digits", "if", "bptt", "gated", "fused"), "gated needs its layers step by step"),
        (Cell("accuracy", "digits", "amp-lif", "ottt-a", "mlp"), "needs a neuron whose parallel is sequential"),
    ],
)
def test_what_cannot_be_combined_is_said(cell: Cell, sentence: str) -> None:
    assert sentence in (why_unsupported(cell, REGISTRY) or "")


@pytest.mark.parametrize("topology", ["delayed", "delayed-round", "lateral", "gated"])
def test_a_task_that_sizes_an_mlp_sizes_them_too(topology: str) -> None:
    assert why_unsupported(Cell("accuracy", "digits-rows", "if", "bptt", topology), REGISTRY) is None


def test_a_parallel_neuron_in_a_recurrent_network_is_refused() -> None:
    for topology in ("lateral", "gated"):
        with pytest.raises(TypeError, match="PSN is not sequential"):
            network(topology, {}, "psn")
