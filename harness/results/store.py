"""Where records live: one small JSON file each, in a folder whose layout is a pure function of what was measured.

"Already done" is "the file exists", so runs can be interrupted, repeated and merged by copying files. Reading never
trusts: a file that is broken, foreign, impossible, a second of its kind or in another's place is reported.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from harness.catalogue.cards import Rows, load_rows
from harness.catalogue.cell import Cell
from harness.errors import UserError
from harness.results.files import read_regular
from harness.results.record import SCHEMA_VERSION, Record
from harness.results.validity import problem_of
from harness.text import inside, printable, slug
from harness.writing import require_writable, write_whole

__all__ = ["Contents", "Problem", "Store", "read_record", "read_stores"]

FAILED, NOISY = ".failed", ".noisy"
"""Marks in the names of records that do not count as done: without figures, and with some that were timed too noisily.
"""
LARGEST_RECORD_BYTES = 16 << 20
"""A thousand times the size of a large record."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A file in a store that is not a record, or not one to be believed."""

    path: Path
    reason: str
    skipped: bool = True
    """Whether the file does not count; else what is wrong is only its place."""

    def __str__(self) -> str:
        return printable(f"{self.path}: {self.reason}", lines=False)


@dataclass(frozen=True, slots=True)
class Contents:
    """What was read from one or more stores."""

    records: tuple[Record, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of records."""

    root: Path

    def path(self, cell: Cell, machine: str, code_hash: str, done: bool = True, unfinished: str = FAILED) -> Path:
        """Return where the record of `cell` lies, measured on `machine` with the code of `code_hash`.

        `unfinished` is the mark of one that is not `done`: a failure leaves noisy figures in their place, and neither
        replaces a record that is done.
        """
        name = f"{slug(cell.label)}.{cell.id}.{slug(code_hash[:10])}{'' if done else unfinished}.json"
        return inside(self.root, slug(machine), slug(cell.suite), slug(cell.task), name)

    def has(self, cell: Cell, machine: str, code_hash: str) -> bool:
        """Whether the cell is done; a recorded failure is not."""
        return self.path(cell, machine, code_hash).exists()

    def require_writable(self, cells: Iterable[Cell], machine: str) -> None:
        """Make sure that the records of `cells` on `machine` can be written, before anything is measured for them.

        Raises
        ------
        UserError
            If they cannot: a store may be another's, or a part of it.
        """
        for folder in sorted({self.path(cell, machine, "").parent for cell in cells}):
            require_writable(folder, "the folder of records", "name one that can be: --store DIR")

    def write(self, record: Record) -> Path:
        """Write `record` atomically and return its path; what it makes superfluous of the same cell is removed.

        A record that is done replaces noisy ones and failures, a noisy one replaces failures.

        Raises
        ------
        UserError
            If the record is impossible and would replace another.
        """
        provenance = record.provenance
        key = (record.cell, provenance.machine.name, provenance.code_hash)
        noisy = record.status == "noisy"
        path = self.path(*key, done=record.is_done(), unfinished=NOISY if noisy else FAILED)
        impossible = problem_of(record, load_rows())
        if impossible is not None and path.exists():
            raise UserError(
                f"the record of cell {record.cell_id} was not written over {path}: {impossible}",
                "delete the file that it comes from, or measure the cell again",
            )
        write_whole(path, record.model_dump_json(indent=1, exclude_defaults=False) + "\n")
        if noisy or record.is_done():
            self.path(*key, done=False).unlink(missing_ok=True)
        if record.is_done():
            self.path(*key, done=False, unfinished=NOISY).unlink(missing_ok=True)
        return path

    def read(self, rows: Rows | None = None) -> Contents:
        """Read every record below the root; files that are none, or that another contradicts, are listed as problems.

        `rows` are the cards that figures are held against. [default: every card there is]
        """
        known = rows or load_rows()
        kept: dict[tuple[str, ...], tuple[bool, Path, Record]] = {}
        problems: list[Problem] = []
        for path in sorted(self.root.rglob("*.json")):
            record = read_record(path, known)
            if isinstance(record, Problem):
                problems.append(record)
                continue
            own = self._is_own_place(path, record)
            if not own:
                place = self._place(record).as_posix()
                problems.append(Problem(path, f"is in another's place; its own is {place}", skipped=False))
            key = (*_key(record), _mark(path.name))
            if key in kept:
                # The place decides, then the name: never which file was written or found last.
                loser = path if kept[key][0] or not own else kept[key][1]
                problems.append(Problem(loser, f"is a second record of cell {record.cell_id}, and does not count"))
                if loser is path:
                    continue
            kept[key] = (own, path, record)
        return Contents(tuple(record for _, _, record in kept.values()), tuple(problems))

    def _place(self, record: Record) -> Path:
        provenance = record.provenance
        path = self.path(record.cell, provenance.machine.name, provenance.code_hash)
        return path.relative_to(self.root)

    def _is_own_place(self, path: Path, record: Record) -> bool:
        """Whether `path` ends as the path of `record` does, wherever in the store's folders the root is."""
        wanted, found = self._place(record).parts, path.absolute().parts
        mark = _mark(path.name)
        # A noisy record of before there was a mark for it bears none.
        right = mark in {"noisy": (NOISY, ""), "ok": ("",), "unsupported": ("",)}.get(record.status, (FAILED,))
        return right and (*found[-len(wanted) : -1], found[-1].replace(mark, "")) == wanted


Key = tuple[str, str, str]
"""Cell, machine and code."""


def _key(record: Record) -> Key:
    return record.cell_id, record.provenance.machine.name, record.provenance.code_hash


def _mark(name: str) -> str:
    return next((mark for mark in (FAILED, NOISY) if name.endswith(f"{mark}.json")), "")


def read_stores(roots: Iterable[Path]) -> Contents:
    """Read several stores as one; of two records of the same run, the later root's wins.

    Within a root what is done wins over what is noisy, and that over a failure.
    """
    by_key: dict[Key, Record] = {}
    problems: list[Problem] = []
    for root in roots:
        contents = Store(root).read()
        problems.extend(contents.problems)
        for record in sorted(contents.records, key=lambda record: (record.is_done(), record.status == "noisy")):
            by_key[_key(record)] = record
    return Contents(tuple(by_key.values()), tuple(problems))


def read_record(path: Path, rows: Rows | None = None) -> Record | Problem:
    """Read one file of a store: the record, or what is wrong with it."""
    try:
        # Strict: a figure that is text, or a status that is a number, was written by nobody.
        record = Record.model_validate_json(read_regular(path, LARGEST_RECORD_BYTES), strict=True)
    except OSError as error:
        return Problem(path, f"cannot be read: {error.strerror}")
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return Problem(path, f"is not a record: {where + ': ' if where else ''}{first['msg']}")
    if record.schema_version != SCHEMA_VERSION:
        return Problem(path, f"has schema version {record.schema_version}; this Spikeboard reads {SCHEMA_VERSION}")
    if record.cell.id != record.cell_id:
        return Problem(path, f"is of cell {record.cell.id}, but says {record.cell_id}: it was edited or is foreign")
    impossible = problem_of(record, rows or load_rows())
    return record if impossible is None else Problem(path, f"is impossible: {impossible}")
