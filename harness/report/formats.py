"""A table as Markdown, LaTeX, CSV or HTML, by pandas.

CSV carries raw SI values with bounds, n, rank and differences, for further work; the other formats carry what a reader
or a paper wants. Must not rank or combine.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, NamedTuple

from harness.catalogue.boards.model import COMPARED, Column
from harness.errors import UserError
from harness.report.escapes import csv_field, latex_text, markdown_text, one_line
from harness.report.json_tables import tables_to_json
from harness.report.links import group_id
from harness.report.ranks import (
    Marks,
    difference_of,
    difference_scale,
    difference_text,
    marks_of,
    rank_text,
    references,
)
from harness.report.trimming import FIXED, Trimmed, whole
from harness.report.units import Scale, scale_for, with_interval
from harness.report.words import where
from harness.results.record import MEASURED
from harness.results.table import Table, TableRow, Value
from reference_impls.names import unknown_message

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FORMATS", "Style", "column_scale", "heading", "mark_of", "raw", "readable", "to_text"]


class Style(NamedTuple):
    """How a format writes text."""

    escape: Callable[[str], str]
    best: Callable[[str], str]
    """Marks a figure that is tied with the best of its column, where another is not; is given escaped text."""


PLAIN = Style(one_line, str)
PLAIN_SCALE = Scale(1.0, "")
LATEX_NEEDS = "% needs \\usepackage{booktabs}, and \\usepackage{longtable} for tables of several pages\n"
MOST_ROWS_OF_A_PAGE = 40
"""A longer table does not fit a page, and is set as one that goes on."""
DIFFERENCE = ("value", "low", "high", "relative", "no_worse")
"""Fields of a difference, in CSV."""


def column_scale(table: Table, column: Column) -> Scale:
    """Return the one unit in which all figures of a column are shown."""
    values = [row.values[column.key] for row in table.rows if column.key in row.values]
    sizes = [abs(value.estimate.value) for value in values if math.isfinite(value.estimate.value)]
    return scale_for(table.cards[column.key].unit, max(sizes, default=1.0))


def heading(table: Table, column: Column, scale: Scale, short: bool = False) -> str:
    """Return the title of a column, or its short form, with its unit."""
    card = table.cards[column.key]
    title = (short and card.short) or card.title
    return f"{title} [{scale.label}]" if scale.label else title


def mark_of(value: Value) -> str:
    """Return what stands behind a figure: " (noisy)" or " (checked)"; nothing behind one's own that may be ranked."""
    return f" ({', '.join(value.said)})" if value.said else ""


def readable(table: Table, style: Style = PLAIN, fixed: Collection[str] = FIXED) -> pd.DataFrame:
    """Return the table as a reader wants it: rank, row, figures with intervals in pretty units.

    `fixed` names the columns beside the figures; ``differences`` follow the ranking column, and say how far its figures
    are from the best and the baseline.
    """
    import pandas as pd

    several = len({row.topology for row in table.rows}) > 1
    names = [f"{row.name} ({row.topology})" if several else row.name for row in table.rows]
    data: dict[str, list[str]] = {}
    if "rank" in fixed:
        data["#"] = [rank_text(row.values.get(table.board.rank_by)) for row in table.rows]
    data[table.board.axis] = [style.escape(name) for name in names]
    if "contract" in fixed:
        data["contract"] = ["yes" if row.verified else "no" for row in table.rows]
    if "vectors" in fixed:
        data["vectors"] = ["yes" if row.vectors else "" for row in table.rows]
    for column in table.columns:
        scale, marks = column_scale(table, column), marks_of(table, column)
        title = heading(table, column, scale, short=True)
        data[title] = [_cell(row, column, scale, style, marks) for row in table.rows]
        if "differences" in fixed and column.key == table.board.rank_by:
            data |= {head: list(map(style.escape, cells)) for head, cells in _differences(table, column, scale).items()}
    frame = pd.DataFrame(data)
    frame.columns = [style.escape(name) for name in frame.columns]
    return frame


def _differences(table: Table, column: Column, scale: Scale) -> dict[str, list[str]]:
    """Return the columns of differences, by heading."""
    columns: dict[str, list[str]] = {}
    card = table.cards[column.key]
    for reference in references(table):
        found = [difference_of(reference, row, column.key) for row in table.rows]
        unit = difference_scale(next(one for one in found if one is not None), card, scale)
        columns[f"{reference.title} [{unit.label}]" if unit.label else reference.title] = [
            difference_text(one, unit) for one in found
        ]
    return columns


def raw(table: Table) -> pd.DataFrame:
    """Return the table with SI values, bounds, n, what intervals cover, ranks, differences and standings."""
    import pandas as pd

    lines = []
    for row in table.rows:
        line: dict[str, object] = {"board": table.board.name, **dict.fromkeys(COMPARED), **dict(table.group.axes)}
        line |= {"machine": table.group.machine, "topology": row.topology, table.board.axis: row.name}
        line |= {"verified": row.verified, "vectors": row.vectors}
        if table.board.axis == "neuron":
            line["changes"] = row.changes
        for column in table.columns:
            value, unreached = row.values.get(column.key), row.unreached.get(column.key)
            rank = value.rank if value else unreached and unreached.rank
            parts: tuple[tuple[str, object, tuple[str, ...]], ...] = (
                ("", value and value.estimate, ("value", "low", "high", "n", "covers")),
                ("rank_", rank, ("best", "worst")),
                ("", rank, ("tied_with_best",)),
                ("to_leader_", value and value.to_leader, DIFFERENCE),
                ("to_baseline_", value and value.to_baseline, DIFFERENCE),
            )
            for start, part, names in parts:
                line |= {f"{column.key}.{start}{name}": getattr(part, name, None) for name in names}
            line[f"{column.key}.standing"] = value.standing.value if value else unreached and unreached.text
            if value is not None and value.mark is not None:
                line |= {f"{column.key}.mark": value.mark.word, f"{column.key}.submission": value.submission}
        lines.append({key: csv_field(value) for key, value in line.items()})
    return pd.DataFrame(lines, dtype=object)


def markdown(part: Trimmed) -> str:
    """Return a title and a Markdown table, the best figures bold."""
    frame = readable(part.table, Style(markdown_text, lambda text: f"**{text}**"), _fixed(part))
    return f"**{markdown_text(_title(part))}**\n\n{frame.to_markdown(index=False, disable_numparse=True)}\n"


def latex(part: Trimmed) -> str:
    """Return a ``booktabs`` table with caption and label, the best figures bold; one over several pages if it is long.

    The label is unique among tables and their parts. The caption says units, and of how many runs figures are.
    """
    table = part.table
    fixed = [name for name in _fixed(part) if part.fixed is not None or name != "differences"]
    frame = readable(table, Style(latex_text, lambda text: f"\\textbf{{{text}}}"), fixed)
    # After the end of a line, LaTeX takes a bracket for an option of it, and a star for a variant.
    first = frame.columns[0]
    frame[first] = [f"{{}}{text}" if text.startswith(("[", "*")) else text for text in frame[first]]
    left = {latex_text(name) for name in (table.board.axis, "contract", "vectors")}
    pages = len(frame) > MOST_ROWS_OF_A_PAGE
    label = f"tab:{table.board.name}.{group_id(table.group)}"
    return frame.to_latex(
        index=False,
        escape=False,
        caption=_caption(part, fixed),
        label=f"{label}.{part.digest}" if part.digest else label,
        column_format="".join("l" if name in left else "r" for name in frame.columns),
        longtable=pages,
        position=None if pages else "t",
    )


def _caption(part: Trimmed, fixed: Collection[str]) -> str:
    """Say what a LaTeX table shows, what its marks mean, and for each figure its unit and what n it rests on."""
    table = part.table
    bold = any(marks_of(table, column).separates for column in table.columns)
    intervals = any(
        "±" in with_interval(value.estimate, PLAIN_SCALE) for row in table.rows for value in row.values.values()
    )
    said = [
        latex_text(_title(part)),
        r"A rank spans the places a row may hold, by paired comparisons at a family-wise 95\,\%" * ("rank" in fixed),
        "Bold: not significantly worse than the best" * bold,
        r"$\pm$: 95\,\% interval" * intervals,
        latex_text(_basis(table)),
    ]
    return ". ".join(filter(None, said)) + "."


def _basis(table: Table) -> str:
    """Return each heading with its unit, and the n that its figures rest on: "test error [%]: n = 3 seeds"."""
    headings: dict[str, list[str]] = defaultdict(list)
    for column in table.columns:
        estimates = [row.values[column.key].estimate for row in table.rows if column.key in row.values]
        counts = sorted({estimate.n for estimate in estimates})
        if counts:
            n = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
            covered = ", ".join(sorted({estimate.covers for estimate in estimates if estimate.covers})) or "run"
            headings[f"n = {n} {covered}"].append(heading(table, column, column_scale(table, column), short=True))
    return "; ".join(f"{', '.join(names)}: {n}" for n, names in headings.items())


def csv(*tables: Table) -> str:
    """Return raw values of all tables as one CSV: one header, and every line as wide as it."""
    import pandas as pd

    frames = [raw(table) for table in tables]
    return pd.concat(frames).to_csv(index=False, lineterminator="\n") if frames else ""


def html(part: Trimmed) -> str:
    """Return a plain HTML table, escaped."""
    return readable(part.table, fixed=_fixed(part)).to_html(index=False, border=0)


_OF_ONE: dict[str, Callable[[Trimmed], str]] = {"md": markdown, "latex": latex, "html": html}
FORMATS = (*_OF_ONE, "csv", "json")


def to_text(tables: Iterable[Table | Trimmed], name: str) -> str:
    """Return all `tables`, or parts of them, in a format; an unknown `name` is an error that suggests the nearest."""
    if name not in FORMATS:
        raise UserError(unknown_message("format", name, FORMATS))
    parts = [whole(one) if isinstance(one, Table) else one for one in tables]
    if name == "csv":
        return csv(*(part.table for part in parts))
    if name == "json":
        return tables_to_json(part.table for part in parts)
    return (LATEX_NEEDS if name == "latex" and parts else "") + "\n".join(_OF_ONE[name](part) for part in parts)


def _fixed(part: Trimmed) -> Collection[str]:
    """Return the columns beside the figures."""
    return FIXED if part.fixed is None else part.fixed


def _title(part: Trimmed) -> str:
    table, shown = part.table, len(part.table.rows)
    some = f", {shown} of {part.of_rows} rows" if shown < part.of_rows else ""
    return f"{table.board.title}: {table.group.label} ({where(table, table.group.machine)}){some}"


def _cell(row: TableRow, column: Column, scale: Scale, style: Style, marks: Marks) -> str:
    value = row.values.get(column.key)
    if value is not None:
        text = style.escape(f"{with_interval(value.estimate, scale)}{mark_of(value)}")
        return style.best(text) if marks.best(value) else text
    if column.key in row.unreached:
        return style.escape(row.unreached[column.key].text)
    failure = row.failures.get(column.key)
    return "" if failure is None or failure.status in MEASURED else failure.status
