"""Synaptic operations against binarised layers and over the corner cases of a network."""

from __future__ import annotations

import functools
import math

import pytest
import torch
from networks import Maps, count, one_map, spikes, work
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations, prune

from harness.errors import UserError
from harness.measure.activity import count_activity
from harness.measure.counters import Operations
from reference_impls.api import (
    Synapse,
    build_network,
    build_neuron,
)


def test_equals_a_convolution_with_binary_weights_on_binary_inputs() -> None:
    torch.manual_seed(0)
    for stride, padding, dilation, groups in [(1, 1, 1, 1), (2, 0, 1, 2), (1, 2, 2, 1), (2, 1, 2, 2)]:
        conv = nn.Conv2d(4, 6, 3, stride, padding, dilation, groups)
        prune.random_unstructured(conv, "weight", amount=0.5)
        x = spikes(5, 4, 9, 8)
        binary = functional.conv2d(x.double(), (conv.weight != 0).double(), None, stride, padding, dilation, groups)
        dense = functional.conv2d(
            torch.ones_like(x), torch.ones_like(conv.weight), None, stride, padding, dilation, groups
        )
        total = count(conv, x).operations()
        assert total == Operations(int(x.sum()), int(binary.sum()), 0, int(dense.sum()))


def test_a_spike_before_average_pooling_is_used_once_per_covered_output() -> None:
    torch.manual_seed(0)
    x, pooled = spikes(3, 2, 8, 8), nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(2, 5, 3, padding=1))
    # Folded: each spike in its cell reaches what the cell reaches, so the cells' counts of spikes are the inputs.
    cells = functional.avg_pool2d(x, 2, divisor_override=1)
    binary = functional.conv2d(cells, torch.ones(5, 2, 3, 3), None, padding=1)
    assert work(pooled, x) == (int(binary.sum()), 0)
    assert count(pooled, x).problems() == ()


def test_all_ones_and_no_zero_weights_make_accumulates_equal_dense() -> None:
    network = build_network("conv", (2, 8, 8), 5, functools.partial(build_neuron, "if"))
    for synapse, features in zip(network.synapses(), [(2, 8, 8), (16, 8, 8), (32, 4, 4)], strict=True):
        total = count(synapse.module, torch.ones(3, *features)).operations()
        assert total.accumulates == total.dense > 0
        assert total.multiply_accumulates == 0


class TestCornerCases:
    """Table "Corner cases and defects" of the counters in use: what a better one must get right."""

    @pytest.mark.parametrize("batch", [1, 2, 4, 8])
    def test_one_analog_entry_among_spikes_is_one_analog_entry(self, batch: int) -> None:
        layer, x = nn.Linear(10, 5), spikes(8, 10)
        x[0, 0] = 0.3
        events = int((x == 1).sum())
        activity = count_activity(one_map(layer), [part.unsqueeze(0) for part in x.split(batch)])
        assert activity.operations()[:3] == (events, events * 5, 5)
        assert activity.synapses[0].violations == 1
        assert "1 entries are no whole number" in activity.problems()[0]

    def test_several_spikes_in_one_entry_are_several_operations(self) -> None:
        assert work(nn.Linear(4, 5), torch.tensor([[0.0, 1.0, 2.0, 3.0]])) == (6 * 5, 0)

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
    @pytest.mark.parametrize("amplitude", [2.74, 0.5, 0.1])
    def test_scaled_spikes_are_spikes(self, amplitude: float, dtype: torch.dtype) -> None:
        x = torch.tensor([[0.0, 1.0, 2.0, -1.0]], dtype=dtype) * amplitude
        assert work(nn.Linear(4, 5).to(dtype), x, amplitude=amplitude) == (4 * 5, 0)

    def test_scaled_spikes_under_a_wrong_declaration_are_reported(self) -> None:
        activity = count(nn.Linear(4, 5), torch.tensor([[0.0, 2.74, 2.74, 1.0]]))
        assert activity.operations()[:3] == (1, 5, 10)
        assert activity.synapses[0].violations == 2

    def test_signed_spikes_declared_as_analog_are_analog(self) -> None:
        x = torch.tensor([[-1.0, 1.0, 1.0, -1.0]])
        assert work(nn.Linear(4, 5), x) == (20, 0)
        assert work(nn.Linear(4, 5), x, source="rates") == (0, 20)

    def test_pruned_weights_cost_nothing(self) -> None:
        pruned = prune.random_unstructured(nn.Linear(10, 5), "weight", amount=25)
        total = count(pruned, torch.ones(3, 10)).operations()
        assert (total.accumulates, total.dense) == (3 * 25, 3 * 50)

    def test_pruning_that_only_a_forward_pass_brings_into_force_is_seen(self) -> None:
        layer = nn.Linear(10, 5)
        prune.custom_from_mask(layer, "weight", torch.ones(5, 10))
        layer.weight_mask[0] = 0  # the weight in use changes with the next call only
        assert work(nn.Sequential(nn.Flatten(), layer), torch.ones(1, 10)) == (40, 0)

    def test_reparametrised_weights_are_counted_as_used(self) -> None:
        assert work(parametrizations.weight_norm(nn.Linear(10, 5)), torch.ones(2, 10)) == (100, 0)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_neither_overflows_nor_rounds(self, dtype: torch.dtype) -> None:
        assert work(nn.Linear(600, 600).to(dtype), torch.ones(1, 600, dtype=dtype)) == (360_000, 0)

    def test_a_module_declared_twice_is_counted_once(self) -> None:
        layer = nn.Linear(10, 5)
        network = Maps(Synapse("a", layer, "spikes"), Synapse("b", layer, "spikes"))
        activity = count_activity(network, [torch.ones(1, 2, 10)])
        assert [synapse.name for synapse in activity.synapses] == ["a"]
        assert activity.operations().accumulates == 100

    def test_one_module_with_two_declarations_is_refused(self) -> None:
        layer = nn.Linear(10, 5)
        network = Maps(Synapse("a", layer, "input"), Synapse("b", layer, "spikes"))
        with pytest.raises(UserError, match="'a' and 'b' share a module"):
            count_activity(network, [torch.ones(1, 2, 10)])

    def test_a_synapse_inside_another_is_a_part_of_it(self) -> None:
        layer = nn.Linear(4, 5)
        outer = nn.Sequential(nn.Flatten(), layer)
        inner = Synapse("inner", layer, "spikes")
        network = Maps(Synapse("outer", outer, "spikes"))
        both = (*network.synapses(), inner)
        with pytest.raises(UserError, match="'inner' was never called"):
            count_activity(network, [torch.ones(1, 2, 2, 2)], synapses=both)
        # Called by itself as well, it is counted for those calls only.
        activity = count_activity(
            network, [torch.ones(1, 2, 2, 2)], lambda x: (network(x), layer(torch.ones(3, 4))), synapses=both
        )
        assert [synapse.cached.accumulates for synapse in activity.synapses] == [2 * 20, 3 * 20]

    def test_a_network_that_is_one_linear_map(self) -> None:
        activity = count(nn.Linear(10, 5), torch.ones(4, 10))
        assert activity.operations().accumulates == 200
        assert activity.neurons == 0
        assert math.isnan(activity.firing_rate)

    def test_inputs_changed_in_place_later_count_as_they_were(self) -> None:
        class Spoiler(nn.Linear):
            def forward(self, x: Tensor) -> Tensor:
                y = super().forward(x)
                x.zero_()
                return y

        assert work(Spoiler(10, 5), torch.ones(2, 10)) == (100, 0)

    @pytest.mark.parametrize("sizes", [[10], [4, 4, 2], [3, 3, 3, 1], [1] * 10])
    def test_the_last_smaller_batch_weighs_what_it_holds(self, sizes: list[int]) -> None:
        layer, x = nn.Linear(10, 5), spikes(10, 10)
        activity = count_activity(one_map(layer), [part.unsqueeze(0) for part in x.split(sizes)])
        assert activity.samples == 10
        assert activity.operations().accumulates == int(x.sum()) * 5

    def test_what_it_cannot_count_ends_in_an_error(self) -> None:
        with pytest.raises(UserError, match="LSTM"):
            count(nn.LSTM(3, 3), torch.ones(1, 2, 3))

    def test_products_outside_the_synapses_are_listed_with_their_size(self) -> None:
        weight, vector = torch.ones(7, 5), torch.ones(5)
        layer = nn.Linear(10, 5)
        network = one_map(layer, extra=lambda y: (functional.linear(y, weight), y @ vector, y @ y.transpose(1, 2)))
        activity = count_activity(network, [torch.ones(2, 3, 10)])
        sizes = {item.operator: item.multiply_accumulates for item in activity.uncovered}
        assert sizes == {"aten.mm": 6 * 5 * 7, "aten.mv": 6 * 5, "aten.bmm": 2 * 3 * 3 * 5}
        assert activity.coverage == 300 / (300 + 210 + 30 + 90)
        assert len(activity.problems()) == 3

    def test_a_second_use_of_a_weight_as_a_function_is_listed(self) -> None:
        layer = nn.Linear(10, 5)
        network = one_map(layer, extra=lambda y: functional.linear(y, layer.weight.t()))
        activity = count_activity(network, [torch.ones(1, 2, 10)])
        assert activity.operations().accumulates == 100
        assert activity.coverage == 0.5

    def test_products_are_found_in_inference_mode_too(self) -> None:
        weight = torch.ones(7, 5)
        network = one_map(nn.Linear(10, 5), extra=lambda y: functional.linear(y, weight))

        @torch.inference_mode()
        def predict(x: Tensor) -> None:
            network(x)

        activity = count_activity(network, [torch.ones(2, 3, 10)], predict)
        assert activity.operations().accumulates == 300
        assert [item.multiply_accumulates for item in activity.uncovered] == [210]


def test_full_coverage_of_what_the_topologies_make() -> None:
    for topology in ("mlp", "conv", "feedback", "recurrent"):
        network = build_network(topology, (2, 8, 8), 5, functools.partial(build_neuron, "lif"))
        activity = count_activity(network, [spikes(4, 3, 2, 8, 8)], input_kind="events")
        assert activity.coverage == 1
        assert activity.problems() == ()


def test_mixing_over_time_of_a_parallel_neuron_is_found_at_its_place() -> None:
    network = build_network("mlp", (10,), 5, functools.partial(build_neuron, "psn", T=4), hidden=[8])
    activity = count_activity(network, [spikes(4, 3, 10)])
    (item,) = activity.uncovered
    assert (item.where, item.multiply_accumulates) == ("blocks.0.neuron", 4 * 4 * 3 * 8)
    assert item.in_neuron, "it is the neuron's own work, and charged as that"
    assert activity.coverage == 1
