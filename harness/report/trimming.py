"""The part of a table that a paper wants: some rows, some columns, in another order, or the first few.

Ranks, differences and what is best stay those of the whole table, whose size is kept beside. Must not rank.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from harness.catalogue.boards.model import Column
from harness.errors import UserError
from harness.results.table import Table, TableRow
from reference_impls.names import nearest, unknown_message

__all__ = ["FIXED", "Trim", "Trimmed", "column_names", "demand_rows", "trim", "whole"]

FIXED = ("rank", "contract", "vectors", "differences")
"""Columns that are no figures, by the names under which they can be asked for; the name of the row always stands."""


@dataclass(frozen=True, slots=True)
class Trim:
    """What is asked for; empty: everything, as it stands."""

    rows: tuple[str, ...] = ()
    """Patterns of names; `name (network)` where a name stands twice."""
    columns: tuple[str, ...] = ()
    """Patterns of columns: key, metric, heading, or one of `FIXED`; figures come in this order."""
    top: int | None = None
    sort: str | None = None
    """Column that orders the rows, the best first; ``name``: by name."""


@dataclass(frozen=True, slots=True)
class Trimmed:
    """A table, or what is left of it."""

    table: Table
    fixed: tuple[str, ...] | None = None
    """Those of `FIXED` that were asked for; None: what a format shows unasked."""
    of_rows: int = 0
    """How many rows the whole table has."""
    digest: str = ""
    """Tells two parts of one table apart; empty for the whole."""


def whole(table: Table) -> Trimmed:
    """Return `table` as it is."""
    return Trimmed(table, of_rows=len(table.rows))


def trim(tables: Sequence[Table], wanted: Trim) -> list[Trimmed]:
    """Return what `wanted` leaves of `tables`; a table without a wanted row is left out.

    Raises
    ------
    UserError
        If a pattern fits no row or column of any table (the message suggests the nearest), or `top` is not positive.
    """
    if wanted.top is not None and wanted.top < 1:
        raise UserError(f"--top {wanted.top} leaves no row", "give a number from 1")
    demand_rows(tables, wanted.rows)
    columns = [column_names(table, column) for table in tables for column in table.columns]
    every, shortest = {name for names in columns for name in names}, {names[-1] for names in columns}
    _demand_known("column", wanted.columns, {*every, *FIXED}, {*shortest, *FIXED})
    _demand_known("column to sort by", [wanted.sort] if wanted.sort else [], {*every, "name"}, {*shortest, "name"})
    found = (_trimmed(table, wanted) for table in tables)
    return [one for one in found if one.table.rows and (one.table.columns or not wanted.columns)]


def column_names(table: Table, column: Column) -> tuple[str, ...]:
    """Return what a column of figures is called: key, metric, full and short heading."""
    card = table.cards[column.key]
    return tuple(dict.fromkeys(filter(None, (column.key, column.metric, card.title, card.short))))


def _row_names(row: TableRow) -> tuple[str, str]:
    return row.name, f"{row.name} ({row.topology})"


def demand_rows(tables: Iterable[Table], patterns: Sequence[str]) -> None:
    """Raise UserError for a pattern that fits no row of any table; the message suggests the nearest."""
    rows = [row for table in tables for row in table.rows]
    _demand_known("row", patterns, {name for row in rows for name in _row_names(row)}, {row.name for row in rows})


def _demand_known(what: str, patterns: Iterable[str], known: Collection[str], listed: Collection[str]) -> None:
    """Raise UserError for a pattern that fits none of the `known` names, of which the `listed` are told."""
    for pattern in patterns:
        if not _fits(known, [pattern]):
            near = nearest(pattern, known)
            raise UserError(unknown_message(what, pattern, {*listed, *([near] if near else [])}))


def _fits(names: Iterable[str], patterns: Iterable[str]) -> bool:
    # A name may hold brackets, which mean something else in a pattern.
    return any(name == pattern or fnmatch.fnmatchcase(name, pattern) for pattern in patterns for name in names)


def _trimmed(table: Table, wanted: Trim) -> Trimmed:
    rows = [row for row in table.rows if not wanted.rows or _fits(_row_names(row), wanted.rows)]
    if wanted.sort:
        rows = _sorted(table, rows, wanted.sort)
    columns, fixed = table.columns, None
    if wanted.columns:
        chosen = (column for one in wanted.columns for column in columns if _fits(column_names(table, column), [one]))
        columns = tuple({column.key: column for column in chosen}.values())
        fixed = tuple(name for name in FIXED if _fits([name], wanted.columns))
    left = replace(table, rows=tuple(rows[: wanted.top]), columns=columns)
    same = (left.rows, left.columns, fixed) == (table.rows, table.columns, None)
    return Trimmed(left, fixed, len(table.rows), "" if same else _digest(left, fixed))


def _digest(table: Table, fixed: Sequence[str] | None) -> str:
    said = [[_row_names(row) for row in table.rows], [column.key for column in table.columns], fixed]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:6]


def _sorted(table: Table, rows: Sequence[TableRow], by: str) -> list[TableRow]:
    """Return rows with the best figure of a column first; what has none comes last, and equals stay as they stood."""
    if by == "name":
        return sorted(rows, key=lambda row: (row.name, row.topology))
    key = next((column.key for column in table.columns if _fits(column_names(table, column), [by])), None)
    having = [row for row in rows if key in row.values]
    sign = -1 if key is not None and table.cards[key].direction == "higher" else 1
    having.sort(key=lambda row: sign * row.values[key].estimate.value if key else 0.0)
    return [*having, *(row for row in rows if key not in row.values)]
