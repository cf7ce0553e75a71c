"""Energy estimates: by hand for small networks, and the laws that any such estimate must obey."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import pytest
import torch
from torch.nn.utils import prune

from harness.measure.activity import count_activity
from harness.measure.arithmetic import FP32_45NM, Arithmetic, EnergyConstants
from harness.measure.energy import EnergyEstimate, estimate_energy
from harness.measure.neuron_work import NeuronWork, neuron_work
from reference_impls.api import Network, build_network, build_neuron

PJ = 1e-12
E_AC, E_MAC, E_IF = 0.9 * PJ, 4.6 * PJ, 1.0 * PJ
IF_COST = NeuronWork(Arithmetic(additions=1, comparisons=1), "by hand")


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


@pytest.mark.parametrize(("name", "products"), [("psn", 4 * 4), ("masked-psn", 4 + 3 + 2 + 1)])
def test_products_over_time_are_the_neurons_own_work(name: str, products: int) -> None:
    network = build_network("mlp", (8,), 5, functools.partial(build_neuron, name, T=4), hidden=[6])
    activity = count_activity(network, [torch.ones(4, 3, 8)])
    assert activity.uncovered, "the product is seen"
    assert activity.coverage == 1
    assert activity.problems() == ()
    found = estimate_energy(activity, [neuron_work(neuron, 4) for neuron in network.neurons()])
    assert found.uncovered_joules == 0
    assert found.neurons_joules == pytest.approx(6 * (products * E_MAC + 4 * 0.1 * PJ))


def test_a_convolutional_network_by_hand() -> None:
    T, batch = 3, 2
    network = build_network("conv", (1, 4, 4), 2, functools.partial(build_neuron, "if"), channels=[2], pool=2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1.0 if parameter.dim() > 1 else 0.0)
    x = torch.full((batch, 1, 4, 4), 1.5).expand(T, batch, 1, 4, 4)
    activity = count_activity(network, [x], input_kind="analog")
    found = estimate_energy(activity, [neuron_work(neuron, T) for neuron in network.neurons()])
    # 3 x 3 kernels with a border of one: 2 channels, 16 places; 4 corners see 4 pixels, 8 edges 6, 4 inside all 9.
    pairs = 2 * (4 * 4 + 8 * 6 + 4 * 9)
    assert found.input_cached_joules == pytest.approx(pairs * E_MAC)
    assert found.input_recomputed_joules == pytest.approx(T * pairs * E_MAC)
    # All 32 neurons fire at every step; each spike reaches both classes through its cell of the pooling.
    assert found.spikes_joules == pytest.approx(T * 32 * 2 * E_AC)
    # IF with soft reset: charge, reset, compare.
    assert found.neurons_joules == pytest.approx(T * 32 * (2 * 0.9 + 0.1) * PJ)
    assert found.total_joules() == pytest.approx(found.input_cached_joules + found.spikes_joules + found.neurons_joules)
