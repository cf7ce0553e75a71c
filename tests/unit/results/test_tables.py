"""Records become tables: seeds combined, ties kept, what is not verified not ranked for speed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from synthetic import GPU, LAPTOP, Factory, record

from harness.catalogue.boards import BOARDS, WITHOUT_BACKEND, find_board
from harness.catalogue.cards import load_rows
from harness.catalogue.cell import Cell
from harness.errors import UserError
from harness.results.record import Machine, Metric, Record, Status
from harness.results.selection import newest
from harness.results.standing import Standing
from harness.results.tables import Table, build_tables

ROWS = load_rows()
BASE = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick")
PEERS = ("spikingjelly-lif", "snntorch-lif", "norse-lif")


def error(value: float, **axes: object) -> Record:
    metric = Metric(value=value, unit="fraction", direction="lower", n=359, low=value - 0.02, high=value + 0.02)
    return record(replace(BASE, **axes), metrics={"error_fraction": metric})


def speed(value: float, **axes: object) -> Record:
    metric = Metric(value=value, unit="seconds", direction="lower", low=value * 0.99, high=value * 1.01, n=9)
    return record(replace(BASE, suite="throughput", threads=2, **axes), metrics={"train_step_seconds": metric})


def passed(failed_checks: int = 0, machine: Machine = LAPTOP, **axes: object) -> Record:
    return Factory(ROWS).conformance(Cell("conformance", dtype="float64", **axes), failed_checks, machine)


GATE = [passed(neuron="lif"), passed(neuron="psn"), passed(neuron="if", method="bptt", topology="mlp")]


def neurons(records: list[Record]) -> Table:
    tables = build_tables(records, ROWS, find_board("neurons"))
    assert len(tables) == 1
    return tables[0]


def test_seeds_become_one_figure_with_an_interval() -> None:
    table = neurons([*GATE, *(error(value, seed=seed) for seed, value in enumerate((0.02, 0.03, 0.04)))])
    (row,) = table.rows
    estimate = row.values["accuracy.error_fraction"].estimate
    assert estimate.value == pytest.approx(0.03)
    assert (estimate.n, estimate.covers) == (3, "seeds")
    assert estimate.low is not None
    assert estimate.low < 0.02


def test_the_newest_record_of_a_cell_counts() -> None:
    older = error(0.5)
    newer = older.model_copy(
        update={
            "metrics": error(0.1).metrics,
            "provenance": older.provenance.model_copy(update={"started_at": "2027-01-01T00:00:00+00:00"}),
        }
    )
    for order in ([older, newer], [newer, older]):
        assert neurons(order).rows[0].values["accuracy.error_fraction"].estimate.value == 0.1


def test_rows_that_nothing_separates_tie() -> None:
    spread = (-0.01, 0.0, 0.01)
    records = [
        error(mean + offset, neuron=name, seed=seed)
        for name, mean in (("lif", 0.05), ("psn", 0.055), ("if", 0.4))
        for seed, offset in enumerate(spread)
    ]
    ranks = {row.name: row.values["accuracy.error_fraction"].rank for row in neurons(records).rows}
    assert ranks == {"lif": 1, "psn": 1, "if": 3}
    assert [row.name for row in neurons(records).rows] == ["lif", "psn", "if"]


def test_speed_is_ranked_among_verified_rows_only() -> None:
    table = neurons([*GATE, speed(2.0), speed(1.0, neuron="psn"), speed(0.1, neuron="klif")])
    ranks = {row.name: row.values["throughput.train_step_seconds"].rank for row in table.rows}
    assert ranks == {"psn": 1, "lif": 2, "klif": None}
    assert {row.name: row.verified for row in table.rows} == {"psn": True, "lif": True, "klif": False}


def test_a_failed_check_costs_the_mark() -> None:
    table = neurons([passed(1, neuron="lif"), *GATE[1:], speed(1.0)])
    assert not table.rows[0].verified


def test_conformance_elsewhere_does_not_count_here() -> None:
    elsewhere = [passed(machine=GPU, neuron="lif"), passed(machine=GPU, neuron="if", method="bptt", topology="mlp")]
    assert not neurons([*elsewhere, speed(1.0)]).rows[0].verified


def test_a_method_passes_for_every_network_of_its_structure() -> None:
    assert neurons([*GATE, speed(1.0, topology="conv")]).rows[0].verified
    assert not neurons([*GATE, speed(1.0, topology="feedback")]).rows[0].verified


def test_a_peer_is_verified_by_its_own_conformance_and_ranked_by_its_ratio() -> None:
    def figures(neuron: str, ratio: float) -> Record:
        cell = Cell("libraries", neuron=neuron, backend="-")
        known = ROWS.suite("libraries").metrics["train_step_ratio"]
        return record(cell, metrics={"train_step_ratio": Metric(value=ratio, unit="ratio", direction=known.direction)})

    gate = [passed(neuron=name, backend="-") for name in PEERS[:2]]
    measured = [figures(name, ratio) for name, ratio in zip(PEERS, (1.0, 0.1, 0.01), strict=True)]
    (table,) = build_tables([*gate, *measured], ROWS, find_board("libraries"))
    ranks = {row.name: row.values["libraries.train_step_ratio"].rank for row in table.rows}
    assert ranks == {PEERS[1]: 1, PEERS[0]: 2, PEERS[2]: None}
    assert table.rows[0].title == ROWS.peers[PEERS[1]].title
    assert table.group.label == "no task"


def test_nothing_is_ranked_across_machines_budgets_or_tasks() -> None:
    elsewhere = error(0.1).model_copy(update={"provenance": record(BASE, machine=GPU).provenance})
    records = [error(0.2), elsewhere, error(0.3, budget="smoke"), error(0.4, task="digits-rows")]
    tables = build_tables(records, ROWS, find_board("neurons"))
    assert len(tables) == 4
    assert all(len(table.rows) == 1 for table in tables)


def test_a_failure_stands_in_its_row_with_its_reason() -> None:
    crashed = record(replace(BASE, neuron="psn"), "crashed")
    table = neurons([error(0.1), crashed])
    assert [row.name for row in table.rows] == ["lif", "psn"]
    assert table.rows[1].failures["accuracy.error_fraction"].reason == "It ended as crashed."


def test_methods_on_the_networks_they_need_share_a_table() -> None:
    records = [error(0.1, neuron="if"), error(0.2, neuron="if", method="ide", topology="feedback")]
    (table,) = build_tables(records, ROWS, find_board("methods"))
    assert {(row.name, row.topology) for row in table.rows} == {("bptt", "mlp"), ("ide", "feedback")}


def test_an_unknown_board_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'neurons'"):
        find_board("neuron")


def test_a_figure_that_no_backend_moves_counts_whichever_has_run_it() -> None:
    fast = passed(neuron="lif", backend="fused-numba")
    both = [error(0.02, seed=0), error(0.03, seed=1, backend="fused-numba")]
    (row,) = neurons([*GATE, fast, *both, speed(0.01), speed(0.001, backend="fused-numba")]).rows
    assert row.verified
    assert row.values["accuracy.error_fraction"].estimate.n == 2
    assert row.values["throughput.train_step_seconds"].estimate.value == pytest.approx(0.01)
    (unproven,) = neurons([*GATE, *both]).rows
    assert not unproven.verified, "one seed was run by a backend that has not shown that it equals eager"


def test_a_seed_that_two_backends_have_run_counts_once() -> None:
    again = error(0.04, seed=0, backend="fused-numba")
    later = again.model_copy(
        update={"provenance": again.provenance.model_copy(update={"started_at": "2026-04-01T12:00:00+00:00"})}
    )
    (row,) = neurons([*GATE, error(0.02, seed=0), later]).rows
    estimate = row.values["accuracy.error_fraction"].estimate
    assert (estimate.n, estimate.value) == (359, 0.04)


def noisy(made: Record) -> Record:
    return made.model_copy(update={"status": "noisy", "reason": "The machine was not quiet."})


def test_a_noisy_timing_is_shown_but_neither_ranked_nor_first() -> None:
    gate = [*GATE, passed(neuron="plif")]
    fast = noisy(speed(0.0001, neuron="if"))
    table = neurons([*gate, fast, speed(0.002), speed(0.001, neuron="psn"), error(0.02, neuron="if")])
    values = {row.name: row.values["throughput.train_step_seconds"] for row in table.rows}
    assert values["if"].standing is Standing.NOISY
    assert {name: value.rank for name, value in values.items()} == {"if": None, "lif": 2, "psn": 1}
    assert values["if"].estimate.value == 0.0001
    (row,) = [row for row in table.rows if row.name == "if"]
    assert "throughput.train_step_seconds" not in row.failures


def test_one_noisy_seed_spoils_the_mean() -> None:
    table = neurons([*GATE, speed(0.002), noisy(speed(0.9, seed=1))])
    assert table.rows[0].values["throughput.train_step_seconds"].standing is Standing.NOISY


def test_exact_figures_of_a_noisy_record_stand() -> None:
    saved = Metric(value=4096.0, unit="bytes", direction="lower", exact=True)
    cell = Cell("libraries", neuron="snntorch-lif", backend="-", threads=2)
    ratio = Metric(value=2.0, unit="ratio", direction="lower")
    made = noisy(record(cell, metrics={"saved_bytes": saved, "train_step_ratio": ratio}))
    (table,) = build_tables([made], ROWS, find_board("libraries"))
    (row,) = table.rows
    assert row.values["libraries.saved_bytes"].standing is Standing.CURRENT
    assert row.values["libraries.train_step_ratio"].standing is Standing.NOISY


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ("ok", "noisy", "ok"),
        ("noisy", "ok", "ok"),
        ("noisy", "interrupted", "noisy"),
        ("ok", "interrupted", "ok"),
        ("noisy", "crashed", "crashed"),
        ("ok", "crashed", "crashed"),
    ],
)
def test_what_a_later_run_of_the_same_code_replaces(first: Status, second: Status, kept: str) -> None:
    made = speed(0.002)
    later = made.provenance.model_copy(update={"started_at": "2099-01-01T00:00:00+00:00"})
    before = made.model_copy(update={"status": first})
    after = made.model_copy(update={"status": second, "provenance": later})
    for order in ([before, after], [after, before]):
        assert [found.status for found in newest(order)] == [kept]
    changed = after.model_copy(update={"provenance": later.model_copy(update={"code_hash": "f" * 64})})
    assert newest([before, changed]) == [changed]


def test_no_ranked_column_mixes_backends() -> None:
    """A board's times are of one backend, or the backend is its axis."""
    for board in BOARDS:
        for column in board.columns:
            if column.suite not in WITHOUT_BACKEND:
                assert "backend" not in board.varies
                assert len(board.fixed.get("backend", ())) <= 1
            else:
                unit = ROWS.suite(column.suite).metrics[column.metric].unit
                assert "second" not in unit, f"{board.name}: {column.key} may come from any backend"
