"""The name of a candidate is enough to run it: it holds the wiring."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.catalogue.loading import load_registry, match
from harness.errors import UserError
from harness.search.evaluation import candidate_row, with_named
from harness.search.space import Space, candidate_from_code, code_of

REGISTRY = load_registry()


@settings(max_examples=50)
@given(
    depths=st.lists(st.integers(1, 5), min_size=1, max_size=3).filter(lambda depths: max(depths) > 1),
    seed=st.integers(0, 2**16),
)
def test_the_name_of_a_candidate_holds_its_wiring(depths: list[int], seed: int) -> None:
    space = Space(tuple(depths))
    candidate = space.read(space.draw(np.random.default_rng(seed)))
    assert candidate_from_code(code_of(candidate)) == candidate
    name = candidate_row(REGISTRY.topologies["skip-mlp"], candidate).name
    found = with_named(REGISTRY, ["mlp", "skip-*", name])
    assert found.topologies[name].params["skips"] == candidate
    assert name not in REGISTRY.topologies
    assert match("topology", [name], found.topologies) == [name]


@pytest.mark.parametrize("name", ["skip-mlp[3]", "skip-mlp[12]", "skip-mlp[1-x]"])
def test_brackets_without_a_wiring_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="is no block"):
        with_named(REGISTRY, [name])
