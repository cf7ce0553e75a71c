"""A submission as it lies on disk: which files, how large, with which digests, and what of them is no plain file.

A stranger made the folder. Links are not followed, pipes and devices are not opened, nothing larger than the limits is
read, and every name is one that can do nothing. Must not know what the files mean.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from harness.results.files import open_regular, read_regular
from harness.submissions.manifest import (
    CODE,
    ENVIRONMENT,
    MANIFEST,
    README,
    RECORDS,
    Environment,
    Listed,
    Manifest,
    parsed,
)
from harness.text import printable

__all__ = ["Contents", "content_digest", "read_folder"]

MOST_FILES = 2_000
LARGEST_FILE = 64 << 20
LARGEST_FOLDER = 256 << 20
LARGEST_TEXT = 1 << 20
"""Of a manifest, an environment or a source file."""
DEEPEST = 12
NAME = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9_+.-]{0,240}|-(\.jsonl)?")
"""What a file or folder may be called: nothing hidden, nothing that a shell, a terminal or another system reads
otherwise; a single hyphen is the task of what has none."""
CHUNK = 1 << 20
M = TypeVar("M", Manifest, Environment)
TOP = frozenset({MANIFEST, ENVIRONMENT, README, RECORDS, CODE})


@dataclass(frozen=True, slots=True)
class Contents:
    """What was found in a submission's folder."""

    files: Mapping[str, Listed]
    """Every plain file but the manifest, by its path with slashes, as it is."""
    problems: tuple[str, ...]
    """What is no plain file, too large, or not called as a file of a submission may be."""
    manifest: Manifest | str
    """Or what is wrong with it."""
    environment: Environment | str
    digest: str
    """Of the manifest's bytes; empty where it cannot be read."""

    def differences(self) -> list[str]:
        """Return in what the files are not those that the manifest lists."""
        if isinstance(self.manifest, str):
            return []
        found, listed = self.files, self.manifest.files
        said = [f"{_shown(name)} is listed, and no plain relative path" for name in listed if not _is_plain(name)]
        said += [f"{_shown(name)} is listed, and not there" for name in sorted(listed.keys() - found.keys())]
        said += [f"{_shown(name)} is there, and not listed" for name in sorted(found.keys() - listed.keys())]
        said += [
            f"{_shown(name)} is not the file that is listed (other bytes)"
            for name in sorted(found.keys() & listed.keys())
            if found[name] != listed[name]
        ]
        return said


def read_folder(folder: Path) -> Contents:
    """Look at every file below `folder`, without following a link or opening what is no plain file."""
    files: dict[str, Listed] = {}
    problems: list[str] = []
    total = 0
    for name, path, problem in _walk(folder):
        if problem is None and len(files) >= MOST_FILES:
            problem = f"more than {MOST_FILES:,} files"
        size = path.lstat().st_size
        if problem is None and size <= LARGEST_FILE and (total := total + size) > LARGEST_FOLDER:
            problem = f"all files together have more than {LARGEST_FOLDER:,} bytes"
        if problem is not None:
            problems.append(problem)
            if problem.startswith(("more than", "all files")):
                break
            continue
        try:
            files[name] = _listed(path)
        except OSError as error:
            problems.append(f"{_shown(name)} cannot be read: {error.strerror}")
    files.pop(MANIFEST, None)
    manifest, digest = _read(folder / MANIFEST, Manifest)
    environment, _ = _read(folder / ENVIRONMENT, Environment)
    return Contents(files, tuple(problems), manifest, environment, digest)


def content_digest(folder: Path) -> str | None:
    """Return the digest that stands for everything in `folder`; None unless it is exactly what its manifest lists."""
    contents = read_folder(folder)
    sound = not contents.problems and isinstance(contents.manifest, Manifest) and not contents.differences()
    return contents.digest if sound else None


def _read(path: Path, kind: type[M]) -> tuple[M | str, str]:
    try:
        if stat.S_ISLNK(path.lstat().st_mode):
            return f"{path.name} is a link", ""
        content = read_regular(path, LARGEST_TEXT)
    except OSError as error:
        return f"{path.name} cannot be read: {error.strerror}", ""
    found = parsed(kind, content)
    return (f"{path.name} {found}" if isinstance(found, str) else found), hashlib.sha256(content).hexdigest()


def _walk(folder: Path) -> Iterator[tuple[str, Path, str | None]]:
    """Yield (path with slashes, path, what is wrong with it) of everything below `folder` that is no folder."""
    waiting = [""]
    while waiting:
        below = waiting.pop()
        for entry in sorted(os.scandir(folder / below), key=lambda entry: entry.name, reverse=True):
            name, path = f"{below}{entry.name}", folder / below / entry.name
            mode = entry.stat(follow_symlinks=False).st_mode
            problem = _of_name(name, mode)
            if problem is None and stat.S_ISDIR(mode):
                waiting.append(f"{name}/")
            else:
                yield name, path, problem


def _of_name(name: str, mode: int) -> str | None:
    shown, parts = _shown(name), name.split("/")
    if stat.S_ISLNK(mode):
        return f"{shown} is a link; links are not followed"
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return f"{shown} is no plain file (a pipe, a socket or a device)"
    if not NAME.fullmatch(parts[-1]):
        return f"{shown} is not a name that a file of a submission has"
    if len(parts) > DEEPEST:
        return f"{shown} lies too deep"
    if parts[0] not in TOP:
        return f"{shown} has no place in a submission: it holds {', '.join(sorted(TOP))}"
    return None


def _listed(path: Path) -> Listed:
    found, size = hashlib.sha256(), 0
    with open_regular(path, LARGEST_FILE) as file:
        while chunk := file.read(CHUNK):
            size += len(chunk)
            if size > LARGEST_FILE:  # it grew while it was read
                raise OSError(None, f"it has more than {LARGEST_FILE:,} bytes")
            found.update(chunk)
    return Listed(bytes=size, sha256=found.hexdigest())


def _is_plain(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and "/".join(parts) == name and all(NAME.fullmatch(part) for part in parts) and parts[0] in TOP


def _shown(name: str) -> str:
    return printable(name[:200].encode("utf-8", "backslashreplace").decode(), lines=False)
