"""What was made sure of in a submission, kept beside its folder, and the submissions of a project read for its boards.

`reports/submissions/NAME/` is a stranger's, `reports/submissions/NAME.json` is the project's: it names the digest of
what was checked, and the figures that were measured again with cell, machine and code hash. A folder of which one byte
is another has no mark but `reported`, whatever stands in its records. Must not check anything itself.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from harness import __version__
from harness.catalogue.cards import Registry
from harness.results.files import read_regular
from harness.results.freshness import CURRENT, Freshness, Today
from harness.results.marks import NOBODY, Key, Marked, Submitted, key_of
from harness.results.provenance import this_origin
from harness.results.reading import Problem
from harness.results.record import Record
from harness.submissions.folder import LARGEST_TEXT, Contents, read_folder
from harness.submissions.manifest import CODE, Manifest, parsed
from harness.submissions.overlay import code_problems, is_new, overlay
from harness.submissions.reading import code_files, records_in
from harness.submissions.verify import Report
from harness.writing import write_whole

__all__ = ["SUBMISSION_NAME", "marks_file", "read_submissions", "write_marks"]

SUBMISSION_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,60}")
_STRICT = ConfigDict(extra="forbid", frozen=True)


class Reproduced(BaseModel):
    """A record of which figures were measured again."""

    model_config = _STRICT

    cell_id: str
    machine: str
    code_hash: str
    figures: tuple[str, ...]


class Marks(BaseModel):
    """What was made sure of in one submission."""

    model_config = _STRICT

    schema_version: int = 1
    digest: str
    """Of the manifest that was checked."""
    checked_at: str
    spikeboard: str
    commit: str | None
    """With which it was checked."""
    reproduced: tuple[Reproduced, ...] = ()


def marks_file(folder: Path) -> Path:
    """Return where the marks of the submission in `folder` are kept: beside it, so that they are no part of it."""
    resolved = folder.resolve()
    return resolved.with_name(f"{resolved.name}.json")


def write_marks(folder: Path, report: Report) -> Path:
    """Write down what `report`, in which nothing fails, made sure of; what was before of the same content stays."""
    path, known = marks_file(folder), _read_marks(folder)
    figures: dict[Key, set[str]] = {}
    if isinstance(known, Marks) and known.digest == report.digest:
        for one in known.reproduced:
            figures.setdefault((one.cell_id, one.machine, one.code_hash), set()).update(one.figures)
    for again in report.again:
        figures.setdefault(key_of(again.record), set()).update(again.confirmed)
    marks = Marks(
        digest=report.digest,
        checked_at=datetime.now(UTC).isoformat(timespec="seconds"),
        spikeboard=__version__,
        commit=this_origin().commit,
        reproduced=tuple(
            Reproduced(cell_id=cell, machine=machine, code_hash=code, figures=tuple(sorted(names)))
            for (cell, machine, code), names in sorted(figures.items())
            if names
        ),
    )
    write_whole(path, json.dumps(marks.model_dump(), indent=1) + "\n")
    return path


def _read_marks(folder: Path) -> Marks | str | None:
    """Return the marks of a submission; what is wrong with their file; None if there is none."""
    path = marks_file(folder)
    if not path.exists():
        return None
    try:
        content = read_regular(path, LARGEST_TEXT)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return parsed(Marks, content)


def read_submissions(root: Path | None, registry: Registry) -> Submitted:
    """Return the records of all submissions in `root` with their marks; what cannot be read is a problem, not fatal.

    Of two submissions of one cell on one machine the one counts that more is made sure of, then the first by name.
    """
    if root is None or not root.is_dir():
        return NOBODY
    problems: list[Problem] = []
    found: dict[tuple[str, str], tuple[Record, Marked]] = {}
    for folder in _folders(root, problems):
        for record, known in _read(folder, registry, problems):
            place = (record.cell_id, record.provenance.machine.name)
            if place not in found or _sureness(record, known) > _sureness(*found[place]):
                found[place] = (record, known)
    marks = {key_of(record): known for record, known in found.values()}
    return Submitted(tuple(record for record, _ in found.values()), marks, tuple(problems))


def _sureness(record: Record, known: Marked) -> int:
    return sum(known.of(name) for name in record.metrics) + known.checked


def _folders(root: Path, problems: list[Problem]) -> Iterator[Path]:
    for path in sorted(root.iterdir()):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            continue  # marks, and a word to readers
        if not stat.S_ISDIR(mode):
            problems.append(Problem(path, "is no folder of a submission (a link, a pipe or a device)"))
        elif not SUBMISSION_NAME.fullmatch(path.name):
            problems.append(Problem(path, "is no name of a submission: lower-case letters, digits and dashes"))
        else:
            yield path


def _read(folder: Path, registry: Registry, problems: list[Problem]) -> list[tuple[Record, Marked]]:
    contents = read_folder(folder)
    wrong = [*contents.problems, *contents.differences()]
    if not isinstance(contents.manifest, Manifest):
        wrong.append(str(contents.manifest))
    if wrong:
        problems.append(Problem(folder, f"is no whole submission: {wrong[0]}"))
        return []
    records, unread = records_in(folder, contents, registry)
    problems += [Problem(folder, text) for text in unread]
    marks = _read_marks(folder)
    if isinstance(marks, str):
        problems.append(Problem(marks_file(folder), f"is no file of marks: {marks}"))
    if not isinstance(marks, Marks) or marks.digest != contents.digest:
        return [(record, Marked(folder.name)) for record in records]
    figures = {(one.cell_id, one.machine, one.code_hash): frozenset(one.figures) for one in marks.reproduced}
    ages = _ages(folder, contents, records, registry)
    return [
        (
            record,
            Marked(folder.name, True, figures.get(key_of(record), frozenset()), ages.get(key_of(record), CURRENT)),
        )
        for record in records
    ]


def _ages(folder: Path, contents: Contents, records: list[Record], registry: Registry) -> dict[Key, Freshness]:
    """Return how each record stands to today's code, to which a submission adds, and in which it changes nothing."""
    assert isinstance(contents.manifest, Manifest)
    files = {name: size for name, size in code_files(contents).items() if is_new(name)}
    if not files or code_problems(files):
        today = Today(registry)
        return {key_of(record): today.of_record(record) for record in records}
    with (
        overlay(folder / CODE, files, contents.manifest.implementations) as sources,
        suppress(RecursionError, MemoryError),
    ):
        today = Today(sources.registry, sources.root)
        return {key_of(record): today.of_record(record) for record in records}
    return {}
