"""The rows as the process of a cell is handed them: packed one by one, and unpacked when they are looked up.

A cell looks up a handful of some three hundred rows. To pickle all of them for every cell, and to unpickle them there,
took half of the time of a cell that does nothing. Must not know what a row is for.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from harness.catalogue.cards import Registry, Row

__all__ = ["packed"]

KINDS = tuple(one.name for one in fields(Registry) if one.name not in ("problems", "recipes"))
"""Fields of a registry that hold rows by name."""


class PackedRows(Mapping[str, Row]):
    """Rows by name, each unpacked at the first question for it."""

    __slots__ = ("_packed", "_rows")

    def __init__(self, packed: Mapping[str, bytes]) -> None:
        self._packed = packed
        self._rows: dict[str, Row] = {}

    def __getitem__(self, name: str) -> Row:
        """Return the row; KeyError if there is none."""
        if name not in self._rows:
            self._rows[name] = pickle.loads(self._packed[name])
        return self._rows[name]

    def __contains__(self, name: object) -> bool:
        """Whether there is such a row: nothing is unpacked for that."""
        return name in self._packed

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self._packed)

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self._packed)

    def __reduce__(self) -> tuple[type[PackedRows], tuple[Mapping[str, bytes]]]:
        """Return what another process is handed: nothing that was unpacked here."""
        return PackedRows, (self._packed,)


def packed(registry: Registry) -> Registry:
    """Return `registry` as other processes are handed it, again and again."""
    rows: dict[str, Any] = {kind: PackedRows(_pickled(getattr(registry, kind))) for kind in KINDS}
    return replace(registry, **rows)


def _pickled(rows: Mapping[str, Row]) -> dict[str, bytes]:
    return {name: pickle.dumps(row, pickle.HIGHEST_PROTOCOL) for name, row in rows.items()}
