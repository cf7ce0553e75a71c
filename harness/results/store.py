"""Where records live: one small JSON file each, in a folder whose layout is a pure function of what was measured.

"Already done" is "the file exists", so runs can be interrupted, repeated and merged by copying files. Reading never
trusts: a broken or foreign file is reported and skipped. Must not know what a metric means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from harness.catalogue.cell import Cell
from harness.results.record import SCHEMA_VERSION, Record
from harness.writing import require_writable, write_whole

__all__ = ["Contents", "Problem", "Store", "read_record", "read_stores"]

FAILED, NOISY = ".failed", ".noisy"
"""Marks in the names of records that do not count as done: without figures, and with some that were timed too noisily.
"""


@dataclass(frozen=True, slots=True)
class Problem:
    """A file in a store that is not a record."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


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
        name = f"{_slug(cell.label)}.{cell.id}.{code_hash[:10]}{'' if done else unfinished}.json"
        return self.root / _slug(machine) / _slug(cell.suite) / _slug(cell.task) / name

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
        """
        provenance = record.provenance
        key = (record.cell, provenance.machine.name, provenance.code_hash)
        noisy = record.status == "noisy"
        path = self.path(*key, done=record.is_done(), unfinished=NOISY if noisy else FAILED)
        write_whole(path, record.model_dump_json(indent=1, exclude_defaults=False) + "\n")
        if noisy or record.is_done():
            self.path(*key, done=False).unlink(missing_ok=True)
        if record.is_done():
            self.path(*key, done=False, unfinished=NOISY).unlink(missing_ok=True)
        return path

    def read(self) -> Contents:
        """Read every record below the root; files that are none are listed as problems."""
        found = [read_record(path) for path in sorted(self.root.rglob("*.json"))]
        return Contents(
            records=tuple(item for item in found if isinstance(item, Record)),
            problems=tuple(item for item in found if isinstance(item, Problem)),
        )


def read_stores(roots: Iterable[Path]) -> Contents:
    """Read several stores as one; of two records of the same run, the later root's wins."""
    by_key: dict[tuple[str, str, str], Record] = {}
    problems: list[Problem] = []
    for root in roots:
        contents = Store(root).read()
        problems.extend(contents.problems)
        for record in contents.records:
            by_key[(record.cell_id, record.provenance.machine.name, record.provenance.code_hash)] = record
    return Contents(tuple(by_key.values()), tuple(problems))


def read_record(path: Path) -> Record | Problem:
    """Read one file of a store: the record, or what is wrong with it."""
    try:
        record = Record.model_validate_json(path.read_bytes())
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
    return record


def _slug(text: str) -> str:
    """Make `text` safe as one path component; letters of any script stay."""
    return re.sub(r"[^\w+.-]+", "-", text).strip(".") or "none"
