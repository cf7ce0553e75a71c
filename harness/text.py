"""Text that anybody may have written, made safe: to print, and to name a file by; and our own text made anonymous.

Records and cards come from strangers. What goes to a terminal or a page passes `printable`, what becomes part of a
path passes `slug`, what is written into a record passes `redacted`. Knows nothing of records.
"""

from __future__ import annotations

import functools
import getpass
import hashlib
import os
import re
import socket
import unicodedata
from pathlib import Path, PurePath

__all__ = ["FILE_NAME", "inside", "printable", "redacted", "slug"]

FILE_NAME = re.compile(r"[a-z0-9+_-]([a-z0-9+._-]*[a-z0-9+_-])?")
"""What may stand in a path as it is: one component on every file system, the same whether case counts or not."""
LONGEST_SLUG = 120
_DIGEST = re.compile(r".*-[0-9a-f]{12}")
"""What a slug that was changed looks like: a text that looks so already is changed too, or it could pose as another."""
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
"""Names of devices on Windows."""

_HIDDEN_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Controls, formats (bidirectional overrides among them), lone surrogates, separators of lines and paragraphs."""
_JOINERS = {"\u200c", "\u200d"}
"""Formats that Persian, Indic scripts and emoji are written with; they move nothing."""

_SOURCES = Path(__file__).resolve().parents[1]
"""Folder of the packages: a clone, or where they are installed. Tracebacks name it in every line."""
_SHORTEST_NAME = 3
_NAMES_OF_NOBODY = {"root", "user", "nobody", "localhost", "host", "runner", "ubuntu", "docker"}
"""Names of users and machines that tell nobody who it was."""
_HOMES = re.compile(r"(?:/home|/Users|[A-Z]:\\Users)[/\\][^/\\\s:'\"]+")


def printable(text: str, *, lines: bool = True) -> str:
    r"""Return `text` with every character that would act instead of showing written as ``\uXXXX``.

    That is escape sequences (colours, clipboard, window title), bidirectional overrides, and halves of surrogate
    pairs, which no encoding can write. The form is that of JSON, so that JSON stays JSON of the same meaning.

    Parameters
    ----------
    lines : keep line feeds and tabs; else they are written out as well.
    """
    shown = text.replace("\n", "").replace("\t", "") if lines else text
    if shown.isascii() and shown.isprintable():
        return text
    kept = "\n\t" if lines else ""
    return "".join(one if one in kept or not _acts(one) else _escaped(one) for one in text)


@functools.cache
def _acts(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN_CATEGORIES and character not in _JOINERS


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def slug(text: str, plain: re.Pattern[str] = FILE_NAME) -> str:
    """Return `text` as one component of a path, or of an address: different texts stay different.

    What matches `plain` stays as it is; anything else keeps its Latin letters and digits and gets a digest.
    """
    if plain.fullmatch(text) and len(text) <= LONGEST_SLUG and not _DIGEST.fullmatch(text):
        return f"{text}-{_digest(text)}" if _RESERVED.fullmatch(text) else text
    ascii_only = unicodedata.normalize("NFKD", text[:LONGEST_SLUG]).encode("ascii", "ignore").decode()
    made = re.sub(r"[^a-z0-9]+", "-", ascii_only.lower()).strip("-")[:80]
    return f"{made or 'x'}-{_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def inside(root: Path, *parts: str) -> Path:
    """Return the path of `parts` below `root`.

    Raises
    ------
    ValueError
        If it would lie elsewhere: a part was no slug.
    """
    path = root.joinpath(*parts)
    # As text: a part that is absolute or climbs is refused whether or not it exists.
    normal = PurePath(os.path.normpath(path))
    if any("\0" in part for part in parts) or not normal.is_relative_to(os.path.normpath(root)):
        raise ValueError(f"{printable(str(path), lines=False)} does not lie in {root}")
    return path


def redacted(text: str) -> str:
    """Return `text` without what tells who ran it where.

    ``.`` stands for the folder of the packages, ``~`` for homes, ``user`` and ``host`` for their names.
    """
    for pattern, instead in _private():
        text = pattern.sub(instead, text)
    return text


@functools.lru_cache(maxsize=1)
def _private() -> tuple[tuple[re.Pattern[str], str], ...]:
    homes = {os.path.expanduser("~"), os.path.realpath(os.path.expanduser("~"))}
    folders = [(str(_SOURCES), "."), *((home, "~") for home in sorted(homes, key=len, reverse=True))]
    found: list[tuple[re.Pattern[str], str]] = [
        (re.compile(re.escape(folder) + r"(?![\w.-])"), instead)
        for folder, instead in folders
        if len(folder) > 1 and os.path.isabs(folder)
    ]
    found.append((_HOMES, "~"))
    for name, instead in ((_user(), "user"), (socket.gethostname(), "host")):
        if len(name) >= _SHORTEST_NAME and name.lower() not in _NAMES_OF_NOBODY:
            found.append((re.compile(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])"), instead))
    return tuple(found)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a number without a name, as containers have it
        return ""
