"""Which of several records of one cell counts: a current one before an older one, the newest of its kind.

The one place that chooses; tables, pages, publishing and comparing ask it. Must not know what a figure is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from harness.results.freshness import Today
from harness.results.record import Record

__all__ = ["newest", "preferred", "unmixed"]


def preferred(records: Iterable[Record], today: Today) -> list[Record]:
    """Return one record of every cell on every machine: the newest current one, or the newest if none is.

    Of the same code a noisy timing never replaces a good one, nor an interrupted run one that came to its end.
    """
    return _chosen(records, lambda one: today.is_current(one) and one.status != "interrupted")


def newest(records: Iterable[Record]) -> list[Record]:
    """Return the newest record of every cell on every machine, whatever code it is of: what a set holds."""
    return _chosen(records, lambda _: True)


def unmixed(records: Sequence[Record], today: Today) -> list[Record]:
    """Return the current ones of records that would be combined into one figure, or all of them if none is."""
    return [record for record in records if today.is_current(record)] or list(records)


def _chosen(records: Iterable[Record], is_current: Callable[[Record], bool]) -> list[Record]:
    chosen: dict[tuple[str, str], Record] = {}
    for record in records:
        key = (record.cell_id, record.provenance.machine.name)
        if key not in chosen or _replaces(record, chosen[key], is_current):
            chosen[key] = record
    return list(chosen.values())


def _replaces(record: Record, other: Record, is_current: Callable[[Record], bool]) -> bool:
    if is_current(record) != is_current(other):
        return is_current(record)
    if record.provenance.code_hash == other.provenance.code_hash and _worth(record) != _worth(other):
        return _worth(record) > _worth(other)
    return record.provenance.moment >= other.provenance.moment


def _worth(record: Record) -> int:
    return {"interrupted": 0, "noisy": 1}.get(record.status, 2)
