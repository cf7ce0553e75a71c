"""Names that people type: checking them and suggesting the nearest one.

Every misspelt neuron, option, preset or card key in the project ends here, so that all of them read
alike. Knows nothing of what the names stand for.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

__all__ = ["UnknownNameError", "check_name", "nearest", "unknown_message"]


class UnknownNameError(ValueError):
    """A name that is not among the known ones; the message suggests the nearest."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name closest to `name`, or None when nothing is close."""
    by_folded = {candidate.lower().replace("_", "-"): candidate for candidate in known}
    match = difflib.get_close_matches(name.lower().replace("_", "-"), by_folded, n=1, cutoff=0.55)
    return by_folded[match[0]] if match else None


def unknown_message(what: str, name: str, known: Collection[str]) -> str:
    """Compose "unknown <what> '<name>': did you mean '<nearest>'? Known: ..."."""
    guess = nearest(name, known)
    hint = f"did you mean {guess!r}? " if guess else ""
    listing = ", ".join(sorted(known)) or "none"
    return f"unknown {what} {name!r}: {hint}Known: {listing}."


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
