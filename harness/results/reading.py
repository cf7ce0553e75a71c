"""The files of a store: one record in a file, or many in a packed one; opened and judged in one place.

A run writes a file for each record (``*.json``), which is how it resumes. What is published is packed: JSON Lines
(``*.jsonl``), one record a line, so that a repository holds few files and a new record is a new line. Reading never
trusts: whatever is not a record, or cannot be true, is a `Problem` with its reason. Must not know where in a store a
file belongs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from harness.catalogue.cards import Registry
from harness.catalogue.loading import load_registry
from harness.results.files import open_regular, read_regular
from harness.results.record import SCHEMA_VERSION, Record
from harness.results.validity import problem_of
from harness.text import printable

__all__ = ["PACKED", "SINGLE", "Entry", "FileState", "Problem", "files_below", "read_at", "read_record", "scan"]

SINGLE = ".json"
PACKED = ".jsonl"
LARGEST_RECORD_BYTES = 16 << 20
"""A thousand times the size of a large record."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A file in a store, or a line of one, that is not a record, or not one to be believed."""

    path: Path
    reason: str
    skipped: bool = True
    """Whether it does not count; else what is wrong is only its place."""

    def __str__(self) -> str:
        return printable(f"{self.path}: {self.reason}", lines=False)


class Entry(NamedTuple):
    """What stands at one place of a file."""

    offset: int
    length: int
    """In bytes."""
    found: Record | Problem


class FileState(NamedTuple):
    """What tells that a file is still the one that was read."""

    size: int
    modified_ns: int
    inode: int


def files_below(root: Path) -> dict[str, FileState]:
    """Map every file of records below `root`, relative to it, to its state; packed ones first, in order of their names.

    So of two records of the same run the one that stands alone, which was written later, comes last.
    """
    found: dict[str, FileState] = {}
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            entries = list(os.scandir(root / folder))
        except OSError:
            continue
        for entry in entries:
            name = f"{folder}{entry.name}"
            if name.endswith((SINGLE, PACKED)):
                found[name] = _state(entry)
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(f"{name}/")
    return dict(sorted(found.items(), key=lambda item: (not item[0].endswith(PACKED), item[0])))


def _state(entry: os.DirEntry[str]) -> FileState:
    try:
        state = entry.stat()
    except OSError:  # a link to nothing
        state = entry.stat(follow_symlinks=False)
    return FileState(state.st_size, state.st_mtime_ns, state.st_ino)


def scan(path: Path, registry: Registry | None = None) -> Iterator[Entry]:
    """Yield what a file of records holds; a file or line that is not a record, or an impossible one, is a problem.

    `rows` are the cards that figures are held against. [default: every card there is]
    """
    known = registry or load_registry()
    try:
        if path.suffix == PACKED:
            yield from _lines(path, known)
        else:
            content = read_regular(path, LARGEST_RECORD_BYTES)
            yield Entry(0, len(content), _judged(content, path, known))
    except OSError as error:
        yield Entry(0, 0, Problem(path, f"cannot be read: {error.strerror}"))


def read_record(path: Path, registry: Registry | None = None) -> Record | Problem:
    """Read a file of one record: the record, or what is wrong with it."""
    return next(scan(path, registry)).found


def read_at(path: Path, offset: int, length: int) -> Record | Problem:
    """Read the record that `scan` found at a place of a file."""
    try:
        with open_regular(path) as file:
            file.seek(offset)
            return _judged(file.read(length), path, load_registry())
    except OSError as error:
        return Problem(path, f"cannot be read: {error.strerror}")


def _lines(path: Path, registry: Registry) -> Iterator[Entry]:
    offset = number = 0
    with open_regular(path) as file:
        while line := file.readline(LARGEST_RECORD_BYTES + 1):
            number += 1
            if len(line) > LARGEST_RECORD_BYTES:
                yield Entry(offset, len(line), Problem(path, f"line {number} is longer than any record"))
                return
            if line.strip():
                yield Entry(offset, len(line), _judged(line, path, registry, f"line {number} "))
            offset += len(line)


def _judged(content: bytes, path: Path, registry: Registry, where: str = "") -> Record | Problem:
    """Return the record that `content` is, or what is wrong with it."""
    try:
        # Strict: a figure that is text, or a status that is a number, was written by nobody.
        record = Record.model_validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        return Problem(path, f"{where}is not a record: {field + ': ' if field else ''}{first['msg']}")
    if record.schema_version != SCHEMA_VERSION:
        reason = f"has schema version {record.schema_version}; this Spikeboard reads {SCHEMA_VERSION}"
        return Problem(path, f"{where}{reason}")
    if record.cell.id != record.cell_id:
        reason = f"is of cell {record.cell.id}, but says {record.cell_id}: it was edited or is foreign"
        return Problem(path, f"{where}{reason}")
    impossible = problem_of(record, registry)
    return record if impossible is None else Problem(path, f"{where}is impossible: {impossible}")
