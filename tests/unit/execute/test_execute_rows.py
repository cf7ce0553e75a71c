"""What the process of a cell is handed of the rows: all of them, and it unpacks those that it looks up."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any, NoReturn

import pytest

from harness.catalogue.loading import load_registry
from harness.execute.rows import KINDS, packed


def handed_on(registry: Any) -> Any:
    return pickle.loads(pickle.dumps(registry))


def test_another_process_finds_every_row_as_it_is_here() -> None:
    registry = load_registry()
    there = handed_on(packed(registry))
    assert set(KINDS) >= {"neurons", "methods", "topologies", "tasks", "suites", "peers", "systems"}
    for kind in KINDS:
        assert dict(getattr(there, kind)) == getattr(registry, kind)
    assert there.cell_neurons == registry.cell_neurons
    assert there.recipes == registry.recipes
    with pytest.raises(KeyError):
        there.neurons["no such neuron"]


def explode() -> NoReturn:
    raise AssertionError("it was unpacked")


class Explosive:
    """Cannot be unpacked."""

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return explode, ()


def test_only_what_is_looked_up_is_unpacked_and_that_is_not_handed_on() -> None:
    registry = load_registry()
    bomb = replace(registry.neurons["if"], params={"bomb": Explosive()})
    sent = packed(replace(registry, neurons={**registry.neurons, "if": bomb}))
    there = handed_on(sent)
    assert there.neurons["lif"] == registry.neurons["lif"]
    assert "if" in there.neurons
    assert len(there.neurons) == len(registry.neurons)
    with pytest.raises(AssertionError, match="unpacked"):
        there.neurons["if"]
    assert len(pickle.dumps(there)) == len(pickle.dumps(sent))
