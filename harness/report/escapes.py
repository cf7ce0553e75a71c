"""Text that anybody may have written, as the syntax of a format has it: it stays text, in its line and its cell.

One function for each format. HTML is escaped by its templates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from harness.text import printable

__all__ = ["csv_field", "latex_text", "markdown_text", "one_line"]

_LATEX: Mapping[str, str] = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "µ": r"\textmu{}",
    **{character: f"\\{character}" for character in "%#_&${}"},
}
_MARKDOWN: Mapping[str, str] = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    "`": "&#96;",
    **{character: f"\\{character}" for character in "\\|*"},
}
_MARKDOWN_LINK = re.compile(r"\](?=[\[(:])")
"""Where brackets become a link or its definition; alone, as around a unit, they are brackets."""
_FORMULA = re.compile(r"[=+@\-\uff1d\uff0b\uff0d\uff20].")
"""What a spreadsheet takes for a formula, in full width too; a dash alone is our word for "not applicable"."""


def one_line(text: str) -> str:
    """Return `text` in one line, with what acts instead of showing written out."""
    return printable(text, lines=False)


def markdown_text(text: str) -> str:
    """Return `text` for a paragraph or a cell of Markdown: no tag, no link, no code, no further column."""
    escaped = "".join(_MARKDOWN.get(character, character) for character in one_line(text))
    return _MARKDOWN_LINK.sub("&#93;", escaped)


def latex_text(text: str) -> str:
    """Return `text` for LaTeX: no command, no mathematics, no further column."""
    return "".join(_LATEX.get(character, character) for character in one_line(text))


def csv_field(value: object) -> object:
    """Return a field of a CSV: a text that a spreadsheet would compute is marked as text; anything else stays."""
    if not isinstance(value, str):
        return value
    line = one_line(value)
    return f"'{line}" if _FORMULA.match(line) else line
