"""What the documents say: their pages, the commands in them, and how to run those in a clone."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
"""Those of `docs/tutorials` are programs, and `docs/reference` is made of docstrings."""
EXAMPLE = re.compile(r"Save this as `(?P<path>[^`]+)`.*?```python \w+\n(?P<code>.*?)```", re.DOTALL)
"""A file that a page tells its reader to write."""
_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
_INLINE = re.compile(r"`((?:spikeboard|python -m pytest) [^`]*\s[^`]*)`")
_COMMENT = re.compile(r"\s#\s.*")


@dataclass(frozen=True)
class Command:
    """A line for a shell that a page gives its reader."""

    page: str
    line: str

    @property
    def words(self) -> list[str]:
        return self.line.split()


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def commands() -> Iterator[Command]:
    """Yield every command once, in the order of the pages; names of verbs in a sentence are none."""
    seen = set()
    for page in PAGES:
        blocks = [line for block in _BLOCK.findall(text(page)) for line in block.replace("\\\n", " ").splitlines()]
        sentences = [line for line in _INLINE.findall(text(page)) if len(line.split()) > 2]
        for line in (" ".join(_COMMENT.sub("", line).split()) for line in (*blocks, *sentences)):
            for part in filter(None, (part.strip() for part in line.split("&&"))):
                if part not in seen and "..." not in part:
                    seen.add(part)
                    yield Command(page.name, part)


def sessions() -> set[str]:
    """Return the names of the sessions of nox."""
    return {
        node.name
        for node in ast.parse(text(ROOT / "noxfile.py")).body
        if isinstance(node, ast.FunctionDef) and any("session" in ast.unparse(one) for one in node.decorator_list)
    }


def save_examples(folder: Path) -> list[Path]:
    """Write the files that CONTRIBUTING.md shows where it says, and return their paths."""
    saved = []
    for path, code in EXAMPLE.findall(text(ROOT / "CONTRIBUTING.md")):
        assert not (folder / path).exists()
        (folder / path).write_text(code, encoding="utf-8")
        saved.append(folder / path)
    return saved


def clone(folder: Path) -> Path:
    """Return a clone of this repository, with the files of the working tree as they are now."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    listed = ["git", "-C", str(ROOT), "ls-files", "-z"]
    now = subprocess.run([*listed, "--cached", "--others", "--exclude-standard"], capture_output=True, text=True)
    for name in filter(None, now.stdout.split("\0")):
        source, target = ROOT / name, folder / name
        if not source.is_file():
            target.unlink(missing_ok=True)
        elif not target.is_file() or target.stat().st_size != source.stat().st_size or _differs(source, target):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    return folder


def _differs(one: Path, other: Path) -> bool:
    return one.read_bytes() != other.read_bytes()


def shell(folder: Path, line: str, tools: Path, packages: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run a line in `folder`, whose packages are used (or those in the folders `packages`).

    `tools` is a folder for what must be on the path.
    """
    tools.mkdir(exist_ok=True)
    starters = {"python": "", "pytest": " -m pytest", "spikeboard": " -c 'from harness.cli import main; main()'"}
    for name, words in starters.items():
        # A script, not a link: an interpreter finds its packages by the place of its own file.
        starter = tools / name
        starter.write_text(f'#!/bin/sh\nexec {sys.executable}{words} "$@"\n')
        starter.chmod(0o755)
    path = os.pathsep.join([str(tools), os.environ["PATH"]])
    return subprocess.run(
        line,
        cwd=folder,
        shell=True,
        env={**os.environ, "PATH": path, "PYTHONPATH": os.pathsep.join(map(str, packages or (folder,)))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
