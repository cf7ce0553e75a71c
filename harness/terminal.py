"""Everything that goes to a terminal goes through here: what strangers wrote is shown, and does nothing.

Names, reasons and output come from records and cards. Neither an escape sequence, nor a bidirectional override, nor
Rich's own markup in them has any effect. Knows nothing of what is said.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import rich.console
import typer
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from harness.text import printable

__all__ = ["Console", "be", "is_quiet", "is_verbose", "note", "say"]

_loudness = 0
"""Below 0: results and errors only; above 0: what helps to find out why, too."""


def be(loudness: int) -> None:
    """Be quiet (below 0), usual (0) or verbose (above 0) from now on."""
    global _loudness
    _loudness = loudness


def is_quiet() -> bool:
    """Whether only results and errors are wanted."""
    return _loudness < 0


def is_verbose() -> bool:
    """Whether what helps to find out why is wanted, too."""
    return _loudness > 0


def note(message: object, *, fg: str | None = None, dim: bool | None = None) -> None:
    """Say what is neither a result nor an error, unless to be quiet."""
    if not is_quiet():
        say(message, fg=fg, dim=dim)


def say(message: object, *, fg: str | None = None, dim: bool | None = None, err: bool = False, nl: bool = True) -> None:
    """Print `message`, in the colour `fg` where that goes to a terminal.

    Parameters
    ----------
    err : to the standard error output.
    nl : end the line.
    """
    typer.secho(printable(str(message)), fg=fg, dim=dim, err=err, nl=nl)


class Console(rich.console.Console):
    """Rich's console for text that is no markup; `options` are Rich's."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"highlight": False, "markup": False, "emoji": False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a plain text as Rich has it."""
        return super().render_str(printable(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield what is drawn; Rich's own control sequences are kept apart from text and pass."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))
