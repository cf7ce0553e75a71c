"""An index of a store: derived, never committed, and answering without reading every record.

SQLite, because questions choose few rows of many, because a changed file replaces its own rows and no others, and
because it comes with Python; columnar files would have to be written anew. It lies in the user's cache, one file for
each store, and holds of a record its axes, metrics and provenance, and where the rest is. Every question first looks at
sizes and times of the store's files and reads those that changed. A small store, or one whose index cannot be kept, is
indexed in memory; an index that is broken or of another version is made anew. Must not know what is asked, or why.
"""

from __future__ import annotations

import functools
import gc
import hashlib
import itertools
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.results.lazy import KEPT, Place, kept, restored
from harness.results.queries import Wanted
from harness.results.reading import PACKED, FileState, Problem, files_below, scan
from harness.results.record import MEASURED, Machine, Record
from harness.results.store import Contents, Store, merged
from reference_impls.user_cache import cache_folders

__all__ = ["Index", "history_in", "select"]

KEPT_FROM_BYTES = 4 << 20
"""A store of fewer bytes is indexed in memory each time: that takes a tenth of a second."""
BUSY_SECONDS = 60.0
"""How long one process waits for another that brings the same index up to date."""
MEMORY = ":memory:"
READ_BY = (
    *("catalogue/cell.py", "text.py", "results/files.py", "results/index.py", "results/lazy.py", "results/reading.py"),
    *("results/record.py", "results/store.py", "results/validity.py"),
)
"""Modules that decide what an index holds: one that was made by others is of another version."""
AXES = tuple(Cell.__dataclass_fields__)
COLUMNS = (*AXES, *KEPT, "machine", "described", "packages", "inputs")
_TYPES = {
    **dict.fromkeys(("seed", "threads", "details", "described", "packages", "inputs"), "INTEGER"),
    "duration_seconds": "REAL",
}
_SCHEMA = f"""
CREATE TABLE files (id INTEGER PRIMARY KEY, name BLOB UNIQUE, size INTEGER, modified_ns INTEGER, inode INTEGER,
    packed INTEGER);
CREATE TABLE problems (file INTEGER, reason TEXT, skipped INTEGER);
CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT UNIQUE);
CREATE TABLE records (file INTEGER, start INTEGER, length INTEGER,
    {", ".join(f"{name} {_TYPES.get(name, 'TEXT')}" for name in COLUMNS)});
CREATE INDEX by_task ON records (suite, task, budget, method);
CREATE INDEX by_cell ON records (cell_id);
CREATE INDEX by_file ON records (file);
"""
_KEPT = 3 + len(AXES)
"""Where the columns of `KEPT` begin in what is selected."""
_INSERT = f"INSERT INTO records VALUES ({', '.join('?' * (3 + len(COLUMNS)))})"


def select(roots: Iterable[Path], wanted: Sequence[Wanted] | None = None) -> Contents:
    """Return the records of several stores that any of `wanted` describes (None: all), as `read_stores` would.

    Their series and details are read when they are asked for. Problems are those of all files.
    """
    return merged(Index(root).select(wanted) for root in roots)


def history_in(roots: Iterable[Path]) -> Callable[[str, str, str], Iterable[tuple[Cell, float]]]:
    """Return what tells how long the cells of a suite, a task and a budget took that several stores know."""
    indices = [Index(root) for root in dict.fromkeys(root.resolve() for root in roots)]
    return lambda suite, task, budget: itertools.chain(*(index.took(suite, task, budget) for index in indices))


class Index:
    """The index of the store at `root`, as the store is now."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files = files_below(root)
        self._places = iter(self._where())
        self._place = next(self._places)
        self._database: sqlite3.Connection | None = None

    def select(self, wanted: Sequence[Wanted] | None = None) -> Contents:
        """Return the records that any of `wanted` describes (None: all), in the order of the store's files."""
        conditions = [_condition(one) for one in wanted] if wanted is not None else [("1", [])]
        text = " OR ".join(f"({condition})" for condition, _ in conditions) or "0"
        rows = self._ask(
            f"SELECT name, start, length, {', '.join(COLUMNS)} FROM records JOIN files ON files.id = file"
            f" WHERE {text} ORDER BY packed DESC, name, start",
            [value for _, values in conditions for value in values],
        )
        machine = functools.cache(lambda of: Machine.model_validate_json(self._text(of)))
        mapping: Callable[[int | None], Any] = functools.cache(
            lambda of: None if of is None else json.loads(self._text(of))
        )
        path = functools.cache(lambda name: self._root / os.fsdecode(name))
        collecting = gc.isenabled()
        gc.disable()  # a hundred thousand records are no garbage
        records = tuple(
            restored(
                Cell(*row[3:_KEPT]),
                row[_KEPT:-4],
                machine(row[-3]),
                mapping(row[-2]),
                mapping(row[-1]),
                Place(path(row[0]), row[1], row[2]),
            )
            for row in rows
        )
        if collecting:
            gc.enable()
        believed, seconds = self._believed(rows, records)
        problems = self._ask(
            "SELECT name, reason, skipped FROM problems JOIN files ON files.id = file ORDER BY name, problems.rowid"
        )
        found = (Problem(path(name), reason, bool(skipped)) for name, reason, skipped in problems)
        return Contents(believed, (*found, *seconds))

    def _believed(
        self, rows: Sequence[tuple[Any, ...]], records: tuple[Record, ...]
    ) -> tuple[tuple[Record, ...], Sequence[Problem]]:
        """Return the records that count, as `Store.believed` says; nearly always every run has one."""
        runs = {(one.cell_id, one.provenance.machine.name, one.provenance.code_hash) for one in records}
        if len(runs) == len(records):
            return records, ()
        paths = (self._root / os.fsdecode(row[0]) for row in rows)
        believed, problems = Store(self._root).believed(zip(paths, records, strict=True))
        return tuple(believed), problems

    def took(self, suite: str, task: str, budget: str) -> Iterator[tuple[Cell, float]]:
        """Yield every cell of a suite, a task and a budget that ended well, with its duration in seconds."""
        rows = self._ask(
            f"SELECT {', '.join(AXES)}, duration_seconds FROM records WHERE suite = ? AND task = ? AND budget = ?"
            f" AND status IN ({', '.join('?' * len(MEASURED))})",
            (suite, task, budget, *sorted(MEASURED)),
        )
        return ((Cell(*row[:-1]), row[-1]) for row in rows)

    def _text(self, key: int) -> str:
        [(text,)] = self._ask("SELECT text FROM texts WHERE id = ?", (key,))
        return str(text)

    def _where(self) -> Iterator[str]:
        """Yield where the index may lie, best first; a kept one that proves broken is made anew once."""
        if sum(state.size for state in self._files.values()) >= KEPT_FROM_BYTES:
            name = f"{hashlib.sha256(str(self._root.resolve()).encode()).hexdigest()[:16]}.sqlite"
            for folder in cache_folders():
                with suppress(OSError):  # it cannot be written
                    (folder / "indices").mkdir(parents=True, exist_ok=True)
                    yield str(folder / "indices" / name)
                    yield str(folder / "indices" / name)
        yield MEMORY

    def _ask(self, question: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Answer from the index, brought up to date; from one in memory, if none that is kept can be used."""
        while True:
            try:
                if self._database is None:
                    self._database = sqlite3.connect(self._place, timeout=BUSY_SECONDS, isolation_level=None)
                    _bring_up_to_date(self._database, self._root, self._files)
                return self._database.execute(question, values).fetchall()
            except sqlite3.DatabaseError as error:
                if self._database is not None:
                    self._database.close()
                    self._database = None
                if self._place == MEMORY:
                    raise
                if "locked" not in str(error):  # it is broken, not busy
                    for suffix in ("", "-journal"):
                        with suppress(OSError):
                            Path(self._place + suffix).unlink(missing_ok=True)
                self._place = next(self._places)


def _condition(wanted: Wanted) -> tuple[str, list[str | int]]:
    """Return a condition of SQL with its values."""
    parts: list[str] = ["1"]
    values: list[str | int] = []
    for axis, allowed in wanted.axes.items():
        assert axis in AXES
        parts.append(f"{axis} IN ({', '.join('?' * len(allowed))})")
        values.extend(allowed)
    if wanted.machine is not None:
        parts.append("machine = ?")
        values.append(wanted.machine)
    if wanted.cell_id:
        parts.append("substr(cell_id, 1, ?) = ?")
        values.extend([len(wanted.cell_id), wanted.cell_id])
    return " AND ".join(parts), values


@functools.cache
def _version() -> int:
    """Return the version of an index, as SQLite keeps it: a number of 31 bits."""
    package = Path(__file__).parents[1]
    registry = load_registry()
    cards = repr([registry.suite(name).metrics for name in registry.suites])  # what figures are held against
    sources = b"".join((package / name).read_bytes() for name in READ_BY)
    digest = hashlib.sha256(sources + cards.encode("utf-8", "backslashreplace")).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def _bring_up_to_date(database: sqlite3.Connection, root: Path, files: Mapping[str, FileState]) -> None:
    """Read the files that are not as they were; another process may do so at the same time."""
    database.execute("PRAGMA synchronous = OFF")  # what a crash breaks is made anew
    database.execute("PRAGMA cache_size = -65536")
    if database.execute("PRAGMA user_version").fetchone() == (_version(),) and not any(_changes(database, files)):
        return
    database.execute("BEGIN IMMEDIATE")  # waits for the other, whose work is then seen
    if database.execute("PRAGMA user_version").fetchone() != (_version(),):
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            database.execute(f"DROP TABLE {table}")
        for statement in filter(str.strip, _SCHEMA.split(";")):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {_version()}")
    stale, unread = _changes(database, files)
    for table, column in (("files", "id"), ("records", "file"), ("problems", "file")):
        database.executemany(f"DELETE FROM {table} WHERE {column} = ?", [(key,) for key in stale])
    for name in unread:
        _add(database, root, name, files[name])
    database.execute("COMMIT")


def _changes(database: sqlite3.Connection, files: Mapping[str, FileState]) -> tuple[list[int], list[str]]:
    """Return the keys of files that are gone or changed, and the names of those to read."""
    rows = database.execute("SELECT id, name, size, modified_ns, inode FROM files")
    known = {os.fsdecode(name): (key, FileState(*state)) for key, name, *state in rows}
    stale = [key for name, (key, state) in known.items() if files.get(name) != state]
    unread = [name for name, state in files.items() if name not in known or known[name][1] != state]
    return stale, unread


def _add(database: sqlite3.Connection, root: Path, name: str, state: FileState) -> None:
    """Enter what a file holds."""
    entry = (os.fsencode(name), *state, name.endswith(PACKED))
    key = database.execute("INSERT INTO files VALUES (NULL, ?, ?, ?, ?, ?)", entry).lastrowid
    text = functools.cache(lambda content: _text_key(database, content))
    for start, length, found in scan(root / name):
        problem = found if isinstance(found, Problem) else Store(root).misplaced(root / name, found)
        if problem is not None:
            reason = problem.reason.encode("utf-8", "backslashreplace").decode()
            database.execute("INSERT INTO problems VALUES (?, ?, ?)", (key, reason, problem.skipped))
        if isinstance(found, Problem):
            continue
        cell, origin = found.cell, found.provenance
        axes = (getattr(cell, axis) for axis in AXES)
        inputs = None if origin.inputs is None else text(json.dumps(dict(origin.inputs)))
        shared = (text(origin.machine.model_dump_json()), text(json.dumps(dict(origin.packages))), inputs)
        database.execute(_INSERT, (key, start, length, *axes, *kept(found), origin.machine.name, *shared))


def _text_key(database: sqlite3.Connection, text: str) -> int:
    """Return the key of a text that many records share."""
    database.execute("INSERT OR IGNORE INTO texts VALUES (NULL, ?)", (text,))
    [(key,)] = database.execute("SELECT id FROM texts WHERE text = ?", (text,)).fetchall()
    return int(key)
