"""The files that can be downloaded: every record, every table in every format, every figure in one long CSV.

Writes below a folder that is about to become the site. Must not know what the pages show.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.catalogue.cell import Cell
from harness.report.cells import card_of
from harness.report.escapes import csv_field
from harness.report.formats import to_text
from harness.report.links import record_file, table_file
from harness.report.table_view import DOWNLOADS, SUFFIXES
from harness.results.ranking import Difference
from harness.results.record import Record
from harness.results.tables import Table, TableRow

__all__ = ["write_downloads"]

AXES = tuple(Cell.__dataclass_fields__)


def write_downloads(out: Path, records: Sequence[Record], newest: Iterable[Record], tables: Sequence[Table]) -> None:
    """Write all files below `out`.

    Parameters
    ----------
    records : all that were read; ``data/records.json`` and ``data/figures.csv`` have them.
    newest : those that count; each has a file of its own.
    """
    for record in newest:
        _write(out / record_file(record), record.model_dump_json(indent=1) + "\n")
    _write_list(out / "data/records.json", (record.model_dump_json() for record in records))
    with _opened(out / "data/figures.csv") as file:
        _figures(csv.writer(file, lineterminator="\n"), records)
    for table in tables:
        for name in DOWNLOADS:
            text = _json(table_as_data(table)) if name == "json" else to_text([table], name)
            _write(out / table_file(table.board.name, table.group, SUFFIXES.get(name, name)), text)
    _write_list(out / "data/tables.json", (_json(table_as_data(table)) for table in tables))


def table_as_data(table: Table) -> dict[str, Any]:
    """Return a table as plain data, for JSON."""
    return {
        "board": table.board.name,
        "title": table.board.title,
        "question": table.board.question,
        "axis": table.board.axis,
        "ranked_by": table.board.rank_by,
        "group": dict(table.group.axes),
        "machine": table.group.machine,
        "columns": [
            {
                "key": column.key,
                "title": card_of(table, column).title,
                "unit": card_of(table, column).unit,
                "direction": card_of(table, column).direction,
                "exact": card_of(table, column).exact,
            }
            for column in table.columns
        ],
        "rows": [_row_as_data(row) for row in table.rows],
    }


def _row_as_data(row: TableRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "title": row.title,
        "network": row.topology,
        "verified": row.verified,
        "vectors": row.vectors,
        "figures": {
            key: {
                "value": _finite(value.estimate.value),
                "low": _finite(value.estimate.low),
                "high": _finite(value.estimate.high),
                "n": value.estimate.n,
                "covers": value.estimate.covers,
                "standing": value.standing.value,
                "standing_reason": value.reason,
                "rank": asdict(value.rank) if value.rank else None,
                "to_leader": _difference(value.to_leader),
                "to_baseline": _difference(value.to_baseline),
                "cells": [record.cell_id for record in value.records],
                "measured": value.record.provenance.started_at,
            }
            for key, value in row.values.items()
        },
        "failures": {
            key: {
                "cell": record.cell_id,
                "status": record.status,
                "reason": record.reason,
                "command": record.provenance.command,
            }
            for key, record in row.failures.items()
        },
    }


def _difference(difference: Difference | None) -> dict[str, Any] | None:
    if difference is None:
        return None
    return {name: _finite(value) if isinstance(value, float) else value for name, value in asdict(difference).items()}


def _figures(writer: Any, records: Iterable[Record]) -> None:
    """Write one line for each figure; a run that gave none has one line with its status."""
    head = ("cell", *AXES, "machine", "status", "metric", "value", "unit", "low", "high", "n", "covers", "exact")
    writer.writerow([*head, "commit", "code_hash", "started_at"])
    for record in records:
        provenance, axes = record.provenance, record.axes()
        start = [record.cell_id, *(axes[axis] for axis in AXES), provenance.machine.name, record.status]
        end = [provenance.commit, provenance.code_hash, provenance.started_at]
        for name, m in record.metrics.items():
            figure = [name, m.value, m.unit, m.low, m.high, m.n, m.covers, m.exact]
            writer.writerow(map(csv_field, [*start, *figure, *end]))
        if not record.metrics:
            writer.writerow(map(csv_field, [*start, *[""] * 8, *end]))


def _finite(value: float | None) -> float | None:
    """Return `value` if JSON can hold it."""
    return value if value is not None and math.isfinite(value) else None


def _json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def _write_list(path: Path, items: Iterable[str]) -> None:
    """Write JSON texts as one list, without holding them all."""
    with _opened(path) as file:
        file.write("[\n")
        for number, item in enumerate(items):
            file.write((",\n" if number else "") + item.rstrip("\n"))
        file.write("\n]\n")


def _opened(path: Path) -> Any:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("w", encoding="utf-8", newline="")


def _write(path: Path, text: str) -> None:
    with _opened(path) as file:
        file.write(text)
