"""Which records share a table: those of one board that are equal in all axes that its rows do not differ on.

A time or a peak tells of the machine too, so tables with such figures are of one machine. What training decides (an
error, spikes, operations) is moved by another processor no more than by another seed, so such figures stand in the
tables of every machine, and where there are no others, in one table for all. Must not rank.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from harness.catalogue.boards.model import COMPARED, WITHOUT_BACKEND, Board
from harness.catalogue.cards import Registry
from harness.catalogue.cell import DEFAULT_RECIPE, NOT_APPLICABLE
from harness.results.record import Record

__all__ = [
    "ANY_MACHINE",
    "Axes",
    "Group",
    "alike",
    "axes_under",
    "grouped",
    "machines_of",
    "of_machine",
    "on_one_machine",
    "one_a_seed",
]

ANY_MACHINE = "any machine"
"""Machine of a group whose figures tell of none."""

Axes = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Group:
    """What all rows of a table share."""

    axes: Axes
    machine: str
    """`ANY_MACHINE` where no figure depends on it."""

    @property
    def label(self) -> str:
        """Return a title such as "digits, lif, mlp, quick"."""
        said = [
            value for _, value in self.axes if value not in (NOT_APPLICABLE, "cpu", "float32", "eager", DEFAULT_RECIPE)
        ]
        return ", ".join(said) or "no task"


def grouped(
    records: Iterable[Record], board: Board, suites: Collection[str], registry: Registry
) -> dict[Group, list[Record]]:
    """Sort the records of `suites` that fit `board` by what the rows of one of its tables share."""
    groups: dict[Group, list[Record]] = {}
    for axes, several in alike((one for one in records if one.cell.suite in suites), board).items():
        bound = {_machine(record) for record in several if of_machine(record, registry)}
        for machine in sorted(bound) or [ANY_MACHINE]:
            groups[Group(axes, machine)] = on_one_machine(several, machine, registry)
    return groups


def alike(records: Iterable[Record], board: Board) -> dict[Axes, list[Record]]:
    """Sort the records that fit `board` by the axes that the rows of a table share, of whatever machine they are."""
    shared = [axis for axis in COMPARED if axis != board.axis and axis not in board.varies]
    backend = board.fixed.get("backend", ("",))[0]
    found: dict[Axes, list[Record]] = defaultdict(list)
    for record in records:
        axes = axes_under(record, backend)
        if _fits(record, axes, board):
            found[tuple((axis, axes[axis]) for axis in shared)].append(record)
    return found


def axes_under(record: Record, backend: str) -> dict[str, str]:
    """Return a record's axes; a figure that no backend moves stands under `backend` (empty: under its own)."""
    axes = record.axes()
    if backend and record.cell.suite in WITHOUT_BACKEND:
        axes["backend"] = backend
    return axes


def on_one_machine(records: Iterable[Record], machine: str, registry: Registry) -> list[Record]:
    """Return those of `records` that may stand in a table of `machine`: its own, and what tells of no machine."""
    return [record for record in records if _machine(record) == machine or not of_machine(record, registry)]


def of_machine(record: Record, registry: Registry) -> bool:
    """Whether what `record` says tells of the machine that it was measured on; of a forgotten suite, it does."""
    return record.cell.suite not in registry.suites or registry.suite(record.cell.suite).of_machine


def one_a_seed(records: Iterable[Record], machine: str) -> list[Record]:
    """Return one record of each seed, those of `machine` before others, then the newest.

    A figure that neither backend nor machine moves may have been measured under several of them.
    """
    by_seed: dict[int, Record] = {}
    for record in sorted(records, key=lambda one: (_machine(one) == machine, one.provenance.moment)):
        by_seed[record.cell.seed] = record
    return [by_seed[seed] for seed in sorted(by_seed)]


def machines_of(records: Iterable[Record], first: str) -> tuple[str, ...]:
    """Return the machines that `records` were measured on by name, but `first` before all others."""
    return tuple(sorted({_machine(record) for record in records}, key=lambda name: (name != first, name)))


def _machine(record: Record) -> str:
    return record.provenance.machine.name


def _fits(record: Record, axes: Mapping[str, str], board: Board) -> bool:
    suite, _, metric = board.only_with.partition(".")
    if suite == record.cell.suite and metric not in record.metrics:
        return False
    return axes[board.axis] != NOT_APPLICABLE and all(axes[axis] in values for axis, values in board.fixed.items())
