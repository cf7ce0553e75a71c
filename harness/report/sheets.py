"""Small tables that are no board: a head, lines of text, a note; in every format that boards have.

For what is said over several tables (overall boards, claims). The text is for readers; CSV has the raw values. Must not
know what is in them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import UserError
from harness.report.escapes import csv_field, latex_text, markdown_text, one_line
from harness.report.json_tables import sheets_to_json
from reference_impls.names import unknown_message

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SHEET_FORMATS", "Sheet", "sheets_to_text"]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of text with the values behind it."""

    id: str
    title: str
    head: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    raw: tuple[Mapping[str, object], ...]
    """For CSV: a line each, which may be another number of lines than `lines` has."""
    notes: tuple[str, ...] = ()
    left: tuple[bool, ...] = ()
    """Which columns hold text, and stand to the left."""

    def frame(self, escape: Callable[[str], str] = one_line) -> pd.DataFrame:
        """Return it with every text as `escape` writes it."""
        import pandas as pd

        lines = [[escape(text) for text in line] for line in self.lines]
        return pd.DataFrame(lines, columns=[escape(title) for title in self.head], dtype=object)


def _markdown(sheet: Sheet) -> str:
    table = sheet.frame(markdown_text).to_markdown(index=False, disable_numparse=True)
    notes = "".join(f"\n{markdown_text(note)}\n" for note in sheet.notes)
    return f"**{markdown_text(sheet.title)}**\n\n{table}\n{notes}"


def _latex(sheet: Sheet) -> str:
    text: str = sheet.frame(latex_text).to_latex(
        index=False,
        escape=False,
        caption=" ".join([f"{latex_text(sheet.title)}.", *map(latex_text, sheet.notes)]),
        label=f"tab:{sheet.id}",
        column_format="".join("l" if to_left else "r" for to_left in sheet.left),
        position="t",
    )
    return text


def _html(sheet: Sheet) -> str:
    text: str = sheet.frame().to_html(index=False, border=0)
    return text


def _csv(sheets: Sequence[Sheet]) -> str:
    import pandas as pd

    lines = [{key: csv_field(value) for key, value in line.items()} for sheet in sheets for line in sheet.raw]
    return pd.DataFrame(lines, dtype=object).to_csv(index=False, lineterminator="\n") if lines else ""


_FORMATS: Mapping[str, Callable[[Sheet], str]] = {"md": _markdown, "latex": _latex, "html": _html}
SHEET_FORMATS = (*_FORMATS, "csv", "json")


def sheets_to_text(sheets: Sequence[Sheet], name: str) -> str:
    """Return all `sheets` in the format `name`; an unknown one is an error that suggests the nearest."""
    if name not in SHEET_FORMATS:
        raise UserError(unknown_message("format", name, list(SHEET_FORMATS)))
    if name == "json":
        return sheets_to_json(sheets)
    return _csv(sheets) if name == "csv" else "\n".join(_FORMATS[name](sheet) for sheet in sheets)
