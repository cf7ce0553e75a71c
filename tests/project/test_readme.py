"""README keeps its word: its tables are what the commands beside them print, its verbs and links exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from documents import PAGES, ROOT, text

PRODUCED = re.compile(r"<!-- (spikeboard .+?) -->\n(.*?)<!-- end -->", re.DOTALL)
BLOCKS = re.compile(r"```sh\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from harness.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_tables_pictures_and_values_are_what_the_records_say() -> None:
    said = run("fill", "--check", *(str(page.relative_to(ROOT)) for page in PAGES))
    assert said.returncode == 0, said.stdout + said.stderr
    assert sum(len(PRODUCED.findall(text(page))) for page in PAGES) >= 3


def test_no_value_in_findings_is_written_by_hand() -> None:
    """What looks measured (a number with an interval, a unit or "times") stands between marks."""
    page = text(ROOT / "docs" / "findings.md")
    prose = re.sub(r"<!--= .+? -->.*?<!--/-->|<!-- .+? -->|`[^`]*`", "", page, flags=re.DOTALL)
    prose = prose.replace("An interval is 95 %", "").replace("PSU's 3 to 4 times", "").replace("PRF 6.6 times", "")
    assert re.findall(r"\d[\d.]* (?:±|%|times|[KMG]iB|[nµm]?[sJ]\b)", prose) == []


def test_no_mark_begins_a_line() -> None:
    """Markdown would take it for a block of HTML, and end the paragraph."""
    for page in PAGES:
        assert re.findall(r"^\s*<!--=.*", text(page), re.MULTILINE) == []


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
