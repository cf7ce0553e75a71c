"""Spikes and synaptic operations: conventions, invariances, rates, stages, and what is refused."""

from __future__ import annotations

import functools
import math
from typing import Any

import pytest
import torch
from networks import NETWORKS, SAMPLES, Maps, count, one_map
from torch import Tensor, nn

from harness.errors import UserError
from harness.measure.activity import count_activity
from harness.measure.counters import LayerCounter, Operations, quanta
from harness.measure.stages import stage_rates
from reference_impls.api import (
    Network,
    Synapse,
    build_method,
    build_network,
    build_neuron,
)
from reference_impls.names import UnknownNameError


class TestConventions:
    """An input that is the same at every step enters once, or at every step."""

    def counted(self, x: Tensor, source: str = "input") -> tuple[Operations, Operations]:
        (synapse,) = count_activity(one_map(nn.Linear(10, 5), source), [x]).synapses
        return synapse.cached, synapse.recomputed

    def test_broadcast_input_is_computed_once_and_reported_both_ways(self) -> None:
        x = torch.full((3, 10), 0.3).expand(4, 3, 10)
        assert self.counted(x) == (Operations(0, 0, 150, 150), Operations(0, 0, 600, 600))

    def test_input_that_varies_has_one_figure(self) -> None:
        once, every = self.counted(torch.full((4, 3, 10), 0.3))
        assert once == every == Operations(0, 0, 600, 600)

    def test_one_step_has_one_figure(self) -> None:
        once, every = self.counted(torch.full((1, 3, 10), 0.3))
        assert once == every == Operations(0, 0, 150, 150)

    def test_constant_input_that_is_fed_at_every_step_is_known_as_such(self) -> None:
        x = torch.full((3, 10), 0.3).expand(4, 3, 10)
        network = one_map(nn.Linear(10, 5), "input")
        (synapse,) = count_activity(network, [x], lambda x: [network(x[t : t + 1]) for t in range(4)]).synapses
        assert synapse.cached == Operations(0, 0, 150, 150)
        assert synapse.recomputed == Operations(0, 0, 600, 600)

    def test_constant_input_that_is_fed_some_other_way_is_an_error(self) -> None:
        x = torch.full((3, 10), 0.3).expand(4, 3, 10)
        network = one_map(nn.Linear(10, 5), "input")
        with pytest.raises(UserError, match="6 rows for 3 samples of 4 equal steps"):
            count_activity(network, [x], lambda x: network(x[:2].clone()))

    def test_only_the_input_map_has_two_figures(self) -> None:
        once, every = self.counted(torch.ones(3, 10).expand(4, 3, 10), "spikes")
        assert once == every == Operations(30, 150, 0, 150)

    def test_biases_have_a_column_of_their_own(self) -> None:
        activity = count_activity(one_map(nn.Conv2d(1, 3, 3)), [torch.ones(2, 4, 1, 6, 6)])
        assert activity.synapses[0].bias_additions == 2 * 4 * 3 * 4 * 4
        activity = count_activity(one_map(nn.Linear(9, 3, bias=False)), [torch.ones(2, 4, 9)])
        assert activity.synapses[0].bias_additions == 0

    def test_input_is_what_its_encoding_is_said_to_be(self) -> None:
        x = torch.tensor([[0.0, 1.0, 0.3, 2.0]]).expand(4, 1, 4)
        found = {}
        for kind in ("events", "analog", "mixed"):
            activity = count_activity(one_map(nn.Linear(4, 5), "input"), [x], input_kind=kind)
            entries = (activity.input_events, activity.input_analog_entries)
            found[kind] = (*activity.operations("cached")[1:3], activity.synapses[0].violations, *entries)
        assert found == {"events": (15, 5, 1, 12, 4), "analog": (0, 15, 0, 0, 12), "mixed": (15, 5, 0, 12, 4)}

    def test_misspelt_declarations_suggest_the_nearest(self) -> None:
        with pytest.raises(UnknownNameError, match="did you mean 'spikes'"):
            count(nn.Linear(4, 5), torch.ones(1, 4), source="spike")
        with pytest.raises(UnknownNameError, match="did you mean 'analog'"):
            count_activity(one_map(nn.Linear(4, 5), "input"), [torch.ones(1, 1, 4)], input_kind="analogue")  # type: ignore[arg-type]


@pytest.fixture(params=list(NETWORKS))
def network(request: pytest.FixtureRequest) -> Network:
    return NETWORKS[request.param]()


class TestInvariances:
    def test_batch_size(self, network: Network) -> None:
        whole = count_activity(network, [SAMPLES])
        assert whole.events > 0
        for size in (1, 5, 7):
            assert count_activity(network, SAMPLES.split(size, dim=1)) == whole

    def test_order(self, network: Network) -> None:
        order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
        whole = count_activity(network, [SAMPLES])
        assert count_activity(network, SAMPLES[:, order].split(5, dim=1)) == whole

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
    def test_dtype(self, network: Network, dtype: torch.dtype) -> None:
        whole = count_activity(network, [SAMPLES])
        assert count_activity(network.to(dtype), [SAMPLES.to(dtype)]) == whole

    def test_step_layout(self, network: Network) -> None:
        def step_by_step(x: Tensor) -> None:
            states = None
            for x_t in x.split(1):
                states = network.run(x_t, states).states

        assert count_activity(network, [SAMPLES], step_by_step) == count_activity(network, [SAMPLES])

    def test_constant_input_broadcast_or_not(self, network: Network) -> None:
        constant = SAMPLES[:1].expand(5, *SAMPLES.shape[1:])
        lazy, eager = (count_activity(network, [x]) for x in (constant, constant.contiguous()))
        assert lazy.layers == eager.layers
        assert lazy.operations("recomputed") == eager.operations("cached") == eager.operations("recomputed")
        assert lazy.operations("cached").dense < lazy.operations("recomputed").dense
        assert lazy.input_events == eager.input_events == int(constant.sum())

    def test_additivity(self, network: Network) -> None:
        whole = count_activity(network, [SAMPLES])
        parts = [count_activity(network, [part]) for part in SAMPLES.split([5, 7], dim=1)]
        for convention in ("cached", "recomputed"):
            totals = [part.operations(convention) for part in parts]
            assert whole.operations(convention) == tuple(map(sum, zip(*totals, strict=True)))
        assert whole.events == sum(part.events for part in parts)
        assert whole.operations() == tuple(
            map(sum, zip(*(synapse.recomputed for synapse in whole.synapses), strict=True))
        )

    def test_gradients_and_modes_are_left_alone(self, network: Network) -> None:
        network.train()
        network.neurons()[0].eval()
        modes = [module.training for module in network.modules()]
        hooks = [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in network.modules()]
        count_activity(network, [SAMPLES])
        assert [module.training for module in network.modules()] == modes
        assert [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in network.modules()] == hooks
        assert all(parameter.grad is None for parameter in network.parameters())


def test_operations_follow_from_the_spikes_of_the_layer_before() -> None:
    """By hand: sum over spikes of the fan-out, layer by layer, from the network's own spikes."""
    network = NETWORKS["mlp"]()
    emitted: dict[int, Tensor] = {}
    with network.observed_by(lambda layer, s: emitted.update({layer: s.detach().clone()})), torch.no_grad():
        network(SAMPLES)
    activity = count_activity(network, [SAMPLES])
    sources = [SAMPLES.flatten(2), emitted[0], emitted[1]]
    for synapse, found, source in zip(network.synapses(), activity.synapses, sources, strict=True):
        weight = next(p for p in synapse.module.parameters() if p.dim() == 2)
        expected = ((source != 0).double().flatten(0, 1) @ (weight != 0).double().t()).sum()
        assert found.cached == (int(source.sum()), int(expected), 0, weight.numel() * 5 * 12)
    for layer, found_layer in enumerate(activity.layers):
        flat = emitted[layer].flatten(0, 1).flatten(1)
        assert found_layer.events == int(flat.sum())
        assert found_layer.dead_neurons == int((flat.sum(0) == 0).sum())
        assert found_layer.saturated_neurons == int((flat.mean(0) == 1).sum())
        assert found_layer.rate == pytest.approx(float(flat.mean()))


@pytest.mark.parametrize("T", [1, 7, 32])
def test_if_neuron_under_constant_current_fires_as_often_as_theory_says(T: int) -> None:
    theta, currents = 0.75, torch.arange(1, 25) / 32
    network = one_map(nn.Linear(24, 24, bias=False), "input", neurons=[build_neuron("if", v_threshold=theta)])
    nn.init.eye_(network.synapses()[0].module.weight)  # type: ignore[arg-type]
    expected = [math.floor(T * float(current) / theta) for current in currents]  # floor(T I / theta)
    activity = count_activity(network, [currents.expand(T, 3, 24)], input_kind="analog")
    assert activity.events == 3 * sum(expected)
    assert activity.spikes_per_sample == sum(expected)
    assert activity.spikes_per_neuron == sum(expected) / 24
    assert activity.firing_rate == sum(expected) / (24 * T)
    assert activity.dead_fraction == expected.count(0) / 24
    assert activity.saturated_fraction == expected.count(T) / 24
    assert activity.neuron_updates == 24 * 3 * T


def test_rates_are_weighted_by_neurons_and_add_up_to_the_spikes() -> None:
    activity = count_activity(NETWORKS["conv"](), [SAMPLES])
    assert sum(layer.rate * layer.updates for layer in activity.layers) == pytest.approx(activity.events)
    assert activity.firing_rate == activity.events / (activity.neurons * activity.sample_steps)
    assert activity.sample_steps == 5 * 12


def test_events_add_up_beyond_what_single_precision_holds() -> None:
    counter = LayerCounter(0)
    for value in (2.0**24, 1.0, 1.0, -1.0):
        counter.add(torch.full((1, 1, 1), value))
    layer = counter.closed()
    assert layer.events == 2**24 + 3
    assert (layer.negative_entries, layer.active_entries) == (1, 4)


def test_quanta_of_graded_signed_and_odd_values() -> None:
    x = torch.tensor([0.0, -0.0, 1.0, -2.0, 0.5, 1e30, math.inf, math.nan])
    before = x.clone()
    whole, analog = quanta(x)
    torch.testing.assert_close(x, before, equal_nan=True)
    assert whole.tolist() == [0, 0, 1, 2, 0, 0, 0, 0]
    assert analog.tolist() == [False, False, False, False, True, True, True, True]


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float16])
def test_quanta_of_any_type_leave_the_tensor_alone(dtype: torch.dtype) -> None:
    x = torch.tensor([0, 1, 1]).to(dtype)
    before = x.clone()
    assert quanta(x)[0].tolist() == [0, 1, 1]
    assert torch.equal(x, before)


def test_outputs_that_are_no_spikes_are_reported() -> None:
    network = one_map(nn.Linear(4, 4), neurons=[build_neuron("if")])
    with torch.no_grad():
        (neuron,) = network.neurons()
        object.__setattr__(neuron, "fire", lambda h: h * 0.3)
    activity = count_activity(network, [torch.ones(2, 3, 4)])
    assert activity.layers[0].graded_entries > 0
    assert "layer 0 emitted" in activity.problems()[0]


def test_weights_count_as_they_were_at_each_call() -> None:
    layer = nn.Linear(10, 5)
    network = one_map(layer)

    def run_and_prune(x: Tensor) -> None:
        network(x)
        with torch.no_grad():
            layer.weight[:, 0] = 0
        network(x)

    activity = count_activity(network, [torch.ones(1, 2, 10)], run_and_prune)
    assert activity.operations().accumulates == 2 * 50 + 2 * 45


def test_readout_of_rates_is_declared_by_whoever_feeds_it_rates() -> None:
    network = build_network("feedback", (10,), 5, functools.partial(build_neuron, "if"), hidden=[16])
    method = build_method("ide")
    method.prepare(network)
    x = (torch.rand(6, 10) * 2).expand(8, 6, 10)
    wrong = count_activity(network, [x], method.predict, input_kind="analog")
    assert wrong.synapses[-1].violations > 0
    fed = [s._replace(source="rates") if s.name == "readout" else s for s in network.synapses()]
    activity = count_activity(network, [x], method.predict, fed, "analog")
    assert activity.problems() == ()
    first, feedback, readout = activity.synapses
    assert (first.cached.dense, first.recomputed.dense) == (6 * 160, 8 * 6 * 160)
    assert feedback.cached.dense == 7 * 6 * 256, "the feedback starts one step late"
    assert feedback.cached.accumulates == 16 * feedback.cached.events
    assert readout.cached.dense == 6 * 80, "once a sample"
    assert readout.cached.accumulates == 0
    assert 0 < readout.cached.multiply_accumulates <= 6 * 80


class TestErrors:
    def test_no_data(self) -> None:
        with pytest.raises(UserError, match="no sample"):
            count_activity(NETWORKS["mlp"](), [])

    def test_no_synapse(self) -> None:
        with pytest.raises(UserError, match="declares no synapse"):
            count_activity(Maps(), [torch.ones(1, 1, 4)])

    def test_a_synapse_that_never_ran(self) -> None:
        network = one_map(nn.Linear(4, 4))
        unused = Synapse("unused", nn.Linear(4, 4), "spikes")
        with pytest.raises(UserError, match="'unused' was never called"):
            count_activity(network, [torch.ones(1, 1, 4)], synapses=[*network.synapses(), unused])

    def test_a_layer_that_never_ran(self) -> None:
        network = one_map(nn.Linear(4, 4), neurons=[build_neuron("if")])
        with pytest.raises(UserError, match="layer 0 of the network never ran"):
            count_activity(network, [torch.ones(1, 1, 4)], lambda x: network.synapses()[0].module(x))

    def test_two_layers_with_one_neuron_module(self) -> None:
        neuron = build_neuron("if")
        with pytest.raises(UserError, match="share one neuron module"):
            count_activity(one_map(nn.Linear(4, 4), neurons=[neuron, neuron]), [torch.ones(1, 1, 4)])

    def test_hooks_go_when_a_run_fails(self) -> None:
        network = NETWORKS["mlp"]()

        def fail(x: Tensor) -> None:
            network(x)
            raise RuntimeError("broken")

        with pytest.raises(RuntimeError, match="broken"):
            count_activity(network, [SAMPLES], fail)
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
        assert not any(neuron._observers for neuron in network.neurons())


class TestStages:
    def updated(self, name: str, topology: str, **params: Any) -> tuple[Any, Network, list[Tensor]]:
        torch.manual_seed(0)
        network = build_network(topology, (10,), 5, functools.partial(build_neuron, "if"), hidden=[16, 8])
        method = build_method(name, **params)
        method.prepare(network, functools.partial(torch.optim.SGD, lr=0.1))
        method.count_spikes = True
        seen: list[Tensor] = []
        with network.observed_by(lambda _, s: seen.append(s.detach().clone())):
            report = method.update(torch.rand(8, 6, 10) * 2, torch.arange(6) % 5)
        return report, network, seen

    def test_rates_of_both_stages_of_spide(self) -> None:
        report, _, seen = self.updated("spide", "feedback", T_B=20)
        forward, backward = stage_rates(report.stages, samples=6)
        assert (forward.name, forward.steps, forward.ternary) == ("forward", 8, False)
        assert (backward.name, backward.steps, backward.ternary) == ("backward", 20, True)
        assert forward.neurons == backward.neurons == (16, 8)
        fired = sum(float(s.sum()) for s in seen)
        assert forward.firing_rate == pytest.approx(fired / (8 * 6 * 24))
        assert sum(forward.spikes_per_sample) == pytest.approx(fired / 6)
        weighted = sum(rate * n for rate, n in zip(backward.layer_rates, backward.neurons, strict=True)) / 24
        assert backward.firing_rate == pytest.approx(weighted)
        assert 0 < backward.firing_rate <= 1

    def test_windows_of_truncated_bptt_are_one_stage(self) -> None:
        report, _, seen = self.updated("tbptt", "mlp")
        (stage,) = stage_rates(report.stages, samples=6)
        assert len(report.stages) == 2
        assert stage.steps == 8
        assert stage.firing_rate == pytest.approx(sum(float(s.sum()) for s in seen) / (8 * 6 * 24))

    def test_without_counts_there_is_no_rate(self) -> None:
        network = NETWORKS["mlp"]()
        method = build_method("bptt")
        method.prepare(network)
        report = method.accumulate(SAMPLES, torch.arange(12) % 5)
        with pytest.raises(ValueError, match="count_spikes"):
            stage_rates(report.stages, samples=12)


@pytest.mark.slow
def test_compiled_neurons_give_the_same_counts() -> None:
    counts = []
    for backend in ("eager", "compiled"):
        torch.manual_seed(0)
        network = build_network("mlp", (10,), 5, functools.partial(build_neuron, "lif", backend))
        x = (torch.rand(6, 10) * 2).expand(4, 6, 10)
        network(x)
        counts.append(count_activity(network, [x]))
    assert counts[0] == counts[1]
