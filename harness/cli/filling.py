"""``spikeboard fill``: Markdown files that quote records, filled in again: tables, pictures, values in sentences."""

from __future__ import annotations

import functools
import io
import re
import shlex
import tempfile
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.errors import UserError
from harness.terminal import say

if TYPE_CHECKING:
    from harness.report.quoting import QuotedRow, QuotedTable
    from harness.results.store import Contents

__all__ = ["register"]

_BLOCK = re.compile(r"<!-- spikeboard (?P<command>.+?) -->\n(?P<shown>.*?)<!-- end -->", re.DOTALL)
PICTURE = "figure"
"""The verb whose product is a file; what stands in its block shows that file."""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("fill")(fill)


def fill(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Markdown files.")],
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 1 if a file is out of date.")
    ] = False,
    store: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Records that sentences quote. \\[default: reports/data]")
    ] = None,
) -> None:
    """Compute again every table, picture and value that Markdown files quote, and write the files.

    A table stands between <!-- spikeboard table ... --> and <!-- end -->, a value in a sentence between
    <!--= table("neurons", task="fsdd")["lif"].error_fraction --> and <!--/-->.
    """
    from harness.paths import PUBLISHED, by_default, existing_store
    from harness.report.quoting import fill_values

    functions = _functions(existing_store(store or by_default(PUBLISHED)))
    stale = False
    for path in files:
        before = _read(path)
        try:
            blocks = _BLOCK.sub(functools.partial(_filled, check=check), before)
            after = fill_values(blocks, functions)
        except UserError as error:
            raise UserError(f"{path}: {error.args[0]}", error.hint) from error
        if after != before:
            stale = True
            say(f"{path}: {'out of date' if check else 'filled in'}")
            if not check:
                path.write_text(after, encoding="utf-8")
    raise typer.Exit(1 if check and stale else 0)


def _read(path: Path) -> str:
    from harness.results.files import open_regular

    try:
        with open_regular(path) as file:
            return file.read().decode()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UserError(f"{path} cannot be read: {why}", "name Markdown files: spikeboard fill README.md") from error


def _filled(block: re.Match[str], check: bool) -> str:
    """Return a block with what its command prints now, or, for a picture, after drawing it."""
    words = shlex.split(block["command"])
    if words[0] != PICTURE:
        return f"<!-- spikeboard {block['command']} -->\n{_said(words).strip()}\n<!-- end -->"
    drawn = Path(words[1])
    if not check:
        _said(words)
        return block[0]
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder) / drawn.name
        _said([PICTURE, str(again), *words[2:]])
        same = drawn.is_file() and drawn.read_bytes() == again.read_bytes()
    return block[0] if same else ""  # nothing is written: the page is out of date with its picture


def _said(words: list[str]) -> str:
    """Run a verb in this process and return what it printed."""
    from harness.cli import app

    try:
        with redirect_stdout(io.StringIO()) as printed:
            app(words, standalone_mode=False)
    except UserError as error:
        raise UserError(f"`spikeboard {shlex.join(words)}`: {error.args[0]}", error.hint) from error
    return printed.getvalue()


def _functions(store: Path) -> Mapping[str, Any]:
    """Return what sentences may call; records are read at the first call."""
    from harness.catalogue.boards import find_board
    from harness.catalogue.loading import load_registry
    from harness.report.quoting import QuotedTable, quoted_cell
    from harness.results.freshness import Today
    from harness.results.selection import preferred
    from harness.results.store import read_stores
    from harness.results.table import Table
    from harness.results.tables import build_tables

    @functools.cache
    def contents() -> Contents:
        return read_stores([store])

    @functools.cache
    def tables(board: str) -> list[Table]:
        return build_tables(contents().records, load_registry(), find_board(board))

    def table(board: str, **axes: str) -> QuotedTable:
        """Return the fullest table of a board on these axes."""
        for found in tables(board):
            known = {**dict(found.group.axes), "machine": found.group.machine}
            if all(known.get(axis) == value for axis, value in axes.items()):
                return QuotedTable(found)
        raise UserError(
            f"no table of the board {board!r} has {axes}", f"spikeboard table --board {board} --all shows them"
        )

    def cell(**axes: str) -> QuotedRow:
        """Return the cells on these axes, as one row."""
        return quoted_cell(preferred(contents().records, Today(load_registry())), axes)

    return {"table": table, "cell": cell}
