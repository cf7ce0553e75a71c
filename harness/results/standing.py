"""Whether a figure may stand in a ranking: current, of older inputs, or measured too noisily.

A record knows the inputs that decide its figure and what became of its timing; this names what follows for a table.
Only `Standing.CURRENT` is ranked, marked as best or drawn on a frontier; the others are shown with their mark.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["Standing"]


class Standing(Enum):
    """What a figure in a table is worth; the value is the word that pages and tables show."""

    CURRENT = "current"
    OLDER = "older"
    """An input that decides the figure has changed since."""
    NOISY = "noisy"
    """A timing that missed the interval it was asked for, or was taken on a busy machine."""
    REPORTED = "reported"
    """A stranger's, as it came."""
    CHECKED = "checked"
    """A stranger's, in which everything that can be told without running it holds; nobody has measured it again."""

    @property
    def ranked(self) -> bool:
        """Whether the figure takes part in a ranking."""
        return self is Standing.CURRENT
