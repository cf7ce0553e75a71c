"""The table of structures covers what cards, classes and words name, and nothing else."""

from __future__ import annotations

from typing import get_args

import pytest

from harness.catalogue.loading import load_registry
from harness.catalogue.presets.parts import NETWORKS, RESERVOIR
from reference_impls.discovery import load_class
from reference_impls.network import Network
from reference_impls.structures import STEP_BY_STEP, STRUCTURES, StructureName

TOPOLOGIES = load_registry().topologies


def test_every_name_has_a_row_and_every_row_a_name() -> None:
    assert set(STRUCTURES) == set(get_args(StructureName))
    assert {row.capabilities.structure for row in TOPOLOGIES.values()} == set(STRUCTURES)


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_topology_that_stands_for_a_structure_has_it(name: StructureName) -> None:
    assert TOPOLOGIES[STRUCTURES[name].topology].capabilities.structure == name


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_card_and_class_of_a_topology_agree(name: str) -> None:
    row = TOPOLOGIES[name]
    assert load_class(row.module, Network).structure == row.capabilities.structure


def test_methods_are_judged_on_one_network_of_every_structure() -> None:
    assert {TOPOLOGIES[name].capabilities.structure for name in (*NETWORKS, *RESERVOIR)} == set(STRUCTURES)
    assert len(NETWORKS) + len(RESERVOIR) == len(STRUCTURES)
    assert RESERVOIR == ("reservoir",)
    assert STEP_BY_STEP == ("feedback", "recurrent", "lateral", "gated", "reversible", "pool")
