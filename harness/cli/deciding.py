"""What is decided over several tables, printed: the overall boards and the claims."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.terminal import say

if TYPE_CHECKING:
    from harness.report.sheets import Sheet
    from harness.results.table import Table

__all__ = ["CLAIMS", "OVERALL", "print_claims", "print_overall"]

OVERALL = ("overall-neurons", "overall-methods")
CLAIMS = "claims"
"""Names that ``spikeboard table --board`` takes beside those of the boards."""


def print_overall(board: str, tables: Sequence[Table], output_format: str | None) -> None:
    """Print the overall board `board` over `tables`."""
    from harness.errors import UserError
    from harness.report.overall_sheet import overall_sheet
    from harness.results.overall.board import LEAST_SETTINGS, build_overall

    sheets = [overall_sheet(one) for one in build_overall(tables, board.removeprefix("overall-"))]
    if not sheets:
        raise UserError(
            f"{board} needs current errors of at least half of the rows on {LEAST_SETTINGS} tasks of one budget",
            "spikeboard status names what is stale; spikeboard run --preset standard measures it",
        )
    print_sheets(sheets, output_format)


def print_claims(store: list[Path] | None, output_format: str | None) -> None:
    """Print the claims of papers with their verdicts."""
    from harness.catalogue.loading import load_registry
    from harness.cli._options import tell_problems
    from harness.paths import readable_stores
    from harness.report.claims_view import claims_sheet
    from harness.results.claims import judge
    from harness.results.index import select

    contents = select(readable_stores(store))
    tell_problems(contents.problems)
    print_sheets([claims_sheet(judge(contents.records, load_registry()))], output_format)


def print_sheets(sheets: Sequence[Sheet], output_format: str | None) -> None:
    """Print sheets for the terminal, or in a format."""
    from harness.cli._tables import spread
    from harness.report.sheets import sheets_to_text

    if output_format is not None:
        say(sheets_to_text(sheets, output_format), nl=False)
        return
    for sheet in sheets:
        say("\n".join([sheet.title, *spread([sheet.head, *sheet.lines], sheet.left), *sheet.notes, ""]))
