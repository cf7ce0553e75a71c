"""Where a name is unknown, cards that cannot be used are said first; and no error lists a hundred names."""

from __future__ import annotations

from pathlib import Path

import pytest
from mistakes import NEURON, install, line_with

from harness.catalogue.loading import load_registry, match
from harness.errors import UserError
from reference_impls.api import build_neuron
from reference_impls.card import CardError
from reference_impls.discovery import unusable_cards
from reference_impls.names import MOST_NAMED, UnknownNameError, unknown_message


def test_a_word_of_ones_own_is_no_mistake(elsewhere: Path) -> None:
    install(elsewhere, NEURON.replace('"reset": "soft"', '"reset": "by-moonlight"'))
    assert load_registry().problems == ()


def test_cards_that_cannot_be_used_come_before_an_unknown_name(elsewhere: Path) -> None:
    path = install(elsewhere, NEURON.replace('"binary"', '"binry"'))
    with pytest.raises(UserError) as asked:
        match("neuron", ["mine"], load_registry().neurons)
    first, second, third = str(asked.value).splitlines()[:3]
    assert first == "1 card cannot be used:"
    assert second.startswith(f"  {line_with(path, 'binry')}: key 'capabilities.output'")
    assert third.startswith("unknown neuron 'mine': Known: ")


def test_a_file_that_cannot_be_read_comes_before_an_unknown_name(elsewhere: Path) -> None:
    path = install(elsewhere, NEURON.replace("CARD = {", "CARD = {{"))
    with pytest.raises(UnknownNameError) as asked:
        build_neuron("mine")
    assert str(asked.value).splitlines()[0] == "1 card cannot be used:"
    assert str(path) in str(asked.value).splitlines()[1]
    assert str(asked.value).splitlines()[2].startswith("unknown neuron 'mine'")


def test_of_many_cards_that_cannot_be_used_ten_lines_are_shown() -> None:
    said = unusable_cards([CardError(f"file-{number}.py:1: wrong") for number in range(30)]).splitlines()
    assert said[0] == "30 cards cannot be used:"
    assert len(said) == 1 + MOST_NAMED + 1
    assert said[-1] == "  and 20 more lines: spikeboard list"


def test_an_error_names_at_most_ten_candidates_the_nearest() -> None:
    known = [f"name-{number}" for number in range(40)] + ["lif", "plif"]
    said = unknown_message("neuron", "liff", known)
    assert "did you mean 'lif'?" in said
    assert said.endswith("and 32 more.")
    named = said.partition("Known: ")[2].partition(" and ")[0].split(", ")
    assert len(named) == MOST_NAMED == 10
    assert {"lif", "plif"} <= set(named)
    assert unknown_message("colour", "rd", ["red", "blue"]).endswith("Known: blue, red.")
