"""Records of strangers beside one's own: what of each was made sure of, so that a board can say so.

A figure is `reported`, until its submission was checked; `checked`, until this very figure was measured again;
`reproduced` then. The word stands in no record: whoever reads submissions works it out from what was checked, and hands
it over beside them. Must not know how anything is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from harness.results.freshness import CURRENT, Freshness
from harness.results.reading import Problem
from harness.results.record import Record
from harness.results.standing import Standing

__all__ = ["NOBODY", "Key", "Mark", "Marked", "Submitted", "key_of"]

Key = tuple[str, str, str]
"""Cell, machine and code hash."""


class Mark(IntEnum):
    """How far somebody here stands behind a stranger's figure; more is better."""

    REPORTED = 0
    CHECKED = 1
    REPRODUCED = 2

    @property
    def word(self) -> str:
        """Return what boards show."""
        return self.name.lower()

    @property
    def standing(self) -> Standing:
        """Return what follows for a ranking: only what was measured again here takes part."""
        return {
            Mark.REPORTED: Standing.REPORTED,
            Mark.CHECKED: Standing.CHECKED,
            Mark.REPRODUCED: Standing.CURRENT,
        }[self]


@dataclass(frozen=True, slots=True)
class Marked:
    """What is known of one record of a submission."""

    submission: str
    """Name of its folder."""
    checked: bool = False
    figures: frozenset[str] = frozenset()
    """Metrics that were measured again here, and found equal or inside their interval."""
    freshness: Freshness = CURRENT

    def of(self, metric: str) -> Mark:
        """Return the mark of a figure."""
        if not self.checked:
            return Mark.REPORTED
        return Mark.REPRODUCED if metric in self.figures else Mark.CHECKED


def key_of(record: Record) -> Key:
    """Return what tells a record from any other."""
    return record.cell_id, record.provenance.machine.name, record.provenance.code_hash


@dataclass(frozen=True, slots=True)
class Submitted:
    """Records of strangers, one of each cell on each machine, with what is known of them."""

    records: tuple[Record, ...] = ()
    marks: Mapping[Key, Marked] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def beside(self, own: Sequence[Record]) -> Submitted:
        """Return what remains beside one's `own` records: of a cell and machine that they have, theirs alone counts."""
        taken = {(one.cell_id, one.provenance.machine.name) for one in own}
        kept = tuple(one for one in self.records if (one.cell_id, one.provenance.machine.name) not in taken)
        return Submitted(kept, {key_of(one): self.marks[key_of(one)] for one in kept}, self.problems)

    def only(self, wanted: Callable[[Marked], bool]) -> Submitted:
        """Return the records of which what is known is `wanted`."""
        kept = tuple(one for one in self.records if wanted(self.marks[key_of(one)]))
        return Submitted(kept, {key_of(one): self.marks[key_of(one)] for one in kept}, self.problems)

    def of(self, record: Record) -> Marked | None:
        """Return what is known of `record`; None if it is one's own."""
        return self.marks.get(key_of(record)) if self.marks else None

    def claims(self, record: Record) -> bool:
        """Whether `record` is a stranger's word: not one's own, nor measured again here in all of its figures."""
        known = self.of(record)
        if known is None:
            return False
        return not record.metrics or any(known.of(name) is not Mark.REPRODUCED for name in record.metrics)

    def mark(self, records: Iterable[Record], metric: str) -> Mark | None:
        """Return the mark of a figure that is made of `records`: the least of theirs; None if all are one's own."""
        known = [found.of(metric) for record in records if (found := self.of(record)) is not None]
        return min(known, default=None)

    def unmixed(self, records: Sequence[Record]) -> list[Record]:
        """Return those of `records` that may become one figure: one's own, else those of one submission."""
        own = [record for record in records if self.of(record) is None]
        if own or not records:
            return own
        by_name: dict[str, list[Record]] = {}
        for record in records:
            by_name.setdefault(self.marks[key_of(record)].submission, []).append(record)
        # The one that most is made sure of; then the first by name, never the one with the better figure.
        return min(by_name.items(), key=lambda item: (-self._sureness(item[1]), item[0]))[1]

    def _sureness(self, records: Iterable[Record]) -> int:
        return min(min((self.marks[key_of(one)].of(name) for name in one.metrics), default=0) for one in records)


NOBODY = Submitted()
