"""Tables as JSON, for programs: SI values, bounds, ranks and standings as the tables have them. Decides nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from harness.text import printable

if TYPE_CHECKING:
    from harness.report.sheets import Sheet
    from harness.results.table import Table, TableRow, Value

__all__ = ["sheets_to_json", "tables_to_json"]


def tables_to_json(tables: Iterable[Table]) -> str:
    """Return a list of tables, each with its board, what its rows share, its columns with their units, and its rows."""
    return _text([_table(table) for table in tables])


def sheets_to_json(sheets: Iterable[Sheet]) -> str:
    """Return a list of sheets, each with its lines as CSV has them, and its notes."""
    return _text([{"title": one.title, "lines": list(one.raw), "notes": list(one.notes)} for one in sheets])


def _text(value: Any) -> str:
    text = json.dumps(_finite(value), indent=1, ensure_ascii=False, default=str, allow_nan=False)
    return printable(text) + "\n"  # JSON leaves some characters that act as they are


def _finite(value: Any) -> Any:
    """Return `value` without numbers that JSON has not."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value


def _table(table: Table) -> dict[str, Any]:
    columns = {key: {"title": card.title, "unit": card.unit, "better": card.direction} for key, card in _cards(table)}
    return {
        "board": table.board.name,
        "title": table.board.title,
        "axis": table.board.axis,
        "rank_by": table.board.rank_by,
        "shared": dict(table.group.axes),
        "machine": table.group.machine,
        "machines": table.machines(),
        "columns": columns,
        "rows": [_row(row) for row in table.rows],
    }


def _cards(table: Table) -> Sequence[tuple[str, Any]]:
    return [(column.key, table.cards[column.key]) for column in table.columns]


def _row(row: TableRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "title": row.title,
        "topology": row.topology,
        "changes": row.changes,
        "verified": row.verified,
        "vectors": row.vectors,
        "figures": {key: _figure(value) for key, value in row.values.items()},
        "unreached": {key: one.text for key, one in row.unreached.items()},
        "failures": {key: {"status": one.status, "reason": one.reason} for key, one in row.failures.items()},
    }


def _figure(value: Value) -> dict[str, Any]:
    estimate, rank = value.estimate, value.rank
    strange = {} if value.mark is None else {"mark": value.mark.word, "submission": value.submission}
    return {
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "n": estimate.n,
        "covers": estimate.covers,
        "standing": value.standing.value,
        "rank": None if rank is None else [rank.best, rank.worst],
        "tied_with_best": None if rank is None else rank.tied_with_best,
        "cells": [record.cell_id for record in value.records],
        **strange,
    }
