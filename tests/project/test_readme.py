"""README keeps its word: its tables are what the commands beside them print, its verbs and links exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PRODUCED = re.compile(r"<!-- (spikeboard .+?) -->\n(.*?)<!-- end -->", re.DOTALL)
BLOCKS = re.compile(r"```sh\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from harness.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


PRODUCTS = [(page.name, *found) for page in PAGES for found in PRODUCED.findall(text(page))]


@pytest.mark.parametrize(("page", "command", "shown"), PRODUCTS, ids=[f"{item[0]}: {item[1]}" for item in PRODUCTS])
def test_tables_are_what_the_command_beside_them_prints(page: str, command: str, shown: str) -> None:
    said = run(*shlex.split(command)[1:])
    assert said.returncode == 0, said.stderr
    assert said.stdout.strip() == shown.strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(text(page)):
        assert "://" in target or (page.parent / target).exists(), target


def test_the_example_in_python_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", text(ROOT / "README.md"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["spikes"].shape == (8, 32, 100)
    assert set(names["spikes"].unique().tolist()) == {0.0, 1.0}


def test_every_command_line_has_options_that_exist() -> None:
    helps: dict[str, str] = {}
    for block in (block for page in PAGES for block in BLOCKS.findall(text(page))):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] != ["spikeboard"]:
                continue
            verb = words[1]
            if verb not in helps:
                answer = run(verb, "--help")
                assert answer.returncode == 0, line
                helps[verb] = answer.stdout + answer.stderr
            for option in (word for word in words if word.startswith("--")):
                assert option in helps[verb], line
