"""The files that can be downloaded: every figure in columns, a CSV for each board, and the records behind the figures.

No file holds everything as text, and none is written for each record: a site of a hundred thousand records stays a few
hundred files. Writes below a folder that is about to become the site. Must not know what the pages show.
"""

from __future__ import annotations

import html
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from harness.catalogue.boards import BOARDS
from harness.catalogue.cell import Cell
from harness.report.formats import to_text
from harness.report.links import RECORDS_A_FILE, board_file, figures_files, record_anchor, record_page
from harness.report.sheets import Sheet, sheets_to_text
from harness.results.lazy import source_text
from harness.results.record import Record
from harness.results.table import Table
from harness.text import printable

__all__ = ["write_downloads", "write_sheets"]

AXES = tuple(Cell.__dataclass_fields__)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Records of cells {shard}… · Spikeboard</title>
<link rel="icon" href="../static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="../static/site.css">
<script src="../static/records.js" defer></script>
</head>
<body>
<main id="main">
<p><a href="../index.html">Spikeboard</a></p>
<h1>Records of cells {shard}…</h1>
<p class="lead">Everything that is known of a run, as JSON. <code>spikeboard show --json ID</code> prints the same.</p>
{articles}</main>
</body>
</html>
"""
_ARTICLE = """<article class="record" id="{anchor}">
<h2>{title} <a class="anchor" href="#{anchor}" aria-label="Link to this record">#</a></h2>
<pre tabindex="0">{text}</pre>
</article>
"""


def write_downloads(
    out: Path, latest: Sequence[Record], tables: Iterable[Table], strangers: Sequence[Record] = ()
) -> None:
    """Write all files below `out`.

    Parameters
    ----------
    latest : the record of every cell that counts.
    tables : all that the pages show.
    strangers : records of submissions that stand in them: they have their page, and are in no file of figures.
    """
    for number, file in enumerate(figures_files(len(latest))):
        _write_columns(out / file, _columns(latest[number * RECORDS_A_FILE : (number + 1) * RECORDS_A_FILE]))
    by_board: dict[str, list[Table]] = {board.name: [] for board in BOARDS}
    for table in tables:
        by_board[table.board.name].append(table)
    for name, several in by_board.items():
        _write(out / board_file(name), to_text(several, "csv"))
    _write_records(out, [*latest, *strangers])


def write_sheets(out: Path, sheets: Mapping[str, Sequence[Sheet]]) -> None:
    """Write what is said over several tables as CSV, a file for each name."""
    for name, several in sheets.items():
        _write(out / board_file(name), sheets_to_text(several, "csv"))


def _columns(records: Sequence[Record]) -> Mapping[str, np.ndarray]:
    """Return a column for each axis and each figure, a row for each record."""
    texts: dict[str, list[object]] = {axis: [getattr(record.cell, axis) for record in records] for axis in AXES}
    texts |= {
        "cell": [record.cell_id for record in records],
        "machine": [record.provenance.machine.name for record in records],
        "status": [record.status for record in records],
        "commit": [record.provenance.commit or "" for record in records],
        "code_hash": [record.provenance.code_hash[:10] for record in records],
        "started_at": [record.provenance.started_at for record in records],
        "duration_seconds": [record.provenance.duration_seconds for record in records],
    }
    figures: dict[str, np.ndarray] = defaultdict(lambda: np.full(len(records), np.nan))
    for row, record in enumerate(records):
        for name, metric in record.metrics.items():
            for part, value in ((".value", metric.value), (".low", metric.low), (".high", metric.high)):
                if value is not None:
                    figures[f"{record.cell.suite}.{name}{part}"][row] = value
    return {name: np.array(values) for name, values in texts.items()} | dict(sorted(figures.items()))


def _write_columns(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Write what `numpy.load` reads; most columns are nearly empty, so the quickest compression does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, column in columns.items():
            # The date makes no difference to anybody, and the same records make the same file.
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(member, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, column, allow_pickle=False)


def _write_records(out: Path, records: Iterable[Record]) -> None:
    """Write the pages that every figure links to; many records share one."""
    pages: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        pages[record_page(record)].append(record)
    for file, several in pages.items():
        several.sort(key=lambda record: (record.cell_id, record.provenance.machine.name))
        shard = Path(file).stem
        _write(out / file, _PAGE.format(shard=html.escape(shard), articles="".join(map(_article, several))))


def _article(record: Record) -> str:
    cell = record.cell
    title = f"{cell.suite} {cell.task} {cell.label} on {record.provenance.machine.name}"
    text = html.escape(printable(source_text(record).strip()), quote=False)
    return _ARTICLE.format(anchor=record_anchor(record), title=html.escape(printable(title)), text=text)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
