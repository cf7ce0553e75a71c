"""What a reader of a store wants of it, as data: so that a large store is asked for little.

Must not know how a store answers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.catalogue.boards.model import COMPARED, WITHOUT_BACKEND, Board

__all__ = ["CONTRACTS", "Wanted", "wanted_by"]

CONTRACTS = ("conformance", "system_conformance")
"""Suites that run contracts, of neurons, methods and peers, and of whole systems: they say which rows are verified."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Records that have one of the given values on each of the given axes of their cells."""

    axes: Mapping[str, Collection[str]] = field(default_factory=dict)
    machine: str | None = None
    """None: of any."""
    cell_id: str = ""
    """Beginning of the cell's id."""


def wanted_by(boards: Iterable[Board], axes: Mapping[str, str | None], machine: str | None) -> Sequence[Wanted]:
    """Return what tables of `boards` need whose groups have the values `axes` (None: any), and their verification."""
    wanted = [Wanted({"suite": CONTRACTS}, machine)]
    for board in boards:
        shared = {axis for axis in COMPARED if axis != board.axis and axis not in board.varies}
        given = {axis: (value,) for axis, value in axes.items() if value is not None and axis in shared}
        suites = {column.suite for column in board.columns}
        free = {axis: values for axis, values in board.fixed.items() if axis != "backend"}
        for of_suites, fixed in ((suites - {*WITHOUT_BACKEND}, board.fixed), (suites & {*WITHOUT_BACKEND}, free)):
            if of_suites:
                wanted.append(Wanted({**fixed, **given, "suite": sorted(of_suites)}, machine))
    return wanted
