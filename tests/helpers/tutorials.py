"""Tutorials as programs: files that they show, commands and scripts that they give, and what these print.

A block with a title is a file, ``sh`` is run line by line, other ``python`` as a script; a ``text`` block must be
found, line by line, in what the blocks since the last one printed. Where the reader's package is installed, its entry
points are registered instead.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from documents import ROOT, shell, text

FOLDER = ROOT / "docs" / "tutorials"

BLOCK = re.compile(r"^```(?P<kind>python|sh|toml|text)(?P<more>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
INSTALL = "python -m pip install -e ."


def follow(page: Path, folder: Path) -> list[str]:
    """Do what `page` says in `folder`, which is made if need be, and return what was printed, block by block."""
    folder.mkdir(parents=True, exist_ok=True)
    printed: list[str] = []
    since = ""
    for block in BLOCK.finditer(text(page)):
        kind, more, code = block["kind"], block["more"], block["code"]
        title = re.search(r'title="([^"]+)"', more)
        if title:
            path = folder / title[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code, encoding="utf-8")
        elif kind == "text":
            for line in filter(None, code.splitlines()):
                assert squeezed(line) in squeezed(since), f"{page.name} promises {line!r}, and got\n{since}"
            since = ""
        elif kind == "toml":
            raise AssertionError(f"{page.name} shows a file without a name")
        else:
            expected = int((re.search(r"exit=(\d+)", more) or ["", "0"])[1])
            commands = code.splitlines() if kind == "sh" else [None]
            for command in commands:
                said = _run(command, code, folder)
                assert said.returncode == expected, f"{page.name}: {command or code}\n{said.stdout}"
                since += said.stdout
                printed.append(said.stdout)
    return printed


def squeezed(line: str) -> str:
    return " ".join(line.split())


def _run(command: str | None, code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    if command == INSTALL:
        _register(folder)
        return subprocess.CompletedProcess(INSTALL, 0, stdout="")
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    if command is None:
        return subprocess.run(
            [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    return shell(folder, command, folder / ".tools", packages=(folder, ROOT))


def _register(folder: Path) -> None:
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    about = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [
        line
        for group, entries in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {module}" for name, module in entries.items()))
    ]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n")
