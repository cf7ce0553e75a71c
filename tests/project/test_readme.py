"""README keeps its word: its tables are what the commands beside them print, its verbs and links exist."""

from __future__ import annotations

import csv
import io
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from command import spikeboard
from documents import PAGES, ROOT, text
from synthetic import older, record

from harness.catalogue.cell import Cell
from harness.results.record import Metric
from harness.results.store import Store

PRODUCED = re.compile(r"<!-- (spikeboard .+?) -->\n(.*?)<!-- end -->", re.DOTALL)
BLOCKS = re.compile(r"```sh\n(.*?)```", re.DOTALL)
QUOTED = {
    f"{page.name}: {command}": shlex.split(command)[1:] for page in PAGES for command, _ in PRODUCED.findall(text(page))
}
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")


def test_tables_pictures_and_values_are_what_the_records_say() -> None:
    spikeboard(ROOT, "fill", "--check", *(str(page.relative_to(ROOT)) for page in PAGES))
    assert sum(len(PRODUCED.findall(text(page))) for page in PAGES) >= 3


def test_no_table_or_picture_rests_on_a_record_of_older_code() -> None:
    assert {one: names for one, command in QUOTED.items() if (names := older_in(command))} == {}


def test_no_value_in_a_sentence_is_of_older_code() -> None:
    assert {page.name: text(page).count("(older)") for page in PAGES if "(older)" in text(page)} == {}


def test_a_table_of_older_code_is_found(tmp_path: Path) -> None:
    """The check above can fail, and can pass."""
    cell = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick")
    metric = Metric(value=0.03, unit="fraction", direction="lower", n=359)
    current = record(cell, metrics={"error_fraction": metric})
    command = ["table", "--store", str(tmp_path), "--board", "neurons", "--format", "md"]
    Store(tmp_path).write(older(current))
    assert older_in(command) == ["lif"]
    Store(tmp_path).write(current)
    assert older_in(command) == []


def test_what_is_older_can_be_left_out(tmp_path: Path) -> None:
    metric = Metric(value=0.03, unit="fraction", direction="lower", n=359)
    cells = [Cell("accuracy", "digits", name, "bptt", "mlp", budget="quick") for name in ("lif", "if", "klif")]
    lif, *others = (record(cell, metrics={"error_fraction": metric}) for cell in cells)
    for one in (older(lif), *others):
        Store(tmp_path).write(one)
    command = ["table", "--store", str(tmp_path), "--board", "neurons", "--format", "csv"]
    rows = [
        [line["neuron"] for line in csv.DictReader(io.StringIO(spikeboard(ROOT, *words)))]
        for words in (command, [*command, "--current"])
    ]
    assert [sorted(names) for names in rows] == [["if", "klif", "lif"], ["if", "klif"]]


def older_in(command: list[str]) -> list[str]:
    """Return the rows of the table behind a quoted table or picture that have a figure of older code."""
    verb, *words = command
    if verb == "figure":  # drawn from the table of the same board and task
        words = [*words[1:], "--current"]  # what is older is not drawn
    kept = [word for name in ("--store", "--board", "--task", "--budget", "--machine") for word in option(name, words)]
    only = [word for word in words if word == "--current"]
    lines = list(csv.DictReader(io.StringIO(spikeboard(ROOT, "table", *kept, *only, "--all", "--format", "csv"))))
    assert lines
    axis = dict(zip(kept[::2], kept[1::2], strict=True))["--board"].removesuffix("s")
    return [line[axis] for line in lines if "older" in line.values()]


def option(name: str, words: list[str]) -> list[str]:
    return words[words.index(name) : words.index(name) + 2] if name in words else []


def test_no_value_in_findings_is_written_by_hand() -> None:
    """What looks measured (a number with an interval, a unit or "times") stands between marks, or in a filled table."""
    page = text(ROOT / "docs" / "findings.md")
    page = re.sub(r"<!-- spikeboard .+?<!-- end -->", "", page, flags=re.DOTALL)
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


PASSES_ON = {"alternate": "run"}
"""Verbs that hand options which are not theirs to another."""


def test_every_command_line_has_options_that_exist() -> None:
    helps: dict[str, str] = {}
    for block in (block for page in PAGES for block in BLOCKS.findall(text(page))):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] != ["spikeboard"]:
                continue
            verb = words[1]
            if verb not in helps:
                verbs = [verb, *([PASSES_ON[verb]] if verb in PASSES_ON else [])]
                helps[verb] = "".join(spikeboard(ROOT, one, "--help") for one in verbs)
            for option in (word for word in words if word.startswith("--")):
                assert option in helps[verb], line
