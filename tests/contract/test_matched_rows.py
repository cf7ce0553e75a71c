"""Matched rows: LIF and one mechanism. Where that mechanism has a neutral setting, they are LIF to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.catalogue.cards import Row
from harness.catalogue.loading import load_registry
from harness.golden import float64_default
from reference_impls.api import Neuron, build_neuron
from reference_impls.card import Card

NEURONS = load_registry().neurons
MATCHED = {name: row for name, row in NEURONS.items() if name.endswith("-matched")}
NEUTRAL: dict[str, dict[str, Any]] = {
    "plif-matched": {},
    "adaptive-spikenet-lif-matched": {},
    "glif-matched": {},
    "cuba-lif-matched": {"current_decay": 0.0},
    "alif-lsnn-matched": {"adapt_gain": 0.0},
    "asrnn-alif-matched": {"adapt_gain": 0.0},
    "se-adlif-matched": {"a": 0.0, "b": 0.0},
}
"""What switches a row's mechanism off; nothing for those that begin as LIF and learn from there."""
STEPS, SHAPE = 12, (4, 6)


@pytest.fixture(autouse=True)
def in_float64() -> Iterator[None]:
    with float64_default():
        yield


def built(name: str, **params: Any) -> Neuron:
    if NEURONS[name].capabilities.needs_T:
        params["T"] = STEPS
    return build_neuron(name, shape=SHAPE[1:], **params)


def current(low: float = -0.5, high: float = 2.0) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.rand(STEPS, *SHAPE, generator=generator) * (high - low) + low


def answer(neuron: Neuron, x: Tensor) -> tuple[Tensor, Tensor]:
    """Spikes, and the gradient of a weighted sum of them on the input."""
    leaf = x.clone().requires_grad_()
    spikes = neuron(leaf)
    (spikes * torch.linspace(0.5, 1.5, len(x)).view(-1, 1, 1)).sum().backward()
    assert leaf.grad is not None
    return spikes.detach(), leaf.grad


@pytest.mark.parametrize("name", NEUTRAL)
def test_with_its_mechanism_neutral_a_matched_row_is_lif(name: str) -> None:
    spikes, gradient = answer(built(name, **NEUTRAL[name]), current())
    expected, wanted = answer(built("lif"), current())
    assert expected.any()
    assert torch.equal(spikes, expected)
    torch.testing.assert_close(gradient, wanted, rtol=1e-9, atol=1e-12)


def test_klif_and_ternary_lif_are_lif_where_no_membrane_is_negative() -> None:
    x = current(low=0.0)
    expected, wanted = answer(built("lif"), x)
    for name in ("klif-matched", "ternary-lif-matched"):
        spikes, gradient = answer(built(name), x)
        assert torch.equal(spikes, expected)
        if name.startswith("klif"):  # the other one has a surrogate at the negative threshold, too
            torch.testing.assert_close(gradient, wanted, rtol=1e-9, atol=1e-12)
    below = current(-2.0, 1.0)
    assert not torch.equal(built("klif-matched")(below), built("lif")(below))
    assert (built("ternary-lif-matched")(below) < 0).any()


def test_clif_is_lif_up_to_the_first_spike_of_a_neuron() -> None:
    spikes, expected = (built(name)(current(high=1.2)) for name in ("clif-matched", "lif"))
    first = expected.cumsum(0) - expected == 0
    assert torch.equal(spikes[first], expected[first])
    assert not torch.equal(spikes, expected)


def test_an_integer_lif_of_one_level_fires_as_lif_does() -> None:
    x = current(high=3.0)
    expected = built("lif")(x)
    assert torch.equal(built("ilif-matched", max_level=1)(x), expected)
    assert (built("ilif-matched")(x) > 1).any()


def test_psu_is_lif_at_the_first_step() -> None:
    """From then on it takes back half a threshold even where nothing fired: the estimate at rest is one half."""
    x = current(high=3.0)[:1].expand(STEPS, *SHAPE)
    (spikes, gradient), (expected, wanted) = (answer(built(name), x[:1]) for name in ("psu-matched", "lif"))
    assert expected.any()
    assert torch.equal(spikes, expected)
    torch.testing.assert_close(gradient, wanted, rtol=1e-9, atol=1e-12)


def test_every_matched_row_is_held_to_lif_here() -> None:
    others = ("klif-matched", "ternary-lif-matched", "clif-matched", "psu-matched", "ilif-matched")
    assert set(MATCHED) == {*NEUTRAL, *others}


@pytest.mark.parametrize("name", MATCHED)
def test_a_mechanism_that_is_not_neutral_changes_the_spikes_or_is_learned(name: str) -> None:
    neuron, x = built(name), current(-2.0, 2.0)
    learned = [parameter for parameter in neuron.parameters() if parameter.requires_grad]
    assert learned or not torch.equal(neuron(x), built("lif")(x))


FILES = [row for name, row in NEURONS.items() if row.card.name == name != "lif"]


@pytest.mark.parametrize("row", FILES, ids=lambda row: row.name)
def test_every_neuron_says_what_it_changes_and_has_a_matched_row_or_the_reason(row: Row) -> None:
    card = row.card
    assert isinstance(card, Card)
    if not card.changes:
        pytest.fail(f"{row.name} does not say what it changes relative to lif: give its card the key 'changes'")
    assert len(card.changes) <= 90
    said = any(text.startswith(("No matched row: ", "Matched to lif as it stands")) for text in card.divergences)
    assert said != (f"{row.name}-matched" in card.variants)


def test_the_phrase_is_the_variants_own_or_the_cards() -> None:
    assert NEURONS["lif"].changes == ""
    assert NEURONS["lif-hard"].changes == "hard reset"
    assert NEURONS["plif-matched"].changes == "learned decay"
    assert NEURONS["psu-matched"].changes == NEURONS["psu"].changes != ""
