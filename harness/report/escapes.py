"""Text that anybody may have written, as the syntax of a format has it: it stays text, in its line and its cell.

One function for each format. HTML is escaped by its templates.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from harness.text import printable

__all__ = ["csv_field", "latex_text", "markdown_text", "one_line"]

_LATEX: Mapping[str, str] = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': "''",
    "±": r"$\pm$",
    "≈": r"$\approx$",
    "×": r"$\times$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "·": r"$\cdot$",
    "−": "$-$",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "…": r"\dots{}",
    "µ": r"$\mu$",
    **{character: f"\\{character}" for character in "%#_&${}"},
}
_SMALL = "alpha beta gamma delta epsilon zeta eta theta iota kappa mu nu xi pi rho sigma tau upsilon phi chi psi omega"
_CAPITAL = "Gamma Delta Theta Xi Pi Sigma Upsilon Phi Psi Omega"
_GREEK = {
    **{f"GREEK SMALL LETTER {letter.upper()}": f"$\\{letter}$" for letter in _SMALL.split()},
    **{f"GREEK CAPITAL LETTER {letter.upper()}": f"$\\{letter}$" for letter in _CAPITAL.split()},
    "GREEK SMALL LETTER LAMDA": r"$\lambda$",
    "GREEK CAPITAL LETTER LAMDA": r"$\Lambda$",
}
"""By name in Unicode, those that TeX has; the others look like Latin letters."""
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
}
"""Combining accents, and TeX's commands for them."""
_MARKDOWN: Mapping[str, str] = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    "`": "&#96;",
    **{character: f"\\{character}" for character in "\\|*"},
}
_MARKDOWN_LINK = re.compile(r"\](?=[\[(:])")
"""Where brackets become a link or its definition; alone, as around a unit, they are brackets."""
_FORMULA = re.compile(r"[=+@\uff1d\uff0b\uff20]|[-\uff0d].")
"""What a spreadsheet takes for a formula, in full width too; a dash alone is our word for "not applicable"."""


def one_line(text: str) -> str:
    """Return `text` in one line, with what acts instead of showing written out."""
    return printable(text, lines=False)


def markdown_text(text: str) -> str:
    """Return `text` for a paragraph or a cell of Markdown: no tag, no link, no code, no further column."""
    escaped = "".join(_MARKDOWN.get(character, character) for character in one_line(text))
    return _MARKDOWN_LINK.sub("&#93;", escaped)


def latex_text(text: str) -> str:
    """Return `text` for LaTeX: no command, no mathematics of its own, no further column, no letter that TeX lacks."""
    return "".join(map(_latex_character, one_line(text))).replace("--", "-{}-")


def _latex_character(character: str) -> str:
    """Return a character as pdfTeX can set it: itself, a command, the letters it is made of, or its code point."""
    if character in _LATEX:
        return _LATEX[character]
    if character.isascii():
        return character
    name = unicodedata.name(character, "")
    if name in _GREEK:
        return _GREEK[name]
    base, *marks = list(unicodedata.normalize("NFD", character))
    accents = [_ACCENTS.get(mark) for mark in marks]
    if base.isascii() and marks and all(accents):
        letter = _LATEX.get(base, base)
        for accent in accents:
            letter = f"\\{accent}{{{letter}}}"
        return letter
    plain = unicodedata.normalize("NFKC", character)
    if plain.isascii():
        return "".join(_LATEX.get(one, one) for one in plain)
    return f"[U+{ord(character):04X}]"


def csv_field(value: object) -> object:
    """Return a field of a CSV: a text that a spreadsheet would compute is marked as text; anything else stays."""
    if not isinstance(value, str):
        return value
    line = one_line(value)
    return f"'{line}" if _FORMULA.match(line) else line
