"""Parameters of a layer, a channel or a neuron: shapes, initial values, and that each acts where it belongs."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.catalogue.loading import load_registry
from harness.golden import float64_default
from reference_impls.api import Neuron, build_network, build_neuron

ROWS = load_registry().neurons
OWN = [name for name, row in ROWS.items() if row.capabilities.granularity != "layer"]
T, BATCH, N = 7, 3, 5


def build(name: str, shape: tuple[int, ...] | None, **params: Any) -> Neuron:
    torch.manual_seed(0)
    with float64_default():
        return build_neuron(name, shape=shape, **params, **({"T": T} if ROWS[name].capabilities.needs_T else {}))


def current(*places: int) -> Tensor:
    """Return an input current ``[T, B, N, *places]`` at which slow neurons fire as well, and others not always."""
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(T, BATCH, N, *places, generator=generator, dtype=torch.float64)
    return x.pow(6) * torch.randn(x.shape, generator=generator, dtype=torch.float64).add(1) * 60


def answers(neuron: Neuron, x: Tensor, upstream: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the spikes, and the gradients of the input and of every parameter."""
    leaf = x.clone().requires_grad_()
    spikes = neuron(leaf)
    wanted = [leaf, *(parameter for parameter in neuron.parameters() if parameter.requires_grad)]
    return spikes.detach(), list(torch.autograd.grad(spikes, wanted, upstream, materialize_grads=True))


def picked(tensor: Tensor, at: int) -> Tensor:
    """Return what belongs to neuron `at`: no other size of a parameter is N."""
    return tensor.select(tensor.shape.index(N), at)


@pytest.mark.parametrize("name", OWN)
def test_every_neuron_is_a_layer_with_its_values(name: str) -> None:
    whole = build(name, (N,))
    with torch.no_grad():
        for parameter in whole.parameters():
            parameter.mul_(1 + 0.1 * torch.rand(parameter.shape, dtype=parameter.dtype))
    x, upstream = current(), torch.randn(T, BATCH, N, dtype=torch.float64)
    spikes, gradients = answers(whole, x, upstream)
    assert 0 < spikes.count_nonzero() < spikes.numel()
    for at in range(N):
        one = build(name, None, granularity="layer")
        one.load_state_dict(
            {key: picked(value, at) if N in value.shape else value for key, value in whole.state_dict().items()}
        )
        part, parts = answers(one, x[..., at], upstream[..., at])
        assert torch.equal(part, spikes[..., at])
        own = [gradients[0][..., at], *(picked(gradient, at) for gradient in gradients[1:])]
        for found, expected in zip(parts, own, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", OWN)
def test_channels_share_what_the_places_of_an_image_differ_in(name: str) -> None:
    by_channel, flat = (build(name, shape, granularity="channel") for shape in ((N, 2, 4), (N,)))
    shapes = {key: value.shape for key, value in flat.state_dict().items()}
    flat.load_state_dict({key: value.reshape(shapes[key]) for key, value in by_channel.state_dict().items()})
    x = current(2, 4)
    places = x.movedim(2, -1)
    assert torch.equal(by_channel(x).movedim(2, -1), flat(places.flatten(1, 3)).view(places.shape))


def test_topologies_say_which_shape_a_layer_has() -> None:
    told: list[tuple[int, ...]] = []

    def neuron(*, shape: tuple[int, ...]) -> Neuron:
        told.append(shape)
        return build_neuron("lif")

    for name, row in load_registry().topologies.items():
        sample = (6,) if 1 in row.capabilities.sample_dims else (2, 12, 12)
        told.clear()
        network = build_network(name, sample, 3, neuron)
        seen: dict[int, set[tuple[int, ...]]] = {}
        with network.observed_by(lambda layer, s, seen=seen: seen.setdefault(layer, set()).add(tuple(s.shape[2:]))):
            network(torch.rand(3, 2, *sample))
        assert [seen[layer] for layer in range(len(told))] == [{shape} for shape in told], name


def test_a_factory_that_takes_no_shape_is_called_without() -> None:
    network = build_network("mlp", (6,), 3, lambda: build_neuron("lif"), hidden=[4])
    assert network(torch.rand(3, 2, 6)).shape == (3, 2, 3)
    with pytest.raises(ValueError, match="adlif has parameters for every neuron"):
        build_network("mlp", (6,), 3, lambda: build_neuron("se-adlif"), hidden=[4])


@pytest.mark.parametrize("name", OWN)
def test_a_copy_and_a_state_dict_keep_the_shapes(name: str) -> None:
    neuron = build(name, (N,))
    other = copy.deepcopy(neuron)
    assert torch.equal(neuron(current()), other(current()))
    assert other.parameter_shape == neuron.parameter_shape != ()


@pytest.mark.parametrize(
    ("granularity", "shape"), [("layer", ()), ("channel", (4, 1, 1)), ("neuron", (4, 5, 6))], ids=str
)
@pytest.mark.parametrize("name", ["asrnn-alif", "se-adlif"])
def test_a_set_of_values_for_a_layer_a_channel_or_a_neuron(name: str, granularity: str, shape: tuple[int, ...]) -> None:
    neuron = build_neuron(name, shape=(4, 5, 6), granularity=granularity)
    assert {tuple(parameter.shape) for parameter in neuron.parameters()} == {shape}
    assert all(parameter.unique().numel() == math.prod(shape) for parameter in neuron.parameters())
    assert neuron(torch.rand(3, 2, 4, 5, 6)).shape == (3, 2, 4, 5, 6)


def test_initial_values_are_drawn_as_the_authors_draw_them() -> None:
    torch.manual_seed(0)
    adlif: Any = build_neuron("se-adlif", shape=(20_000,))
    for values, highest in ((adlif.tau_u_mix, 1), (adlif.tau_w_mix, 1), (adlif.a, 1), (adlif.b, 2)):
        assert 0 <= values.min() < 0.01
        assert 0.99 * highest < values.max() <= highest
        assert float(values.detach().mean()) == pytest.approx(highest / 2, abs=0.02)
    srnn: Any = build_neuron("asrnn-alif", shape=(20_000,))
    for taus, mean, deviation in ((srnn.tau_m, 20, 5), (srnn.tau_adp, 150, 10)):
        assert float(taus.detach().mean()) == pytest.approx(mean, rel=0.01)
        assert float(taus.detach().std()) == pytest.approx(deviation, rel=0.03)


@pytest.mark.parametrize("name", ["asrnn-alif", "se-adlif", "blocks-alif", "glif", "multilevel-lif", "prf"])
def test_a_layer_of_unknown_shape_is_refused_with_what_to_give(name: str) -> None:
    params = {"T": 3} if name == "glif" else {}
    with pytest.raises(ValueError, match=r"must know its layer: give shape=\(N,\)"):
        build_neuron(name, **params)
    assert build_neuron(name, granularity="layer", **params)(torch.rand(3, 2, 5)).shape == (3, 2, 5)


@pytest.mark.parametrize("features", [(), (1,), (3,), (4, 1), (1, 4)], ids=str)
@pytest.mark.parametrize("name", ["se-adlif", "blocks-alif"])
def test_an_input_of_another_layers_shape_is_refused(name: str, features: tuple[int, ...]) -> None:
    neuron: Any = build_neuron(name, shape=(4,))
    with pytest.raises(ValueError, match=r"features of shape .*: build it with shape="):
        neuron(torch.rand(3, 2, *features))


def test_an_initial_value_that_does_not_fit_the_layer_is_refused() -> None:
    with pytest.raises(ValueError, match=r"initial value of shape \(3,\) does not fit parameters of shape \(4,\)"):
        build_neuron("se-adlif", shape=(4,), a=[0.1, 0.2, 0.3])
