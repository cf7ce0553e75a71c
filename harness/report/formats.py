"""A table as Markdown, LaTeX, CSV or HTML, by pandas.

CSV carries raw SI values with bounds, n and rank, for further work; the other formats carry what a reader or a paper
wants. Must not rank or combine.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from harness.catalogue.boards import COMPARED, Column
from harness.errors import UserError
from harness.report.escapes import csv_field, latex_text, markdown_text, one_line
from harness.report.links import group_id
from harness.report.units import Scale, scale_for, with_interval
from harness.results.record import MEASURED
from harness.results.tables import Table, TableRow, Value
from reference_impls.names import unknown_message

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "FORMATS",
    "Style",
    "column_scale",
    "heading",
    "is_best",
    "mark_of",
    "rank_text",
    "ranks_in",
    "raw",
    "readable",
    "to_text",
]


class Style(NamedTuple):
    """How a format writes text."""

    escape: Callable[[str], str]
    best: Callable[[str], str]
    """Marks a figure that nothing beats in its column and that beats another; is given escaped text."""


PLAIN = Style(one_line, str)


def column_scale(table: Table, column: Column) -> Scale:
    """Return the one unit in which all figures of a column are shown."""
    values = [row.values[column.key] for row in table.rows if column.key in row.values]
    sizes = [abs(value.estimate.value) for value in values if math.isfinite(value.estimate.value)]
    return scale_for(values[0].card.unit, max(sizes, default=0.0))


def heading(table: Table, column: Column, scale: Scale, short: bool = False) -> str:
    """Return the title of a column, or its short form, with its unit."""
    card = next(row.values[column.key].card for row in table.rows if column.key in row.values)
    title = (short and card.short) or card.title
    return f"{title} [{scale.label}]" if scale.label else title


def ranks_in(table: Table, column: str) -> Counter[int]:
    """Count how many rows of a column hold each rank."""
    ranks = (row.values[column].rank for row in table.rows if column in row.values)
    return Counter(rank for rank in ranks if rank is not None)


def is_best(rank: int | None, ranks: Mapping[int, int]) -> bool:
    """Whether a figure is worth marking: nothing beats it, and it beats something."""
    return rank == 1 and ranks[1] < sum(ranks.values())


def rank_text(rank: int | None, ranks: Mapping[int, int]) -> str:
    """Return "2", or "2 =" where several rows share the rank; empty for a row that is not ranked."""
    if rank is None:
        return ""
    return f"{rank} =" if ranks[rank] > 1 else str(rank)


def mark_of(value: Value) -> str:
    """Return what stands behind a figure that may not be ranked: " (noisy)"; nothing behind one that may."""
    return "" if value.standing.ranked else f" ({value.standing.value})"


def readable(table: Table, style: Style = PLAIN) -> pd.DataFrame:
    """Return the table as a reader wants it: rank, row, figures with intervals in pretty units."""
    import pandas as pd

    several = len({row.topology for row in table.rows}) > 1
    ranks = ranks_in(table, table.board.rank_by)
    names = [f"{row.name} ({row.topology})" if several else row.name for row in table.rows]
    data: dict[str, list[str]] = {
        "#": [_rank(row, table, ranks) for row in table.rows],
        table.board.axis: [style.escape(name) for name in names],
        "contract": ["yes" if row.verified else "no" for row in table.rows],
        "vectors": ["yes" if row.vectors else "" for row in table.rows],
    }
    for column in table.columns:
        scale = column_scale(table, column)
        tally = ranks_in(table, column.key)
        title = heading(table, column, scale, short=True)
        data[title] = [_cell(row, column, scale, style, tally) for row in table.rows]
    frame = pd.DataFrame(data)
    frame.columns = [style.escape(name) for name in frame.columns]
    return frame


def raw(table: Table) -> pd.DataFrame:
    """Return the table with SI values, bounds, n, what the interval covers, rank and standing of every figure."""
    import pandas as pd

    lines = []
    for row in table.rows:
        line: dict[str, object] = {"board": table.board.name, **dict.fromkeys(COMPARED), **dict(table.group.axes)}
        line |= {"machine": table.group.machine, table.board.axis: row.name}
        line |= {"topology": row.topology, "verified": row.verified, "vectors": row.vectors}
        for column in table.columns:
            value = row.values.get(column.key)
            estimate = value.estimate if value else None
            for part in ("value", "low", "high", "n", "covers"):
                line[f"{column.key}.{part}"] = getattr(estimate, part, None)
            line[f"{column.key}.rank"] = value.rank if value else None
            line[f"{column.key}.standing"] = value.standing.value if value else None
        lines.append({key: csv_field(value) for key, value in line.items()})
    return pd.DataFrame(lines, dtype=object)


def markdown(table: Table) -> str:
    """Return a title and a Markdown table, the best figures bold."""
    frame = readable(table, Style(markdown_text, lambda text: f"**{text}**"))
    return f"**{markdown_text(_title(table))}**\n\n{frame.to_markdown(index=False, disable_numparse=True)}\n"


def latex(table: Table) -> str:
    """Return a ``booktabs`` table environment with caption and label, the best figures bold."""
    frame = readable(table, Style(latex_text, lambda text: f"\\textbf{{{text}}}"))
    return frame.to_latex(
        index=False,
        escape=False,
        caption=f"{latex_text(_title(table))}. Ranks tie (=) where 95\\,\\% intervals overlap; bold: none is better.",
        label=f"tab:{table.board.name}.{group_id(table.group)}",
        column_format="rlll" + "r" * len(table.columns),
        position="t",
    )


def csv(*tables: Table) -> str:
    """Return raw values of all tables as one CSV: one header, and every line as wide as it."""
    import pandas as pd

    frames = [raw(table) for table in tables]
    return pd.concat(frames).to_csv(index=False, lineterminator="\n") if frames else ""


def html(table: Table) -> str:
    """Return a plain HTML table, escaped."""
    return readable(table).to_html(index=False, border=0)


FORMATS: dict[str, Callable[[Table], str]] = {"md": markdown, "latex": latex, "csv": csv, "html": html}


def to_text(tables: Iterable[Table], name: str) -> str:
    """Return all `tables` in the format `name`; an unknown one is an error that suggests the nearest."""
    if name not in FORMATS:
        raise UserError(unknown_message("format", name, list(FORMATS)))
    if name == "csv":
        return csv(*tables)
    return "\n".join(FORMATS[name](table) for table in tables)


def _title(table: Table) -> str:
    return f"{table.board.title}: {table.group.label} ({table.group.machine})"


def _rank(row: TableRow, table: Table, ranks: Mapping[int, int]) -> str:
    value = row.values.get(table.board.rank_by)
    return rank_text(value.rank if value else None, ranks)


def _cell(row: TableRow, column: Column, scale: Scale, style: Style, ranks: Mapping[int, int]) -> str:
    value = row.values.get(column.key)
    if value is not None:
        text = style.escape(f"{with_interval(value.estimate, scale)}{mark_of(value)}")
        return style.best(text) if is_best(value.rank, ranks) else text
    failure = row.failures.get(column.key)
    return "" if failure is None or failure.status in MEASURED else failure.status
