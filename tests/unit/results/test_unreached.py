"""A training that never gets to its target is said, in every format, and stands below those that do."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from synthetic import Factory, record

from harness.catalogue.boards import find_board
from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.report.cells import figure, not_reached
from harness.report.changes import headline
from harness.report.formats import column_scale, to_text
from harness.results.comparison import compare
from harness.results.ranking import Rank
from harness.results.record import Metric, Record
from harness.results.standing import Standing
from harness.results.table import Table, TableRow
from harness.results.tables import build_tables
from harness.results.unreached import missed_target

REGISTRY = load_registry()
CELL = Cell("time_to_target", "digits", "lif", "bptt", "mlp", budget="quick", threads=2)
COLUMN = "time_to_target.seconds_to_target"
MISSED = {"target_error_fraction": 0.1, "target_reached": False, "epochs": 20}


def reached(seconds: float, **axes: object) -> Record:
    metric = Metric(value=seconds, unit="seconds", direction="lower", low=seconds * 0.98, high=seconds * 1.02, n=9)
    return record(replace(CELL, **axes), metrics={"seconds_to_target": metric})


def missed(**axes: object) -> Record:
    return record(replace(CELL, **axes), metrics={}, details=MISSED)


def gate(*neurons: str) -> list[Record]:
    return [Factory(REGISTRY).conformance(Cell("conformance", dtype="float64", neuron=name)) for name in neurons]


GATE = [
    *gate("lif", "if", "plif", "psn"),
    Factory(REGISTRY).conformance(Cell("conformance", dtype="float64", neuron="if", method="bptt", topology="mlp")),
]


def table(*records: Record) -> Table:
    (found,) = build_tables([*GATE, *records], REGISTRY, find_board("neurons"))
    return found


def row(found: Table, name: str) -> TableRow:
    return next(one for one in found.rows if one.name == name)


SOME = table(reached(1.0, neuron="lif"), reached(2.0, neuron="plif"), missed(neuron="if"), missed(neuron="psn"))


def test_those_that_do_not_reach_it_rank_below_all_that_do() -> None:
    ranks = {one.name: one.values[COLUMN].rank for one in SOME.rows if COLUMN in one.values}
    assert ranks == {"lif": Rank(1, 1, True), "plif": Rank(2, 2, False)}
    assert {one.name: one.unreached[COLUMN].rank for one in SOME.rows if one.unreached} == {
        name: Rank(3, 4, tied_with_best=False) for name in ("if", "psn")
    }


@pytest.mark.parametrize("name", ["md", "latex", "html"])
def test_every_format_says_it(name: str) -> None:
    assert to_text([SOME], name).count("not reached") == 2


def test_csv_says_it_with_the_rank() -> None:
    lines = {line["neuron"]: line for line in csv.DictReader(io.StringIO(to_text([SOME], "csv")))}
    line = lines["psn"]
    assert line[f"{COLUMN}.standing"] == "not reached"
    assert (line[f"{COLUMN}.rank_best"], line[f"{COLUMN}.rank_worst"]) == ("3", "4")
    assert line[f"{COLUMN}.value"] == ""
    assert lines["lif"][f"{COLUMN}.standing"] == "current"


def test_a_page_says_it_and_leads_to_the_record() -> None:
    cell = not_reached(row(SOME, "if").unreached[COLUMN])
    assert cell.status == "not reached"
    assert "rank 3-4" in cell.reason
    assert cell.record.startswith("records/")


def test_a_column_that_nobody_reaches_is_shown_all_the_same() -> None:
    found = table(missed(neuron="lif"), missed(neuron="if"))
    assert [column.key for column in found.columns] == [COLUMN]
    for name in ("md", "latex", "html", "csv"):
        assert to_text([found], name).count("not reached") == 2
    assert row(found, "if").unreached[COLUMN].rank == Rank(1, 2, tied_with_best=True)


def test_one_seed_that_misses_it_is_named_beside_the_others() -> None:
    found = table(*(reached(1.0, seed=seed) for seed in (0, 1)), missed(seed=2))
    lif = row(found, "lif")
    assert not lif.unreached
    assert lif.failures[COLUMN].cell.seed == 2
    (column,) = found.columns
    shown = figure(lif.values[COLUMN], column_scale(found, column), failure=lif.failures[COLUMN])
    assert shown.missing == "a run did not reach the target; this rests on 2 runs"


def test_what_is_not_verified_is_said_and_not_ranked() -> None:
    (found,) = build_tables([reached(1.0), missed(neuron="if")], REGISTRY, find_board("neurons"))
    assert row(found, "if").unreached[COLUMN].rank is None


def test_older_code_is_marked_and_not_ranked() -> None:
    old = missed(neuron="if")
    old = old.model_copy(
        update={"provenance": old.provenance.model_copy(update={"code_hash": "0" * 64, "inputs": None})}
    )
    one = row(table(reached(1.0), old), "if").unreached[COLUMN]
    assert (one.standing, one.rank, one.text) == (Standing.OLDER, None, "not reached (older)")


def test_only_a_target_can_be_missed() -> None:
    nothing = record(replace(CELL, suite="throughput"), metrics={})
    assert not missed_target(nothing, "train_step_seconds", is_current=True)
    assert missed_target(missed(), "seconds_to_target", is_current=False)
    some = record(
        replace(CELL, suite="accuracy"),
        metrics={"updates_to_target": Metric(value=9.0, unit="updates", direction="lower", exact=True)},
    )
    assert not missed_target(some, "samples_to_target", is_current=True), "its code did not count them"
    error = Metric(value=0.3, unit="fraction", direction="lower", n=359)
    other = record(replace(CELL, suite="accuracy"), metrics={"error_fraction": error})
    assert missed_target(other, "updates_to_target", is_current=True)
    assert not missed_target(other, "updates_to_target", is_current=False), "older code may not have known"


def test_a_target_that_is_no_longer_reached_is_a_regression() -> None:
    (change,) = compare([reached(1.0)], [missed()], REGISTRY, 0.05)
    assert change.fails
    assert "not reached" in headline(change)
    seeds = [reached(1.0, seed=seed) for seed in range(3)]
    (change,) = compare(seeds, [*seeds[:2], missed(seed=2)], REGISTRY, 0.05)
    assert change.fails
