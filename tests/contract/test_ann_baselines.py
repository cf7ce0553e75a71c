"""The conventional rows: equal to PyTorch's own, as large as the network with LIF, and never counted as spiking."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch
from torch import nn

from harness.catalogue.cell import Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import load_registry
from harness.measure.activity import count_activity
from harness.measure.arithmetic import Arithmetic
from harness.measure.energy import estimate_energy
from harness.sizing import as_many_parameters
from harness.suites.spikes import counts, neuron_works
from harness.workload import Workload
from reference_impls.api import build_method, build_network, build_neuron

REGISTRY = load_registry()
ANN = ("relu", "gru", "lstm")


@pytest.mark.parametrize(("name", "reference"), [("gru", nn.GRU), ("lstm", nn.LSTM)])
def test_gated_layers_equal_pytorchs_own(name: str, reference: type[nn.RNNBase]) -> None:
    torch.manual_seed(0)
    ours = build_neuron(name, shape=(7,)).double()
    theirs = reference(7, 7).double()
    theirs.load_state_dict({f"{key}_l0": value for key, value in ours.state_dict().items()})
    x = torch.randn(9, 4, 7, dtype=torch.float64, requires_grad=True)
    given, (expected, _) = ours(x), theirs(x)
    torch.testing.assert_close(given, expected, rtol=1e-12, atol=1e-12)
    (own,) = torch.autograd.grad(given.sin().sum(), x)
    (wanted,) = torch.autograd.grad(expected.sin().sum(), x)
    torch.testing.assert_close(own, wanted, rtol=1e-10, atol=1e-12)


def test_units_of_a_shaped_layer_are_one_row() -> None:
    torch.manual_seed(0)
    shaped = build_neuron("gru", shape=(2, 3))
    flat = build_neuron("gru", shape=(6,))
    flat.load_state_dict(shaped.state_dict())
    x = torch.randn(5, 4, 2, 3)
    assert torch.equal(shaped(x).flatten(2), flat(x.flatten(2)))
    with pytest.raises(ValueError, match="built for layers of shape"):
        shaped(x.flatten(2))
    with pytest.raises(ValueError, match="weights among its units"):
        build_neuron("lstm")


def parameters(neuron: str, task: str) -> int:
    workload = Workload(Cell("accuracy", task, neuron, "bptt", "mlp", budget="quick"), REGISTRY, Path("none"))
    return sum(parameter.numel() for parameter in workload.network().parameters())


@pytest.mark.parametrize("task", ["smnist-rows", "fsdd", "moving-shapes", "delayed-xor", "smnist-49"])
@pytest.mark.parametrize("name", ANN)
def test_a_network_has_about_the_parameters_that_it_has_with_lif(name: str, task: str) -> None:
    ours, lif = parameters(name, task), parameters("lif", task)
    assert ours <= lif
    assert ours > 0.9 * lif


def test_a_narrower_network_keeps_its_proportions_and_torchs_random_stream() -> None:
    sizes = {"hidden": [64, 32], "weight_standardisation": False}

    def build(neuron: str, params: dict[str, object]) -> object:
        return build_network("mlp", (5,), 3, functools.partial(build_neuron, neuron), **params)

    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    narrow = as_many_parameters(sizes, functools.partial(build, "gru"), functools.partial(build, "lif"))
    assert torch.equal(torch.rand(3), expected)
    wide, less = narrow["hidden"]
    assert wide < 64
    assert less == wide // 2
    assert narrow["weight_standardisation"] is False


def test_a_step_of_relu_is_the_network_without_time() -> None:
    torch.manual_seed(0)
    spiking = build_network("mlp", (4,), 3, functools.partial(build_neuron, "relu"), hidden=[8, 6])
    dense = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))
    dense.load_state_dict(dict(zip(dense.state_dict(), spiking.state_dict().values(), strict=True)))
    x = torch.randn(3, 5, 4)
    torch.testing.assert_close(spiking(x), torch.stack([dense(x_t) for x_t in x]))


@pytest.mark.parametrize("name", ANN)
def test_what_does_not_spike_has_no_spikes_and_costs_multiplications(name: str) -> None:
    torch.manual_seed(0)
    network = build_network("mlp", (4,), 3, functools.partial(build_neuron, name), hidden=[8, 6])
    method = build_method("bptt")
    method.prepare(network)
    x = torch.rand(3, 5, 4)
    activity = count_activity(network, [x], method.predict, method.synapses(), "analog")
    works = neuron_works(method, 3)
    energy = estimate_energy(activity, works)
    assert not {"spikes_per_neuron", "firing_rate", "spikes_per_sample"} & set(counts(activity))
    assert energy.spikes_joules == 0
    assert energy.analog_joules > 0
    if name == "relu":
        assert [work.work for work in works] == [Arithmetic(comparisons=1)] * 2
        return
    # Both maps of every gate, but for what enters from the empty state before the first of three steps; then the gates.
    for work, units in zip(works, (8, 6), strict=True):
        maps = {"gru": 3, "lstm": 4}[name] * units * (1 + 2 / 3)
        assert maps <= work.work.multiplications <= maps + 5
        assert work.work.elementary >= {"gru": 3, "lstm": 5}[name] * 0.9


def test_gated_layers_go_into_flat_layers_only_and_are_not_compared_as_layers() -> None:
    def why(neuron: str, topology: str, suite: str = "accuracy") -> str:
        return why_unsupported(Cell(suite, "digits", neuron, "bptt", topology), REGISTRY) or ""

    assert why("gru", "mlp") == why("relu", "mlp") == why("relu", "conv") == ""
    assert "connects the units of a layer itself" in why("gru", "conv")
    assert "connects the units of a layer itself" in why("lstm", "recurrent")
    assert "needs a neuron's spikes step by step" in why("relu", "recurrent")
    assert "weights among the units" in (why_unsupported(Cell("layers", neuron="gru"), REGISTRY) or "")
