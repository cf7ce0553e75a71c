"""Where records live: small JSON files, in a folder whose layout is a pure function of what was measured.

"Already done" is "the file exists", so runs can be interrupted, repeated and merged by copying files; published records
lie packed, many in a file, and are found as well. Reading never trusts: what is broken, foreign, impossible, a second
of its kind or in another's place is reported.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard

from harness.catalogue.cards import Registry
from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.errors import UserError
from harness.results.reading import PACKED, SINGLE, Problem, files_below, read_record, scan
from harness.results.record import Record
from harness.results.validity import problem_of
from harness.text import inside, slug
from harness.writing import require_writable, write_whole

__all__ = ["CODE_DIGITS", "Contents", "Finished", "Problem", "Store", "merged", "read_record", "read_stores"]

FAILED, NOISY = ".failed", ".noisy"
"""Marks in the names of records that do not count as done: without figures, and with some that were timed too noisily.
"""
CODE_DIGITS = 10
"""Digits of a code hash that a file's name holds."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What was read from one or more stores."""

    records: tuple[Record, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of records."""

    root: Path

    def folder(self, machine: str, suite: str, task: str) -> Path:
        """Return the folder of the single records of a machine, a suite and a task."""
        return inside(self.root, slug(machine), slug(suite), slug(task))

    def packed(self, machine: str, suite: str, task: str) -> Path:
        """Return the file of the packed records of a machine, a suite and a task."""
        return inside(self.root, slug(machine), slug(suite), f"{slug(task)}{PACKED}")

    def path(self, cell: Cell, machine: str, code_hash: str, done: bool = True, unfinished: str = FAILED) -> Path:
        """Return where a run writes the record of `cell`, measured on `machine` with the code of `code_hash`.

        `unfinished` is the mark of one that is not `done`: a failure leaves noisy figures in their place, and neither
        replaces a record that is done.
        """
        mark = "" if done else unfinished
        name = f"{slug(cell.label)}.{cell.id}.{slug(code_hash[:CODE_DIGITS])}{mark}{SINGLE}"
        return inside(self.root, slug(machine), slug(cell.suite), slug(cell.task), name)

    def path_of(self, record: Record) -> Path:
        """Return where a run writes `record`."""
        origin = record.provenance
        mark = NOISY if record.status == "noisy" else FAILED
        return self.path(record.cell, origin.machine.name, origin.code_hash, record.is_done(), mark)

    def has(self, cell: Cell, machine: str, code_hash: str) -> bool:
        """Whether the cell is done; a recorded failure is not."""
        return slug(code_hash[:CODE_DIGITS]) in Finished(self, machine).codes(cell)

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
        path = self.path_of(record)
        impossible = problem_of(record, load_registry())
        if impossible is not None and path.exists():
            raise UserError(
                f"the record of cell {record.cell_id} was not written over {path}: {impossible}",
                "delete the file that it comes from, or measure the cell again",
            )
        write_whole(path, record.model_dump_json(indent=1, exclude_defaults=False) + "\n")
        if record.status == "noisy" or record.is_done():
            self.path(*key, done=False).unlink(missing_ok=True)
        if record.is_done():
            self.path(*key, done=False, unfinished=NOISY).unlink(missing_ok=True)
        return path

    def read(self, registry: Registry | None = None) -> Contents:
        """Read every record below the root; what is none, or what another contradicts, is listed as a problem.

        `rows` are the cards that figures are held against. [default: every card there is]
        """
        known = registry or load_registry()
        problems: list[Problem] = []
        found: list[tuple[Path, Record]] = []
        for name in files_below(self.root):
            for entry in scan(self.root / name, known):
                if isinstance(entry.found, Problem):
                    problems.append(entry.found)
                    continue
                found.append((self.root / name, entry.found))
                misplaced = self.misplaced(self.root / name, entry.found)
                problems += [misplaced] if misplaced else []
        believed, seconds = self.believed(found)
        return Contents(tuple(believed), (*problems, *seconds))

    def believed(self, found: Iterable[tuple[Path, Record]]) -> tuple[list[Record], list[Problem]]:
        """Return of every run one record, and as problems those that do not count, with the files they are in.

        One that stands alone takes the place of a packed one; else the place decides, then the name: never which was
        written or found last.
        """
        kept: dict[tuple[str, ...], tuple[Path, Record]] = {}
        problems: list[Problem] = []
        for path, record in found:
            key = (*_key(record), _mark_of(record) if path.suffix == PACKED else _mark(path.name))
            known = kept.get(key)
            if known is not None and not (known[0].suffix == PACKED and path.suffix == SINGLE):
                keeps = self._is_own_place(*known) or not self._is_own_place(path, record)
                loser = path if keeps else known[0]
                problems.append(Problem(loser, f"is a second record of cell {record.cell_id}, and does not count"))
                if keeps:
                    continue
            kept[key] = (path, record)
        return [record for _, record in kept.values()], problems

    def misplaced(self, path: Path, record: Record) -> Problem | None:
        """Return what is wrong with the place of a record, or None."""
        if self._is_own_place(path, record):
            return None
        place = (self._packed_of(record) if path.suffix == PACKED else self._single_of(record)).as_posix()
        return Problem(path, f"is in another's place; its own is {place}", skipped=False)

    def _single_of(self, record: Record) -> Path:
        origin = record.provenance
        return self.path(record.cell, origin.machine.name, origin.code_hash).relative_to(self.root)

    def _packed_of(self, record: Record) -> Path:
        cell = record.cell
        return self.packed(record.provenance.machine.name, cell.suite, cell.task).relative_to(self.root)

    def _is_own_place(self, path: Path, record: Record) -> bool:
        """Whether `path` ends as the path of `record` does, wherever in the store's folders the root is."""
        found = path.absolute().parts
        if path.suffix == PACKED:
            wanted = self._packed_of(record).parts
            return found[-len(wanted) :] == wanted
        wanted = self._single_of(record).parts
        mark = _mark(path.name)
        # A noisy record of before there was a mark for it bears none.
        right = mark in {"noisy": (NOISY, ""), "ok": ("",), "unsupported": ("",)}.get(record.status, (FAILED,))
        return right and (*found[-len(wanted) : -1], found[-1].replace(mark, "")) == wanted


@dataclass(slots=True)
class Finished:
    """What is done of a store on one machine, as it was when it was asked about first.

    A plan asks for a hundred thousand cells: of each machine, suite and task the files are looked for once, and that of
    a single record is read when its own cell is asked for. A name alone makes no cell done: the file may be cut off,
    impossible, or a timing too noisy that older code named like any other.
    """

    store: Store
    machine: str
    _known: dict[tuple[str, str], dict[str, set[str]]] = field(default_factory=dict)
    _unread: dict[tuple[str, str], dict[str, list[Path]]] = field(default_factory=dict)
    """By suite and task, and by cell: files of one record that bear its name."""

    def codes(self, cell: Cell) -> Collection[str]:
        """Return the first digits of the code hashes that `cell` is done with; a recorded failure is not done."""
        asked = (cell.suite, cell.task)
        if asked not in self._known:
            self._known[asked] = self._look(*asked)
        known, unread = self._known[asked], self._unread[asked]
        if not (known or unread):  # as of most cells of a large plan, whose ids take longer than all else
            return ()
        name = cell.id
        for path in unread.pop(name, ()):
            found = read_record(path)
            if self._is_done(found) and found.cell_id == name:
                known[name].add(_code_of(found))
        return known.get(name, ())

    def _is_done(self, found: Record | Problem) -> TypeGuard[Record]:
        return isinstance(found, Record) and found.is_done() and found.provenance.machine.name == self.machine

    def _look(self, suite: str, task: str) -> dict[str, set[str]]:
        codes: dict[str, set[str]] = defaultdict(set)
        unread = self._unread[suite, task] = {}
        folder = self.store.folder(self.machine, suite, task)
        try:
            names = os.listdir(folder)
        except OSError:
            names = []
        for name in names:
            parts = name.removesuffix(SINGLE).rsplit(".", 2)
            if name.endswith(SINGLE) and not _mark(name) and len(parts) == 3:
                unread.setdefault(parts[1], []).append(folder / name)
        packed = self.store.packed(self.machine, suite, task)
        for entry in scan(packed) if packed.is_file() else ():
            if self._is_done(entry.found):
                codes[entry.found.cell_id].add(_code_of(entry.found))
        return codes


def _code_of(record: Record) -> str:
    return slug(record.provenance.code_hash[:CODE_DIGITS])


Key = tuple[str, str, str]
"""Cell, machine and code."""


def _key(record: Record) -> Key:
    return record.cell_id, record.provenance.machine.name, record.provenance.code_hash


def _mark(name: str) -> str:
    return next((mark for mark in (FAILED, NOISY) if name.endswith(f"{mark}{SINGLE}")), "")


def _mark_of(record: Record) -> str:
    return "" if record.is_done() else NOISY if record.status == "noisy" else FAILED


def read_stores(roots: Iterable[Path]) -> Contents:
    """Read several stores as one, every record complete; of two records of the same run, the later root's wins."""
    return merged(Store(root).read() for root in roots)


def merged(stores: Iterable[Contents]) -> Contents:
    """Return the contents of several stores as one; of two records of the same run, the later store's wins.

    What is done wins over what is noisy, and that over a failure.
    """
    by_key: dict[Key, Record] = {}
    problems: list[Problem] = []
    for contents in stores:
        problems.extend(contents.problems)
        for record in contents.records:
            known = by_key.get(_key(record))
            if known is None or _weight(record) >= _weight(known):
                by_key[_key(record)] = record
    return Contents(tuple(by_key.values()), tuple(problems))


def _weight(record: Record) -> int:
    return 2 if record.is_done() else record.status == "noisy"
