"""Every network of dense targets keeps its contract; the published ones are the authors' to the last digits."""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.catalogue.loading import load_registry
from harness.conformance.images import IMAGE_CHECKS
from harness.conformance.systems import judged
from harness.measure.activity import count_activity
from harness.suites.common.base import DivergedError
from harness.suites.common.dense import check_contract
from reference_impls.api import UnknownNameError
from reference_impls.dense_network import DenseAnswer, DenseBaseline, DenseNetwork, Windows, at_ends, build_dense

DENSE = {
    name: row
    for name, row in load_registry().systems.items()
    if row.capabilities.answers in ("frames", "flow", "boxes")
}
VECTORS = Path(__file__).parent / "dense_vectors"
SMALL: dict[str, dict[str, Any]] = {
    "evsnn": {"base": 4},
    "pa-evsnn": {"base": 4},
    "adaptive-spikenet": {"base": 8, "levels": 3},
    "hybrid-detector": {"channels": [6, 8], "strides": [2, 2], "window": 2, "head": [5]},
}
"""Sizes of a file's rows in these tests."""
STEPS, WINDOWS, BATCH = 6, 3, 2
COMPONENTS = {"frames": 1, "flow": 2, "boxes": 8}


def small(name: str) -> DenseNetwork:
    torch.manual_seed(0)
    row = DENSE[name]
    components = COMPONENTS[row.capabilities.answers]
    channels = row.capabilities.input_channels or 2
    return build_dense(name, (channels, 16, 24), components, **SMALL.get(row.card.name, {}))


def batch(network: DenseNetwork, name: str) -> Windows:
    """Windows of counts or of signed bins, and random images as targets."""
    able = DENSE[name].capabilities
    generator = torch.Generator().manual_seed(1)
    x = torch.randint(0, 3, (STEPS, BATCH, able.input_channels or 2, 16, 24), generator=generator).float()
    if able.input_channels == 1:
        x = x - 1
    height, width = (4, 6) if able.answers == "boxes" else (16, 24)
    target = torch.rand(WINDOWS, BATCH, COMPONENTS[able.answers], height, width, generator=generator)
    return Windows(x, target, target.roll(1, 0) if able.answers == "frames" else None)


@pytest.mark.parametrize("name", list(DENSE))
def test_every_network_keeps_the_contract(name: str) -> None:
    network = small(name)
    windows = batch(network, name)
    if isinstance(network, DenseBaseline):
        network.fit([windows])
    check_contract(network, windows, DENSE[name].capabilities.sees_truth)


@pytest.mark.parametrize(
    "name",
    # A second each; variants that learn are of the same file, and take as long.
    [
        pytest.param(name, marks=[pytest.mark.slow] if row.capabilities.learns and name != row.card.name else [])
        for name, row in DENSE.items()
    ],
)
def test_every_network_is_judged_as_systems_are(name: str) -> None:
    outcomes = judged(DENSE[name])
    assert [outcome.name for outcome in outcomes if not outcome.passed] == []
    assert len(outcomes) == len(IMAGE_CHECKS) - DENSE[name].capabilities.sees_truth


@pytest.mark.parametrize(
    ("name", "lie", "broken"),
    [
        ("mean-image", {"learns": True}, {"learns"}),
        ("event-integration", {"spiking": True}, {"work"}),
        ("evsnn-ann", {"spiking": True}, {"work"}),
        ("last-frame", {"sees_truth": False}, {"no truth"}),
    ],
)
def test_a_card_that_says_what_is_not_so_fails(name: str, lie: dict[str, bool], broken: set[str]) -> None:
    row = replace(DENSE[name], capabilities=replace(DENSE[name].capabilities, **lie))
    assert {outcome.name for outcome in judged(row) if not outcome.passed} >= broken


@pytest.mark.parametrize("name", [name for name, row in DENSE.items() if row.capabilities.learns])
def test_every_trained_parameter_gets_a_gradient(name: str) -> None:
    network = small(name)
    windows = batch(network, name)
    answer = network.answer(windows.x)
    (sum(image.square().mean() for image in (answer.image, *answer.coarse))).backward()  # type: ignore[union-attr]
    assert not [key for key, value in network.named_parameters() if value.grad is None]
    # A rectifier of the gain networks, of which there is one at this size, may be shut.
    maps = {key: value.grad for key, value in network.named_parameters() if value.dim() == 4}
    assert maps
    assert not [key for key, gradient in maps.items() if gradient is None or not gradient.any()]
    assert all(torch.isfinite(value.grad).all() for value in network.parameters() if value.grad is not None)


@pytest.mark.parametrize("name", [name for name, row in DENSE.items() if row.capabilities.learns])
def test_every_product_of_a_network_is_declared(name: str) -> None:
    network = small(name)
    activity = count_activity(network, [batch(network, name).x], input_kind="mixed")
    assert activity.outside_neurons == 0
    assert len(activity.layers) == len(network.neurons()) > 0
    if DENSE[name].capabilities.spiking:
        assert activity.events > 0
        assert activity.problems() == ()


class _Leaking(DenseNetwork):
    """Answers with the mean over the batch: every sample sees the others."""

    def answer(self, x: Tensor, states: Any = None) -> DenseAnswer:
        return DenseAnswer(x.mean(1, keepdim=True).expand_as(x), ())

    def neurons(self) -> tuple[()]:
        return ()

    def synapses(self) -> tuple[()]:
        return ()


class _Forgetful(_Leaking):
    """Adds its input up, and begins at 0 again whatever state it is given."""

    def answer(self, x: Tensor, states: Any = None) -> DenseAnswer:
        return DenseAnswer(x.cumsum(0), ())


class _Peeping(_Leaking):
    """Looks at the truth that it is to be held against."""

    def answer(self, x: Tensor, states: Any = None) -> DenseAnswer:
        return DenseAnswer(x, ())

    def at_windows(self, batch: Windows) -> Tensor:
        return batch.target if batch.before is None else batch.before


@pytest.mark.parametrize(
    ("broken", "said"), [(_Leaking(), "its batch"), (_Forgetful(), "going on from a state"), (_Peeping(), "the truth")]
)
def test_a_network_that_breaks_its_contract_is_not_measured(broken: DenseNetwork, said: str) -> None:
    with pytest.raises(DivergedError, match=said):
        check_contract(broken, batch(broken, "evsnn"))


def filled(name: str, shape: torch.Size) -> Tensor:
    """Parameters that follow from their names, as those that the authors' code was run with."""
    random = np.random.RandomState(zlib.crc32(name.encode()))
    u = torch.from_numpy(2 * random.random_sample(tuple(shape)) - 1)
    for ending, middle, half in (
        ("running_var", 1, 0.5),
        ("running_mean", 0, 0.2),
        ("norm.weight", 1, 0.3),
        ("norm.bias", 0.9, 0.5),
        ("bias", 0, 0.5),
    ):
        if name.endswith(ending):
            return middle + half * u
    return u * math.sqrt(24 / u[0].numel())


@pytest.mark.parametrize("name", ["evsnn", "pa-evsnn"])
def test_images_are_those_of_the_authors_code(name: str) -> None:
    """One bin a call there, all steps at once here; 32 channels, weights that follow from their names."""
    recorded = json.loads((VECTORS / f"{name}.json").read_text())
    network = build_dense(name, (1, 16, 16), 1).double().eval()
    state = network.state_dict()
    network.load_state_dict(
        {key: value if key.endswith("tracked") else filled(key, value.shape) for key, value in state.items()}
    )
    x = torch.from_numpy(4 * np.random.RandomState(7).random_sample((recorded["steps"], 1, 1, 16, 16)) - 2)
    with torch.no_grad():
        image = network.answer(x).image
    expected = torch.tensor(recorded["images"], dtype=torch.float64).view_as(image)
    torch.testing.assert_close(image, expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "parameters"), [("evsnn", 4_408_546), ("pa-evsnn", 4_617_124 - 89_244), ("adaptive-spikenet", 13_038_102)]
)
def test_published_sizes(name: str, parameters: int) -> None:
    """PA-EVSNN without the authors' unused layers; Adaptive-SpikeNet in Spike-FlowNet's widths, and its neurons."""
    shape, components = ((2, 16, 16), 2) if name == "adaptive-spikenet" else ((1, 8, 8), 1)
    network = build_dense(name, shape, components)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


def test_one_membrane_for_two_currents_is_another_network() -> None:
    x = batch(small("evsnn"), "evsnn").x
    shared, apart = small("evsnn"), small("evsnn-two-nodes")
    assert len(apart.neurons()) == len(shared.neurons()) + 1
    apart.load_state_dict(shared.state_dict())
    assert not torch.equal(shared.answer(x).image, apart.answer(x).image)


def test_each_layer_learns_one_leak_and_one_threshold() -> None:
    network = small("adaptive-spikenet")
    own = {key for key, value in network.named_parameters() if value.numel() == 1}
    assert len(own) == 2 * len(network.neurons())
    assert {key.rpartition(".")[2] for key in own} == {"decay", "v_threshold"}
    assert not [key for key, value in small("adaptive-spikenet-fixed").named_parameters() if value.numel() == 1]


def test_flow_adds_up_and_is_told_at_every_scale() -> None:
    torch.manual_seed(0)
    network = build_dense("adaptive-spikenet", (2, 16, 24), 2, base=8, levels=3, neuron="relu")
    x = batch(network, "adaptive-spikenet").x[:1].expand(4, BATCH, 2, 16, 24)
    answer = network.answer(x)
    assert [tuple(coarse.shape[2:]) for coarse in answer.coarse] == [(2, 4, 6), (2, 8, 12)]
    # The deepest scale is told before any sum comes back: a constant input adds the same at every step.
    steps = torch.arange(1, 5).view(-1, 1, 1, 1, 1)
    torch.testing.assert_close(answer.coarse[0], steps * answer.coarse[0][0], rtol=1e-4, atol=1e-5)


def test_event_integration_finds_leak_gain_and_offset() -> None:
    network = build_dense("event-integration", (1, 8, 8), 1)
    x = torch.randn(12, 5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    u, summed = torch.zeros_like(x[0]), []
    for x_t in x:
        u = 0.9 * u + x_t
        summed.append(u)
    target = at_ends(0.2 * torch.stack(summed) + 0.1, 3)
    assert isinstance(network, DenseBaseline)
    network.fit([Windows(x[:, :2], target[:, :2], None), Windows(x[:, 2:], target[:, 2:], None)])
    torch.testing.assert_close(network.at_windows(Windows(x, target, None)), target, rtol=1e-4, atol=1e-4)


def test_constants_are_means_of_the_training_part() -> None:
    target = torch.arange(2 * 3 * 2 * 2 * 2, dtype=torch.float32).view(2, 3, 2, 2, 2)
    windows = Windows(torch.zeros(2, 3, 2, 2, 2), target, None)
    found = {}
    for name in ("mean-image", "mean-flow", "zero-flow"):
        network = build_dense(name, (2, 2, 2), 2)
        assert isinstance(network, DenseBaseline)
        network.fit([windows, windows])
        found[name] = network.at_windows(windows)[0, 0]
    torch.testing.assert_close(found["mean-image"], target.mean((0, 1)))
    torch.testing.assert_close(found["mean-flow"][:, 0, 0], target.mean((0, 1, 3, 4)))
    assert not found["zero-flow"].any()


def test_what_does_not_fit_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match="no multiple of 8; pad it to 24 x 16"):
        build_dense("evsnn", (1, 20, 16), 1)
    with pytest.raises(ValueError, match="channels, height, width"):
        build_dense("pa-evsnn", (16, 16), 1)
    with pytest.raises(ValueError, match="not 2 windows"):
        at_ends(torch.zeros(5, 1), 2)
    with pytest.raises(ValueError, match="no frame before"):
        build_dense("last-frame", (2, 8, 8), 2).at_windows(Windows(torch.zeros(1), torch.zeros(1), None))
    with pytest.raises(ValueError, match="one channel of signed bins"):
        build_dense("event-integration", (2, 8, 8), 1)
    with pytest.raises(UnknownNameError, match="evsnn"):
        build_dense("evsn", (1, 8, 8), 1)
    with pytest.raises(ValueError, match="batch of 2"):
        small("evsnn").answer(torch.zeros(2, 3, 1, 16, 24), small("evsnn").answer(torch.zeros(2, 2, 1, 16, 24)).states)
