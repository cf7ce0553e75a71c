"""Every neuron with every training method on every topology: built and prepared, or refused with a sentence.

The sentences come from the capabilities on the cards. Here cards and code are held against each other over the whole
product, without training: what the cards allow must be accepted by the method itself.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from structures import marks_of

from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import load_registry
from reference_impls.api import Network, UnsupportedError, build_method, build_network, build_neuron
from reference_impls.card import Card

REGISTRY = load_registry()
T, BATCH, CLASSES = 3, 2, 2


def reason(neuron: str, method: str, topology: str) -> str | None:
    return why_unsupported(Cell("accuracy", NOT_APPLICABLE, neuron, method, topology), REGISTRY)


def sample_shape(topology: str) -> tuple[int, ...]:
    dims = REGISTRY.topologies[topology].capabilities.sample_dims
    return (4,) if 1 in dims else (1, 4, 4)


def network(neuron: str, method: str, topology: str) -> Network:
    card = REGISTRY.methods[method].card
    assert isinstance(card, Card)
    params: dict[str, Any] = dict(card.recipe.get("neuron", {}))
    if REGISTRY.neurons[neuron].capabilities.needs_T:
        params["T"] = T
    make = functools.partial(build_neuron, neuron, **params)
    return build_network(topology, sample_shape(topology), CLASSES, make, **size(method, topology))


def size(method: str, topology: str) -> dict[str, Any]:
    """Return as many layers as the method trains at most, where it says so."""
    most = REGISTRY.methods[method].capabilities.hidden_layers
    if most is None:
        return {}
    return {"hidden" if 1 in REGISTRY.topologies[topology].capabilities.sample_dims else "channels": [4] * most}


def allowed(method: str) -> Iterator[tuple[str, str]]:
    for neuron, topology in itertools.product(REGISTRY.neurons, REGISTRY.topologies):
        if reason(neuron, method, topology) is None:
            yield neuron, topology


METHODS = [pytest.param(name, marks=marks_of(row)) for name, row in REGISTRY.methods.items()]
WITH_GRADIENT = [
    pytest.param(name, marks=marks_of(row)) for name, row in REGISTRY.methods.items() if row.capabilities.gradient
]


@pytest.mark.parametrize("method", METHODS)
def test_what_the_cards_allow_is_accepted(method: str) -> None:
    pairs = list(allowed(method))
    assert pairs, f"no neuron and topology go with {method}"
    for neuron, topology in pairs:
        try:
            build_method(method).prepare(network(neuron, method, topology))
        except (TypeError, ValueError, NotImplementedError, UnsupportedError) as error:
            pytest.fail(f"{method} with {neuron} on {topology} is allowed by the cards and refused: {error}")


@pytest.mark.parametrize("method", WITH_GRADIENT)
def test_one_batch_of_every_allowed_neuron_gives_a_finite_gradient(method: str) -> None:
    """On the first topology that the method trains; small, and once for each neuron file."""
    done = set()
    target = torch.tensor([0, 1])
    for neuron, topology in allowed(method):
        if neuron in done or neuron != REGISTRY.neurons[neuron].card.name:
            continue
        done.add(neuron)
        torch.manual_seed(0)
        trained = build_method(method)
        trained.prepare(network(neuron, method, topology))
        x = 3 * torch.rand(BATCH, *sample_shape(topology))
        found = trained.gradients(x.expand(T, *x.shape), target)
        assert all(torch.isfinite(gradient).all() for gradient in found.values()), (method, neuron, topology)


def test_everything_else_has_a_sentence_that_names_both_sides() -> None:
    said: dict[str, int] = {}
    for neuron, method, topology in itertools.product(REGISTRY.neurons, REGISTRY.methods, REGISTRY.topologies):
        sentence = reason(neuron, method, topology)
        if sentence is None:
            continue
        named = [name for name in (neuron, method, topology) if name in sentence]
        assert len(named) >= 2, sentence
        assert sentence.endswith("."), sentence
        said[sentence] = said.get(sentence, 0) + 1
    for word in ("trains", "step by step", "membrane is", "parallel is", "reset is"):
        assert any(word in sentence for sentence in said), word


def test_a_method_refuses_a_structure_that_its_card_leaves_out() -> None:
    """Who calls a method without the harness meets the same refusal, as an exception that names the structure."""
    for method, topology in itertools.product(REGISTRY.methods, REGISTRY.topologies):
        structure = REGISTRY.topologies[topology].capabilities.structure
        if structure in REGISTRY.methods[method].capabilities.structures:
            continue
        refused = build_network(topology, sample_shape(topology), CLASSES, functools.partial(build_neuron, "if"))
        with pytest.raises(ValueError, match=repr(structure)):
            build_method(method).prepare(refused)
