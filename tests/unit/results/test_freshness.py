"""Only current figures are ranked; older ones are shown, marked, and never mixed with current ones."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
import synthetic
from synthetic import error_metric, metric, older, record

from harness.catalogue.boards import find_board
from harness.catalogue.cell import Cell
from harness.errors import UserError
from harness.report.cells import figure
from harness.report.figures import pareto_plot
from harness.report.formats import FORMATS, to_text
from harness.report.units import scale_for
from harness.results.fingerprint import Fingerprints, fingerprint
from harness.results.freshness import CURRENT, Age, Freshness, Today
from harness.results.ranking import Rank
from harness.results.record import Record
from harness.results.selection import preferred, unmixed
from harness.results.standing import Standing
from harness.results.table import Table
from harness.results.tables import build_tables

ROWS = synthetic.registry()
CELL = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick")
EARLY, LATE = "2026-01-01T00:00:00+00:00", "2026-06-01T00:00:00+00:00"


def trained(neuron: str, errors: int, seed: int = 0, **more: Any) -> Record:
    cards = ROWS.suite("accuracy").metrics
    cell = replace(CELL, neuron=neuron, seed=seed)
    return record(cell, metrics={"error_fraction": error_metric(errors, cards["error_fraction"])}, **more)


def table(*records: Record) -> Table:
    return build_tables(records, ROWS, find_board("neurons"))[0]


def value(shown: Table, neuron: str) -> Any:
    return next(row for row in shown.rows if row.name == neuron).values["accuracy.error_fraction"]


def with_inputs(cell: Cell, **changed: str) -> dict[str, str]:
    return {**fingerprint(cell, ROWS).inputs, **changed}


def test_a_record_of_todays_inputs_is_current() -> None:
    assert Today(ROWS).of_record(record(CELL)) == CURRENT


@pytest.mark.parametrize(
    ("changed", "age"),
    [
        ({"neuron": "0"}, Age.CODE),
        ({"method settings": "0", "contracts": "0"}, Age.CODE),
        ({"suite": "0"}, Age.QUESTION),
        ({"neuron": "0", "data": "0"}, Age.QUESTION),
        ({"something that is no more": "0"}, Age.QUESTION),
    ],
)
def test_an_older_one_says_what_changed(changed: dict[str, str], age: Age) -> None:
    found = Today(ROWS).of_record(older(record(CELL), with_inputs(CELL, **changed)))
    assert found == Freshness(age, tuple(sorted(changed)))
    assert all(name in str(found) for name in changed)


def test_one_that_does_not_say_what_it_depends_on_is_older_code() -> None:
    found = Today(ROWS).of_record(older(record(CELL)))
    assert found.age is Age.CODE
    assert "not recorded" in str(found)


def test_a_row_that_is_gone_makes_its_records_stale() -> None:
    gone = replace(CELL, neuron="gone")
    then = Fingerprints(replace(ROWS, neurons={**ROWS.neurons, "gone": ROWS.neurons["lif"]})).of(gone)
    found = Today(ROWS).of(gone, then.code_hash, then.inputs)
    assert {"neuron", "neuron settings"} <= set(found.changed)


def test_a_record_like_others_is_judged_at_a_hundredth_of_the_cost() -> None:
    """A hundred thousand of them in a second or two: the code is looked into once for each kind of cell."""
    today = Today(ROWS)
    neurons = list(ROWS.neurons)[:20]
    cells = [replace(CELL, neuron=neuron, seed=seed) for neuron in neurons for seed in range(5_000)]
    first = fingerprint(cells[0], ROWS).code_hash
    started = time.process_time()
    Fingerprints(ROWS).of(cells[0])
    anew = time.process_time() - started
    started = time.process_time()
    answers = [today.of(cell, first, None) for cell in cells]
    assert (time.process_time() - started) / len(cells) < anew / 100
    assert sum(answer.is_current for answer in answers) == 5_000


def test_a_current_record_counts_before_a_newer_one_of_older_code() -> None:
    current, newer = trained("lif", 10, started_at=EARLY), older(trained("lif", 99, started_at=LATE))
    assert preferred([current, newer], Today(ROWS)) == [current]
    assert preferred([newer, current], Today(ROWS)) == [current]
    assert value(table(newer, current), "lif").estimate.value == pytest.approx(10 / synthetic.TEST_SAMPLES)


def test_without_a_current_one_the_newest_counts() -> None:
    first, second = (older(trained("lif", 10, started_at=when)) for when in (EARLY, LATE))
    assert preferred([second, first], Today(ROWS)) == [second]


def test_seeds_of_older_code_are_never_combined_with_current_ones() -> None:
    records = [trained("lif", 10, 0), older(trained("lif", 90, 1, started_at=LATE)), trained("lif", 12, 2)]
    assert unmixed(records, Today(ROWS)) == [records[0], records[2]]
    shown = value(table(*records), "lif")
    assert shown.standing is Standing.CURRENT
    assert shown.estimate.value == pytest.approx(11 / synthetic.TEST_SAMPLES)


def test_an_older_figure_is_shown_and_not_ranked() -> None:
    best = older(trained("psn", 1), with_inputs(CELL, suite="0"))
    seeds = [trained(name, errors + seed, seed) for name, errors in (("lif", 10), ("if", 200)) for seed in range(3)]
    shown = table(best, *seeds)
    assert value(shown, "psn").standing is Standing.OLDER
    assert value(shown, "psn").rank is None
    assert value(shown, "psn").reason.startswith("older suite or task (")
    assert value(shown, "lif").rank == Rank(1, 1, True)
    assert value(shown, "if").rank == Rank(2, 2, False)
    assert [row.name for row in shown.rows] == ["psn", "lif", "if"], "by estimate, also what has no rank"


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_marks_it(name: str) -> None:
    text = to_text([table(older(trained("psn", 1)), trained("lif", 10))], name)
    marked = [line for line in text.splitlines() if "older" in line]
    assert marked
    assert not any("lif" in line for line in marked)


def test_a_picture_of_nothing_current_says_so() -> None:
    with pytest.raises(UserError, match="current"):
        pareto_plot(table(older(trained("psn", 1)), older(trained("lif", 2))), "throughput.train_step_ratio")


def test_conformance_of_older_code_verifies_nothing() -> None:
    gate = synthetic.Factory(ROWS).conformance
    cells = [
        Cell("conformance", neuron="lif", dtype="float64"),
        Cell("conformance", neuron="lif", method="bptt", topology="mlp", dtype="float64"),
    ]
    passed = [gate(cell) for cell in cells]
    card = ROWS.suite("throughput").metrics["train_step_seconds"]
    timed = record(replace(CELL, suite="throughput"), metrics={"train_step_seconds": metric(1e-3, card, 1e-5)})
    assert table(timed, *passed).rows[0].verified
    assert not table(timed, older(passed[0]), passed[1]).rows[0].verified
    assert not table(timed, passed[0], older(passed[1])).rows[0].verified


def test_a_page_says_why_a_figure_is_not_ranked() -> None:
    stale = older(trained("psn", 1), with_inputs(CELL, suite="0"))
    shown = figure(value(table(stale), "psn"), scale_for("fraction", 0.1))
    assert shown.mark == "older"
    assert shown.reason.startswith("older suite or task (")
    assert not shown.ranked
    assert any(line.startswith("not ranked: older suite or task") for line in shown.details)
