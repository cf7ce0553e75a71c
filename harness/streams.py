"""Standard streams that take whatever is printed: terminals of few letters, pipes that nobody reads, none at all.

A figure's unit must not end a command with a traceback because the terminal knows no Greek. Knows nothing of what is
printed.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
import unicodedata
from collections.abc import Iterator
from typing import TextIO

__all__ = ["Lasting", "prepared_streams"]

HANDLER = "spikeboard.instead"
INSTEAD = {
    "±": "+/-",
    "×": "x",
    "·": ".",
    "…": "...",
    "–": "-",
    "—": "-",
    "−": "-",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "→": "->",
    "←": "<-",
    "↑": "^",
    "↓": "v",
    "≤": "<=",
    "≥": ">=",
    "≈": "~",
    "µ": "u",
    "μ": "u",
    "✓": "yes",
    "✗": "no",
}
"""What stands for a character that cannot be written."""


class Lasting:
    """A stream that can be written to for ever: once nobody reads it any more, in vain.

    What is being measured must not end because a pipe has been closed or the disk behind it is full.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream or _nowhere()

    def write(self, text: str) -> int:
        """Write `text` if it can be."""
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what was held back if it can be."""
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


@contextlib.contextmanager
def prepared_streams() -> Iterator[None]:
    """Make standard output and error take every character, and let the command end quietly if nobody reads them."""
    _open_missing()
    sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()
    codecs.register_error(HANDLER, _instead)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=HANDLER)
    try:
        yield
    finally:
        # What is still held back is written here: the interpreter would complain, in its own words, after the end.
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")


def _open_missing() -> None:
    """Open what was closed before the start (``>&-``): the next file to be opened would take its place."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free: this one


def _instead(error: UnicodeError) -> tuple[str, int]:
    """Return what stands for characters that the stream's encoding does not have, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(INSTEAD.get(character) or _plain(character) or "?" for character in text), error.end


def _plain(character: str) -> str:
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
