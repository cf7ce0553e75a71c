"""The rows of a ranked table: what tells them apart, what each is called, which were tried at all."""

from __future__ import annotations

from collections import Counter

from harness.results.table import Table, TableRow

__all__ = ["RowKey", "row_key", "row_labels", "tried"]

RowKey = tuple[str, str]
"""Name and network: what tells the rows of a table apart."""


def row_key(row: TableRow) -> RowKey:
    """Return what tells a row of its table apart."""
    return row.name, row.topology


def row_labels(table: Table) -> dict[RowKey, str]:
    """Return what each row is called: its name, with the network where a name stands twice."""
    times = Counter(row.name for row in table.rows)
    return {row_key(row): row.name if times[row.name] == 1 else f"{row.name} ({row.topology})" for row in table.rows}


def tried(table: Table) -> list[TableRow]:
    """Return the rows that were measured or failed: all but those that cannot be."""
    return [
        row
        for row in table.rows
        if row.values or row.unreached or any(record.status != "unsupported" for record in row.failures.values())
    ]
