"""What golden files of neurons call things, in the words of the shared vocabulary.

A file keeps the names of its authors' code, and one name (``beta``) means different things in different files; so
the tables are kept file by file. Must not know equations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["translated"]

Names = Mapping[str, str | None]

# By file: parameters with another name here, and (None) entries that only describe a vector.
NAMES: Mapping[str, Names] = {
    "masked-psn": {"order_k": "order", "lambda": "mask_strength"},
    "sliding-psn": {"order_k": "order"},
}
# Parameters that are written in another way than the vocabulary's.
CONVERSIONS: Mapping[str, Callable[[dict[str, Any]], None]] = {}


def translated(slug: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a case of file `slug` under the names of the shared vocabulary."""
    given = dict(params)
    if slug in CONVERSIONS:
        CONVERSIONS[slug](given)
    names = NAMES.get(slug, {})
    return {name: value for key, value in given.items() if (name := names.get(key, key)) is not None}
