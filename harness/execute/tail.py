"""The last lines of what a process prints, in bounded memory however much it prints.

Knows nothing of processes: it is fed bytes.
"""

from __future__ import annotations

from collections import deque

__all__ = ["Tail"]

LINES = 40
WIDTH_BYTES = 400


class Tail:
    """Keeps the beginnings of the last lines of a stream."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque(maxlen=LINES)
        self._open = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        first, *others = data.split(b"\n")
        self._open = _extended(self._open, first)
        for part in others:
            self._lines.append(self._open)
            self._open = _extended(b"", part)

    def lines(self) -> tuple[str, ...]:
        """Return the last lines, an unfinished one included; a line that was cut ends in an ellipsis."""
        kept = [*self._lines, self._open] if self._open else self._lines
        return tuple(_text(line) for line in kept)[-LINES:]


def _extended(line: bytes, part: bytes) -> bytes:
    """Append to an open line: a carriage return starts it anew (progress bars), too much of it is dropped."""
    line += part
    body = line.rstrip(b"\r")
    line = body.rpartition(b"\r")[2] + line[len(body) :]
    return line[: WIDTH_BYTES + 1]


def _text(line: bytes) -> str:
    text = line[:WIDTH_BYTES].decode(errors="replace").rstrip()
    return text + "…" if len(line) > WIDTH_BYTES else text
