"""Figures for papers: the same records draw the same file, and what cannot be drawn is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import Factory, older, registry, write_store
from typer.testing import CliRunner

from harness.catalogue.boards import find_board
from harness.catalogue.cell import Cell
from harness.cli import app
from harness.errors import UserError
from harness.report.figures import draw_pareto, pareto_plot
from harness.results.record import Record
from harness.results.table import Table
from harness.results.tables import build_tables

COST = "throughput.train_step_ratio"


def made(budget: str = "quick", neurons: tuple[str, ...] = ("if", "lif", "psn")) -> list[Record]:
    factory = Factory(registry())
    base = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget=budget)
    return [
        factory.measured(replace(base, suite=suite, neuron=neuron))
        for suite in ("accuracy", "throughput")
        for neuron in neurons
    ]


def table(*, are_older: bool = False) -> Table:
    records = made()
    return build_tables([older(one) if are_older else one for one in records], registry(), find_board("neurons"))[0]


@pytest.mark.parametrize("ending", ["svg", "pdf", "png"])
def test_the_same_records_draw_the_same_file(tmp_path: Path, ending: str) -> None:
    plot = pareto_plot(table(), COST)
    first, second = tmp_path / f"first.{ending}", tmp_path / f"second.{ending}"
    for path in (first, second):
        draw_pareto(plot, path)
    assert first.read_bytes() == second.read_bytes()


def test_a_cost_that_there_is_not_is_named() -> None:
    with pytest.raises(UserError, match=r"did you mean 'throughput\.train_step_ratio'"):
        pareto_plot(table(), "throughput.train_step_second")


def test_a_table_of_older_figures_is_not_drawn_and_says_why() -> None:
    with pytest.raises(UserError, match="no figure of this table is current"):
        pareto_plot(table(are_older=True), COST)


def test_the_fullest_table_that_is_current_is_drawn(tmp_path: Path) -> None:
    fuller = [older(one) for one in made("standard", ("if", "lif", "psn", "klif"))]
    store = write_store(tmp_path / "store", [*fuller, *made()], corrupt=False)
    said = CliRunner().invoke(
        app, ["figure", str(tmp_path / "x.svg"), "--against", COST, "--store", str(store)], catch_exceptions=False
    )
    assert said.exit_code == 0, said.output
    assert "quick" in said.output
