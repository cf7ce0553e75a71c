"""What became of cells, as a note for a pull request: what fails, is worse, better, new, each in a table of its own.

Markdown that a forge shows and that names nobody: records may be a stranger's, so that nothing in them is a link, a
mention or a tag. Its first line is a mark by which the note is found again, to be replaced. Must not judge.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from harness.errors import UserError
from harness.report.changes import BY_NOISE, HEADINGS, headline, name_of
from harness.report.escapes import markdown_text
from harness.report.words import count
from harness.results.comparison import CellChange
from harness.results.record import DONE, MEASURED

__all__ = ["MARK", "note_of"]

MARK = "<!-- spikeboard compare -->"
"""A comment of HTML, which is not shown."""
MOST_LETTERS = 60_000
"""A comment on GitHub takes 65,536."""
ROWS = (25, 10, 4, 1)
"""Of each table, the first number with which the note is short enough."""
LONGEST = 240
"""Of a text in a table: a reason may be the last words of a crash."""
_ACTS = re.compile(r"@|#(?=\d)|(?<=:)//|(?<=www)\.")
"""What a forge makes a mention, a reference or a link of by itself."""
_ADDRESS = re.compile(r"https?://[^\s()<>\"'\[\]\\`|]+")

_FIGURES = HEADINGS[1:]
_STATUS = ("cell", "before", "now", "why")
_Section = tuple[str, Callable[[CellChange], bool], tuple[str, ...]]


def _fails(item: CellChange) -> bool:
    return item.verdict == "regression" and item.after not in MEASURED


_SECTIONS: Sequence[_Section] = (
    ("Fails now", _fails, _STATUS),
    ("Worse", lambda item: item.verdict == "regression" and not _fails(item), _FIGURES),
    ("No longer measured", lambda item: item.verdict == "gone", _STATUS),
    ("Better", lambda item: item.verdict == "improvement", _FIGURES),
    ("Changed, for better or worse", lambda item: item.verdict == "changed", _FIGURES),
    ("New", lambda item: item.verdict == "new", _STATUS),
    ("Cannot be compared", lambda item: item.verdict in ("noisy", "incomparable"), _STATUS),
)
_REST: Mapping[str, str] = {"noise": "within the noise", "same": "the same", "failing": "failing as before"}


def note_of(items: Sequence[CellChange], threshold: float, page: str | None = None) -> str:
    """Return the note.

    Parameters
    ----------
    items : every cell, also those that did not change, the worst first.
    threshold : by which figures without measured noise were judged (0.05: 5 %).
    page : address of the published pages, to be linked; None: no link.

    Raises
    ------
    UserError
        If `page` is no address of the web.
    """
    if page is not None and not _ADDRESS.fullmatch(page):
        raise UserError(f"{page!r} is no address to link to", "--page https://...")
    for most in ROWS:
        text = _note(items, threshold, page, most)
        if len(text) <= MOST_LETTERS:
            break
    return text


def _note(items: Sequence[CellChange], threshold: float, page: str | None, most: int) -> str:
    machines = sorted({item.machine for item in items})
    parts = [MARK, f"**Benchmark: {_summary(items)}**"]
    on = ", ".join(map(_text, machines[:most])) + (f" and {len(machines) - most} more" if len(machines) > most else "")
    parts.append(f"Measured before and after on {on or 'no machine that both have'}.{_how_judged(items, threshold)}")
    for title, belongs, headings in _SECTIONS:
        if chosen := [item for item in items if belongs(item)]:
            parts += [f"### {title} ({len(chosen)})", _table(chosen[:most], headings)]
            if len(chosen) > most:
                parts.append(f"and {len(chosen) - most} more")
    if page is not None:
        parts.append(f"[The boards, and every figure over commits]({page})")
    return "\n\n".join(parts) + "\n"


def _summary(items: Sequence[CellChange]) -> str:
    """Say how many cells are in which section, and what is left."""
    named = [
        f"{len(chosen)} {title.partition(',')[0].lower()}"
        for title, belongs, _ in _SECTIONS
        if (chosen := [item for item in items if belongs(item)])
    ]
    rest: Counter[str] = Counter(item.verdict for item in items)
    named += [f"{rest[verdict]} {words}" for verdict, words in _REST.items() if rest[verdict]]
    return f"{count(len(items), 'cell')}: {', '.join(named)}" if named else "no cell was compared"


def _how_judged(items: Sequence[CellChange], threshold: float) -> str:
    """Say by what the figures were judged, so that a table needs no more than a mark."""
    figures = [metric for item in items for metric in item.metrics if metric.after is not None]
    allowed = sorted(metric.allowed for metric in figures if metric.allowed is not None)
    exact = sum(metric.card.exact for metric in figures)
    others = len(figures) - len(allowed) - exact
    said = []
    if allowed:
        span = " to ".join(dict.fromkeys(f"{one:.1%}" for one in (allowed[0], allowed[-1])))
        said.append(f"{len(allowed)} by measured noise ({BY_NOISE}), which allows {span}")
    if others:
        said.append(f"{others} by their intervals and a threshold of {100 * threshold:.3g}%")
    if exact:
        said.append(f"{exact} exactly")
    if others and not allowed:
        said.append("none by measured noise (`spikeboard calibrate`)")
    return f" Figures judged: {', '.join(said)}." if said else ""


def _table(items: Sequence[CellChange], headings: tuple[str, ...]) -> str:
    row = _status_row if headings == _STATUS else _figures_row
    lines = [headings, ["---"] * len(headings), *(map(_text, row(item)) for item in items)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _figures_row(item: CellChange) -> tuple[str, ...]:
    return headline(item)[1:]


def _status_row(item: CellChange) -> tuple[str, ...]:
    now = item.after or "no record"
    # What a new cell has to say is that it runs, or why not.
    why = item.reason or ("runs" if item.after in DONE | MEASURED else "")
    return name_of(item.cell), item.before or "no record", now, why


def _text(text: str) -> str:
    """Return a stranger's text as it reads: shortened, in one cell, and without effect."""
    short = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    return _ACTS.sub(lambda found: "<!-- -->" + found[0] if found[0] in ("//", ".") else found[0] + "<!-- -->",
                     markdown_text(short))  # fmt: skip
