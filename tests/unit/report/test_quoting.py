"""Values in Markdown: quoted from records by name, and only what stands between the marks changes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import record, registry, write_store
from typer.testing import CliRunner

from harness.catalogue.boards import find_board
from harness.catalogue.cell import Cell
from harness.cli import app
from harness.errors import UserError
from harness.report.quoting import QuotedTable, fill_values, quoted_cell
from harness.results.record import Metric, Record
from harness.results.tables import build_tables

CELL = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick")
ERRORS = {"lif": 0.134, "if": 0.227, "psn": 0.031}


def measured(neuron: str, value: float, half: float | None = 0.01) -> Record:
    bounds = {} if half is None else {"low": value - half, "high": value + half, "n": 9, "covers": "repetitions"}
    metric = Metric(value=value, unit="fraction", direction="lower", **bounds)
    return record(replace(CELL, neuron=neuron), metrics={"error_fraction": metric})


RECORDS = [measured(*item) for item in ERRORS.items()]


def filled(text: str) -> str:
    def table(board: str) -> QuotedTable:
        return QuotedTable(build_tables(RECORDS, registry(), find_board(board))[0])

    return fill_values(text, {"table": table, "cell": lambda **axes: quoted_cell(RECORDS, axes)})


def quoted(expression: str) -> str:
    text = f'<!-- let errors = table("neurons") -->\nA <!--= {expression} --><!--/--> B'
    (line,) = filled(text).splitlines()[1:]
    return line.removeprefix(f"A <!--= {expression} -->").removesuffix("<!--/--> B")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ('errors["lif"].error_fraction', "13.4 ± 1.0 %"),
        ('errors["lif"].error_fraction.bare', "13.4 ± 1.0"),
        ('errors["lif"].error_fraction.alone', "13.4 %"),
        ('errors["if"].error_fraction / errors["lif"].error_fraction', "1.69"),
        ('(errors["lif"].error_fraction / errors["if"].error_fraction).share', "59.0 %"),
        ('span(errors["if"].error_fraction, errors["psn"].error_fraction)', "3.10 % to 22.7 %"),
        ('errors.best("error_fraction")', "psn"),
        ('errors.ties("error_fraction")', "1"),
        ('errors.count("error_fraction")', "3"),
        ('errors.above("error_fraction", 0.1)', "2"),
        ('errors.least("error_fraction")', "3.10 ± 1.00 % (psn)"),
        ('errors.largest("error_fraction")', "22.7 ± 1.0 % (if)"),
        ('cell(neuron="lif", task="digits").error_fraction', "13.4 ± 1.0 %"),
    ],
)
def test_an_expression_is_a_value(expression: str, value: str) -> None:
    assert quoted(expression) == value


def test_only_what_stands_between_marks_changes() -> None:
    text = 'x <!--= cell(neuron="if").error_fraction.alone -->99 %<!--/-->, 99 %\n<!-- a comment -->'
    assert filled(text) == 'x <!--= cell(neuron="if").error_fraction.alone -->22.7 %<!--/-->, 99 %\n<!-- a comment -->'
    assert filled(filled(text)) == filled(text)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ('errors["lfi"].error_fraction', "did you mean 'lif'"),
        ('errors["lif"].error_fractoin', "did you mean 'error_fraction'"),
        ('cell(task="digits").error_fraction', "3 kinds of cell have task digits"),
        ("nothing.here", "cannot quote 'nothing.here'"),
        ("errors[", "cannot quote"),
        ("errors.__class__", "cannot quote"),
    ],
)
def test_what_cannot_be_quoted_is_named(expression: str, said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        quoted(expression)


def test_a_file_is_checked_and_written(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", RECORDS, corrupt=False)
    command = f"spikeboard table --store {store} --board neurons --format csv"
    page = tmp_path / "page.md"
    page.write_text(
        f'LIF has <!--= table("neurons")["lif"].error_fraction --><!--/-->.\n\n<!-- {command} -->\n<!-- end -->\n'
    )
    words = ["fill", str(page), "--store", str(store)]
    before = page.read_text()
    stale = CliRunner().invoke(app, [*words, "--check"])
    assert stale.exit_code == 1
    assert f"{page}: out of date" in stale.output
    assert page.read_text() == before
    assert CliRunner().invoke(app, words).exit_code == 0
    assert "LIF has" in page.read_text()
    assert "-->13.4 ± 1.0 %<!--/-->" in page.read_text()
    assert "\nneurons,digits,lif,bptt,mlp" in page.read_text()
    assert CliRunner().invoke(app, [*words, "--check"]).exit_code == 0


def test_a_picture_that_is_out_of_date_is_found(tmp_path: Path) -> None:
    timed = {
        item.cell.neuron: {
            "train_step_ratio": Metric(value=0.5 * number, unit="ratio", direction="lower"),
        }
        for number, item in enumerate(RECORDS, start=1)
    }
    costs = [record(replace(CELL, suite="throughput", neuron=name), metrics=one) for name, one in timed.items()]
    store = write_store(tmp_path / "store", [*RECORDS, *costs], corrupt=False)
    page, picture = tmp_path / "page.md", tmp_path / "plot.svg"
    page.write_text(f"<!-- spikeboard figure {picture} --store {store} -->\n![plot](plot.svg)\n<!-- end -->\n")
    assert CliRunner().invoke(app, ["fill", str(page), "--check"]).exit_code == 1
    assert CliRunner().invoke(app, ["fill", str(page)]).exit_code == 0
    assert CliRunner().invoke(app, ["fill", str(page), "--check"]).exit_code == 0
    picture.write_text("another")
    assert CliRunner().invoke(app, ["fill", str(page), "--check"]).exit_code == 1
