"""Energy estimates: by hand for small networks, and the laws that any such estimate must obey."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import pytest
import torch
from torch.nn.utils import prune

from harness.catalogue.cards import load_registry
from harness.errors import UserError
from harness.measure.activity import count_activity
from harness.measure.energy import FP32_45NM, EnergyConstants, EnergyEstimate, NeuronCost, estimate_energy, neuron_cost
from harness.measure.stages import StageRates, stage_rates
from harness.measure.training_energy import (
    Connections,
    bptt_energy,
    connections,
    ide_energy,
    spide_energy,
)
from reference_impls.api import Network, build_method, build_network, build_neuron

PJ = 1e-12
E_AC, E_MAC, E_IF, E_LIF = 0.9 * PJ, 4.6 * PJ, 1.0 * PJ, 5.6 * PJ
IF_COST = NeuronCost(0, 1, 1, "")


def network_of_ones(hidden: list[int] | None = None) -> Network:
    """8 inputs, layers of IF neurons that fire at every step under full input, 5 classes; all weights 1."""
    network = build_network("mlp", (8,), 5, functools.partial(build_neuron, "if"), hidden=hidden or [6])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1.0 if parameter.dim() > 1 else 0.0)
    return network


def energy(network: Network, x: torch.Tensor, constants: EnergyConstants = FP32_45NM, **options: Any) -> EnergyEstimate:
    activity = count_activity(network, [x], **options)
    return estimate_energy(activity, [IF_COST] * len(activity.layers), constants)


def test_constants_of_the_convention() -> None:
    assert FP32_45NM.accumulate_joules == pytest.approx(E_AC)
    assert FP32_45NM.multiply_accumulate_joules == pytest.approx(E_MAC)
    assert "Horowitz" in FP32_45NM.source


def test_every_term_of_a_network_that_fires_always() -> None:
    T, batch = 4, 3
    x = torch.full((batch, 8), 1.5).expand(T, batch, 8)
    found = energy(network_of_ones(), x, input_kind="analog")
    assert found.input_cached_joules == pytest.approx(8 * 6 * E_MAC)
    assert found.input_recomputed_joules == pytest.approx(T * 8 * 6 * E_MAC)
    assert found.spikes_joules == pytest.approx(T * 6 * 5 * E_AC)
    assert found.analog_joules == 0
    assert found.neurons_joules == pytest.approx(T * 6 * E_IF)
    assert found.uncovered_joules == 0
    assert found.dense_ann_joules == pytest.approx((8 * 6 + 6 * 5) * E_MAC)
    assert found.spikes_per_neuron == T
    assert found.accumulate_ratio == pytest.approx(4.6 / 0.9)
    for convention, entered in (("cached", 1), ("recomputed", T)):
        total = entered * 48 * E_MAC + T * 30 * E_AC + T * 6 * E_IF
        assert found.total_joules(convention) == pytest.approx(total)  # type: ignore[arg-type]
        assert found.relative_to_dense(convention) == pytest.approx(total / (78 * E_MAC))  # type: ignore[arg-type]


def test_break_even_is_where_the_total_equals_the_dense_network() -> None:
    T = 4
    found = energy(network_of_ones(), torch.full((3, 8), 1.5).expand(T, 3, 8), input_kind="analog")
    even = found.break_even_spikes_per_neuron("cached")
    assert even is not None
    # As many spikes, in proportion, cost what the dense network costs.
    scaled = dataclasses.replace(found, spikes_joules=found.spikes_joules * even / found.spikes_per_neuron)
    assert scaled.total_joules("cached") == pytest.approx(found.dense_ann_joules)
    recomputed = found.break_even_spikes_per_neuron("recomputed")
    assert recomputed is not None
    assert recomputed < 0, "recomputing the input alone costs more"
    silent = energy(network_of_ones(), torch.zeros(T, 3, 8))
    assert silent.break_even_spikes_per_neuron() is None


def test_spiking_input_makes_accumulates_of_the_first_layer() -> None:
    x = torch.ones(4, 3, 8)
    found = energy(network_of_ones(), x, input_kind="events")
    assert found.input_cached_joules == found.input_recomputed_joules == pytest.approx(4 * 48 * E_AC)


def test_one_step_of_spikes_everywhere_is_the_dense_network_at_another_price() -> None:
    found = energy(network_of_ones(), torch.ones(1, 3, 8), input_kind="events")
    synapses = found.spikes_joules + found.input_recomputed_joules
    assert synapses / found.dense_ann_joules == pytest.approx(0.9 / 4.6)


def test_doubling_time_at_a_constant_rate_doubles_it() -> None:
    once, twice = (energy(network_of_ones([6, 6]), torch.ones(T, 3, 8), input_kind="events") for T in (4, 8))
    assert twice.total_joules() == pytest.approx(2 * once.total_joules())
    assert twice.dense_ann_joules == once.dense_ann_joules


def test_linear_in_the_constants() -> None:
    x = torch.full((4, 3, 8), 1.5)
    base = energy(network_of_ones(), x)
    double = dataclasses.replace(FP32_45NM, add_joules=1.8 * PJ, multiply_joules=7.4 * PJ, compare_joules=0.2 * PJ)
    assert energy(network_of_ones(), x, double).total_joules() == pytest.approx(2 * base.total_joules())


def test_additive_over_samples() -> None:
    x = torch.arange(8 * 4 * 6).view(4, 6, 8).remainder(3).float()
    parts = [energy(network_of_ones(), part).total_joules() for part in x.split([2, 4], dim=1)]
    assert energy(network_of_ones(), x).total_joules() == pytest.approx((2 * parts[0] + 4 * parts[1]) / 6)


def test_a_pruned_network_never_costs_more() -> None:
    network, x = network_of_ones([6, 6]), torch.ones(4, 3, 8)
    before = energy(network, x, input_kind="events")
    prune.ln_structured(network.synapses()[-1].module, "weight", amount=3, n=1, dim=1)
    after = energy(network, x, input_kind="events")
    assert after.spikes_joules == pytest.approx(before.spikes_joules - 4 * 3 * 5 * E_AC)
    assert after.dense_ann_joules == before.dense_ann_joules


def test_products_over_time_are_charged() -> None:
    network = build_network("mlp", (8,), 5, functools.partial(build_neuron, "psn", T=4), hidden=[6])
    activity = count_activity(network, [torch.ones(4, 3, 8)])
    cost = neuron_cost(network.neurons()[0], load_registry().neurons["psn"].capabilities)
    found = estimate_energy(activity, [cost])
    assert found.uncovered_joules == pytest.approx(4 * 4 * 6 * E_MAC)
    assert found.neurons_joules == pytest.approx(4 * 6 * 0.1 * PJ)


@pytest.mark.parametrize(
    ("name", "params", "picojoules", "assumption"),
    [
        ("if", {}, 1.0, "IF:"),
        ("lif", {}, 5.6, "LIF:"),
        ("lif-decay-input", {}, 5.6, "LIF:"),
        ("lif", {"decay": 1.0}, 1.0, "IF:"),
        ("klif", {}, 5.6, "as LIF; what it needs beyond that (nonlinear membrane, sequential)"),
        ("mpe-psn", {"T": 4}, 5.6, "as LIF; what it needs beyond that (estimated membrane, closed_form)"),
        ("psn", {"T": 4}, 0.1, "one comparison"),
        ("psu", {}, 0.1, "one comparison"),
    ],
)
def test_cost_of_a_neuron_update_says_what_it_rests_on(
    name: str, params: dict[str, Any], picojoules: float, assumption: str
) -> None:
    cost = neuron_cost(build_neuron(name, **params), load_registry().neurons[name].capabilities)
    assert cost.joules(FP32_45NM) == pytest.approx(picojoules * PJ)
    assert cost.assumption.startswith(assumption)


FORWARD = StageRates("forward", 30, False, (10, 4), (60.0, 12.0), (0.2, 0.1), 72 / 420)
BACKWARD = StageRates("backward", 100, True, (10, 4), (50.0, 40.0), (0.05, 0.1), 90 / 1400)
JOINED = Connections(input_map=80, out_of=(40, 40), into=(40, 40), readout=12)


def test_spide_by_hand() -> None:
    found = spide_energy(FORWARD, BACKWARD, JOINED, update_joules=E_IF)
    # Fan-out and fan-in are 4 and 10 in both layers: 40 connections each way between 10 and 4 neurons.
    assert found.forward_joules == pytest.approx(E_AC * (60 * 4 + 12 * 10) + E_MAC * 80)
    assert found.backward_joules == pytest.approx(E_AC * (50 * 4 + 40 * 10))
    assert found.readout_joules == pytest.approx(2 * E_MAC * 12)
    assert found.weights_joules == pytest.approx(E_MAC * (80 + 40 + 40))
    assert found.neurons_joules == pytest.approx(E_IF * 14 * (30 + 100))
    parts = dataclasses.astuple(found)
    assert found.total_joules == pytest.approx(sum(parts))
    assert spide_energy(FORWARD, BACKWARD, JOINED, input_joules=0.0).forward_joules == pytest.approx(E_AC * 360)


def test_baselines_by_hand() -> None:
    ide = ide_energy(FORWARD, 30, JOINED)
    assert ide.forward_joules == pytest.approx(E_AC * 360 + E_MAC * 80)
    assert ide.backward_joules == pytest.approx(31 * 2 * E_MAC * 172)
    bptt = bptt_energy(FORWARD, JOINED)
    assert bptt.forward_joules == pytest.approx(E_AC * (360 + 12 * 12 / 4) + E_MAC * 80)
    assert bptt.backward_joules == pytest.approx(2 * 30 * E_MAC * 172)


def test_connections_join_the_layers_they_should() -> None:
    x = torch.ones(3, 2, 8)
    chain = build_network("mlp", (8,), 5, functools.partial(build_neuron, "if"), hidden=[6, 4, 3])
    joined = connections("chain", count_activity(chain, [x]).synapses)
    assert joined == Connections(48, (24, 12, 0), (0, 24, 12), 15)
    feedback = build_network("feedback", (8,), 5, functools.partial(build_neuron, "if"), hidden=[6, 4, 3])
    joined = connections("feedback", count_activity(feedback, [x]).synapses)
    assert joined == Connections(48, (24, 12, 18), (18, 24, 12), 15)
    assert (joined.trained, joined.total) == (48 + 24 + 12 + 18, 48 + 24 + 12 + 18 + 15)
    recurrent = build_network("recurrent", (8,), 5, functools.partial(build_neuron, "if"), hidden=[6, 4])
    joined = connections("recurrent", count_activity(recurrent, [x]).synapses)
    assert joined == Connections(48, (36 + 24, 16), (36, 16 + 24), 20)
    with pytest.raises(UserError, match="'web'"):
        connections("web", count_activity(chain, [x]).synapses)


def test_spide_from_a_real_update() -> None:
    torch.manual_seed(0)
    network = build_network("feedback", (8,), 5, functools.partial(build_neuron, "if"), hidden=[6, 4])
    method = build_method("spide", T_B=20)
    method.prepare(network, functools.partial(torch.optim.SGD, lr=0.1))
    method.count_spikes = True
    x = (torch.rand(3, 8) * 2).expand(10, 3, 8)
    joined = connections("feedback", count_activity(network, [x], input_kind="analog").synapses)
    report = method.update(x, torch.arange(3))
    found = spide_energy(*stage_rates(report.stages, 3), joined)
    forward, backward = report.stages
    assert forward.spikes_per_layer is not None
    assert backward.spikes_per_layer is not None
    first, last = forward.spikes_per_layer
    assert found.forward_joules == pytest.approx(E_AC * (first * 4 + last * 6) / 3 + E_MAC * 48)
    first, last = backward.spikes_per_layer
    assert found.backward_joules == pytest.approx(E_AC * (first * 4 + last * 6) / 3)
