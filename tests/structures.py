"""What contract tests share: one topology of every structure, and which rows they run every time."""

from __future__ import annotations

import pytest

from harness.catalogue.cards import Row
from reference_impls.structures import STRUCTURES

__all__ = ["TOPOLOGY_OF", "marks_of"]

TOPOLOGY_OF = {name: structure.topology for name, structure in STRUCTURES.items()}
"""What a test of a method builds to have that structure."""


def marks_of(row: Row) -> list[pytest.MarkDecorator]:
    """Return the marks of a row's contract tests: the first row of a file runs every time, variants with the slow."""
    return [] if row.name == row.card.name else [pytest.mark.slow]
