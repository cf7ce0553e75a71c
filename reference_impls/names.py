"""Names that people type: checking them and suggesting the nearest one.

Every misspelt neuron, option, preset or card key in the project ends here, so that all of them read
alike. Knows nothing of what the names stand for.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

__all__ = ["MOST_NAMED", "UnknownNameError", "check_name", "nearest", "unknown_message"]

MOST_NAMED = 10
"""Known names that an error lists: the nearest ones, where there are more."""


class UnknownNameError(ValueError):
    """A name that is not among the known ones; the message suggests the nearest."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name closest to `name`, or None when nothing is close."""
    return next(iter(_closest(name, known, 1, 0.55)), None)


def unknown_message(what: str, name: str, known: Collection[str]) -> str:
    """Compose "unknown <what> '<name>': did you mean '<nearest>'? Known: ..."; of many names, the nearest ten."""
    guess = nearest(name, known)
    hint = f"did you mean {guess!r}? " if guess else ""
    named = sorted(known if len(known) <= MOST_NAMED else _closest(name, known, MOST_NAMED, 0.0))
    more = f" and {len(known) - len(named)} more" if len(known) > len(named) else ""
    return f"unknown {what} {name!r}: {hint}Known: {', '.join(named) or 'none'}{more}."


def _closest(name: str, known: Iterable[str], count: int, cutoff: float) -> list[str]:
    """Return at most `count` known names that are alike by at least `cutoff` (0 to 1), the closest first."""
    by_folded = {candidate.lower().replace("_", "-"): candidate for candidate in known}
    found = difflib.get_close_matches(name.lower().replace("_", "-"), by_folded, n=count, cutoff=cutoff)
    return [by_folded[folded] for folded in found]


def check_name(what: str, name: str, known: Collection[str]) -> str:
    """Return `name` if it is known.

    Raises
    ------
    UnknownNameError
        If `name` is not in `known`; the message names the nearest known one.
    """
    if name not in known:
        raise UnknownNameError(unknown_message(what, name, known))
    return name
