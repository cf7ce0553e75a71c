"""Records as pandas frames and boards as tables that a notebook shows. Must not import torch, rank or measure."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.catalogue.loading import load_registry, match
from harness.errors import UserError
from harness.paths import readable_stores
from harness.report import formats
from harness.results.asked import tables_of
from harness.results.freshness import Today
from harness.results.index import select
from harness.results.queries import Wanted
from harness.results.record import Record
from harness.results.table import Table, worth_comparing
from harness.text import printable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Stores", "Tables", "frame_of", "load_records", "table"]

Stores = str | Path | Iterable[str | Path] | None
"""A folder of records, or several; None: the published ones and those of ``reports/runs``, as the command has it."""
AXES = tuple(field.name for field in fields(Cell))
COLUMNS = (
    *AXES,
    *("metric", "value", "low", "high", "covers", "n", "unit", "direction"),
    *("status", "reason", "current", "machine", "started_at", "commit", "cell_id"),
)


def load_records(
    stores: Stores = None,
    *,
    suite: str | Sequence[str] | None = None,
    task: str | Sequence[str] | None = None,
    neuron: str | Sequence[str] | None = None,
    method: str | Sequence[str] | None = None,
    budget: str | Sequence[str] | None = None,
    machine: str | None = None,
    current: bool = False,
) -> pd.DataFrame:
    """Return what was recorded as a tidy frame: a line for each figure of each record.

    Parameters
    ----------
    stores : folder or folders of records; None: the published ones (also outside of a clone) and one's own.
    suite, task, neuron, method, budget : names on these axes, or patterns of names that there are.
    machine : name of a machine; None: any.
    current : only what was measured with the code as it is now.

    Returns
    -------
    Columns: the cell's axes, ``metric``, ``value`` in SI units with the bounds of its 95 % interval, ``n``, ``unit``,
    ``direction``; ``status`` and ``reason`` of the record; whether it is ``current``; where it comes from. A record
    without a figure (a failure) has one line, without a metric.

    Raises
    ------
    UserError
        If a folder is not there, or a pattern fits nothing.
    """
    given = {"suite": suite, "task": task, "neuron": neuron, "method": method, "budget": budget}
    axes = {axis: _names(axis, value) for axis, value in given.items() if value is not None}
    contents = select(_roots(stores), [Wanted(axes, machine)])
    return frame_of(contents.records, current)


def frame_of(records: Iterable[Record], current: bool = False) -> pd.DataFrame:
    """Return `records` as `load_records` does."""
    import pandas as pd

    today = Today(load_registry())
    lines = [line for record in records for line in _lines(record, today.is_current(record), current)]
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _lines(record: Record, is_current: bool, only_current: bool) -> Iterator[dict[str, Any]]:
    if only_current and not is_current:
        return
    origin = record.provenance
    shared = record.axes() | {
        "status": record.status,
        "reason": record.reason,
        "current": is_current,
        "machine": origin.machine.name,
        "started_at": origin.started_at,
        "commit": origin.commit,
        "cell_id": record.cell_id,
    }
    for name, metric in record.metrics.items():
        yield shared | {
            "metric": name,
            **{part: getattr(metric, part) for part in ("value", "low", "high", "covers", "n", "unit", "direction")},
        }
    if not record.metrics:
        yield shared


def _roots(stores: Stores) -> list[Path]:
    if stores is None:
        return readable_stores(None)
    given = [stores] if isinstance(stores, str | Path) else list(stores)
    return readable_stores([Path(store) for store in given])


def _names(axis: str, value: str | Sequence[str]) -> list[str]:
    """Return the names that a name, a pattern or several of them mean; a plain name need not be known."""
    wanted = [value] if isinstance(value, str) else list(value)
    registry = load_registry()
    known = {
        "suite": registry.suites,
        "task": registry.tasks,
        "neuron": registry.cell_neurons,
        "method": registry.methods,
    }.get(axis, {})
    patterns = [one for one in wanted if any(mark in one for mark in "*?[") and one not in known]
    return [*(one for one in wanted if one not in patterns), *(match(axis, patterns, known) if patterns else ())]


@dataclass(frozen=True)
class Tables:
    """Ranked tables; a notebook shows them, `print` writes them as text."""

    tables: tuple[Table, ...]

    def __len__(self) -> int:
        return len(self.tables)

    def frames(self, raw: bool = False) -> list[pd.DataFrame]:
        """Return a frame for each table: as a reader sees it, or with SI values, bounds and ranks if `raw`."""
        return [formats.raw(one) if raw else formats.readable(one) for one in self.tables]

    def to(self, name: str) -> str:
        """Return all tables in a format of ``spikeboard table --format``: md, latex, csv or html."""
        return formats.to_text(self.tables, name)

    def __repr__(self) -> str:
        return "\n\n".join(
            f"{title}\n{frame.to_string(index=False)}"
            for title, frame in zip(map(_title, self.tables), self.frames(), strict=True)
        )

    def _repr_html_(self) -> str:
        """Return what a notebook shows: escaped, because names in records may be anybody's."""
        parts = (
            f"<p><b>{html.escape(title)}</b></p>\n{formats.to_text([one], 'html')}"
            for title, one in zip(map(_title, self.tables), self.tables, strict=True)
        )
        return "\n".join(parts)


def table(
    board: str = "neurons",
    *,
    task: str | None = None,
    neuron: str | None = None,
    method: str | None = None,
    budget: str | None = None,
    recipe: str | None = None,
    machine: str | None = None,
    stores: Stores = None,
    current: bool = False,
) -> Tables:
    """Return the ranked tables of a board, as ``spikeboard table`` prints them.

    Parameters
    ----------
    board : name of a board (``spikeboard list boards``).
    task, neuron, method, budget, recipe, machine : only tables whose rows share this; None: all.
    stores, current : as in `load_records`.

    Raises
    ------
    UserError
        If the board is not known, or there is no record for such a table.
    """
    axes = {"task": task, "neuron": neuron, "method": method, "budget": budget, "recipe": recipe}
    found = tables_of(_roots(stores), board, axes, machine, current).tables
    if not found:
        asked = ", ".join(f"{axis} {value!r}" for axis, value in axes.items() if value is not None)
        raise UserError(
            f"no records for a table of the board {board!r}{f' with {asked}' if asked else ''}",
            "measure something first: spikeboard.run_cells(...), or spikeboard run --preset smoke",
        )
    return Tables(tuple(worth_comparing(found)))


def _title(table: Table) -> str:
    shared = ", ".join(value for _, value in table.group.axes if value != NOT_APPLICABLE)
    return printable(f"{table.board.title}: {shared} ({table.group.machine})", lines=False)
