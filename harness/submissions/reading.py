"""Reads what a submission holds, its records and its sources, and says what cannot be read. Imports nothing of it."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.catalogue.cards import Registry
from harness.results.files import open_regular, read_regular
from harness.results.reading import LARGEST_RECORD_BYTES, PACKED, Problem, scan
from harness.results.record import Record
from harness.results.store import Store
from harness.submissions.folder import LARGEST_TEXT, Contents
from harness.submissions.manifest import CODE, RECORDS, json_problem

__all__ = ["code_files", "records_in", "unreadable_sources"]


def records_in(folder: Path, contents: Contents, registry: Registry) -> tuple[list[Record], list[str]]:
    """Return the records of a submission, read from its plain files alone, and what is wrong with any."""
    store = Store(folder / RECORDS)
    problems: list[str] = []
    found: list[tuple[Path, Record]] = []
    for name in sorted(contents.files):
        if not name.startswith(f"{RECORDS}/"):
            continue
        path = folder / name
        if path.suffix not in (".json", PACKED):
            problems.append(f"{name} is no file of records")
            continue
        twice = [f"{name}: {problem}" for problem in _json_problems(path)]
        problems += twice
        for entry in scan(path, registry):
            if isinstance(entry.found, Problem):
                problems.append(_relative(entry.found, folder))
            elif not twice:
                found.append((path, entry.found))
                misplaced = store.misplaced(path, entry.found)
                problems += [_relative(misplaced, folder)] if misplaced else []
    believed, seconds = store.believed(found)
    return believed, [*problems, *(_relative(problem, folder) for problem in seconds)]


def _json_problems(path: Path) -> Iterator[str]:
    try:
        with open_regular(path) as file:
            if path.suffix != PACKED:
                problem = json_problem(file.read(LARGEST_RECORD_BYTES))
                yield from [problem] if problem else []
                return
            for number, line in enumerate(iter(lambda: file.readline(LARGEST_RECORD_BYTES), b""), 1):
                problem = json_problem(line) if line.strip() else None
                yield from [f"line {number} {problem}"] if problem else []
    except OSError as error:
        yield f"cannot be read: {error.strerror}"


def _relative(problem: Problem, folder: Path) -> str:
    return str(problem).replace(f"{folder}/", "")


def code_files(contents: Contents) -> dict[str, int]:
    """Return the sources of a submission by the path that they are imported by, with their sizes."""
    start = f"{CODE}/"
    return {name.removeprefix(start): one.bytes for name, one in contents.files.items() if name.startswith(start)}


def unreadable_sources(folder: Path, files: Mapping[str, int]) -> Iterator[str]:
    """Say which sources cannot be read as text of Python: looked at here, so that nothing later trips over them."""
    for name in files:
        try:
            content = read_regular(folder / CODE / name, LARGEST_TEXT)
            if name.endswith(".py"):
                ast.parse(content)
            elif not isinstance(json.loads(content), dict):
                yield f"{name} is no golden file"
        except OSError as error:
            yield f"{name} cannot be read: {error.strerror}"
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            yield f"{name} cannot be read as {'Python' if name.endswith('.py') else 'JSON'}: {error}"
