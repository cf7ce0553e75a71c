"""Boards compare like with like: no ranked column of any of them mixes ways of executing a neuron."""

from __future__ import annotations

from dataclasses import replace

import pytest
import synthetic

from harness.catalogue.boards import BOARDS
from harness.catalogue.boards.model import WITHOUT_BACKEND, Board
from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.results.record import Record
from harness.results.table import Table
from harness.results.tables import build_tables

BACKENDS = ("eager", "compiled", "fused-numba")
ROWS = synthetic.registry()
SUITES = sorted({column.suite for board in BOARDS for column in board.columns})
"""All suites of all boards, so that a new one is asked too."""


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """Records of every suite that a board shows, each combination under every backend, on every axis twice."""
    factory = synthetic.Factory(ROWS)
    made = []
    for suite in SUITES:
        for neuron in ("lif", "if"):
            for method, topology in (("bptt", "mlp"), ("ottt-a", "mlp"), ("bptt", "feedback")):
                for task in ("digits", "mnist"):
                    base = Cell(suite, task, neuron, method, topology, budget="quick")
                    made += [factory.measured(replace(base, backend=backend)) for backend in BACKENDS]
    for suite in ("layers", "libraries", "crossover"):
        for neuron in ("lif", "if", *list(ROWS.peers)[:2]):
            made += [factory.measured(Cell(suite, neuron=neuron, backend=b)) for b in (*BACKENDS, NOT_APPLICABLE)]
    made += [factory.measured(Cell("accuracy", "digits", net, "imported", "nir")) for net in ("one", "other")]
    return made


def backends_of(table: Table, column: str) -> set[str]:
    return {record.cell.backend for row in table.rows if column in row.values for record in row.values[column].records}


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_no_column_of_a_table_mixes_backends(board: Board, records: list[Record]) -> None:
    tables = build_tables(records, ROWS, board)
    assert any(len(table.rows) > 1 for table in tables), "there is something to mix"
    for table in tables:
        for column in table.columns:
            if board.axis != "backend" and column.suite not in WITHOUT_BACKEND:
                assert len(backends_of(table, column.key)) == 1, (table.group.label, column.key)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_figure_that_counts_under_any_backend_is_no_timing(board: Board) -> None:
    for column in board.columns:
        if column.suite in WITHOUT_BACKEND:
            unit = ROWS.suite(column.suite).metrics[column.metric].unit
            assert "second" not in unit, column.key
            assert not ROWS.suite(column.suite).exclusive, "what needs the machine to itself depends on the backend"


def test_baselines_are_rows_that_exist() -> None:
    names = {
        "neuron": {*ROWS.cell_neurons},
        "method": {*ROWS.methods},
        "task": {*ROWS.tasks},
        "topology": {*ROWS.topologies},
    }
    for board in BOARDS:
        if board.baseline:
            assert board.baseline in names.get(board.axis, {"eager"}), board.name
