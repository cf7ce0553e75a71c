"""The first screen says what the terminal says; maps hatch what may be chance; badges are those of the cards."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import Factory, error_metric, metric, record, write_store
from typer.testing import CliRunner

from harness.catalogue.boards import BOARDS, find_board
from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.cli import app
from harness.report.front_view import CHOICES, LIMITS, Front, view_front
from harness.report.glossary import EXPLAINED
from harness.report.heatmap import heatmap
from harness.report.links import Sitemap
from harness.report.plots import MOST_NAMED, RowMark, pareto_plots
from harness.report.table_view import view_table
from harness.report.traits import Traits
from harness.results.overall.board import view_bundle
from harness.results.recommend import Chooser
from harness.results.record import Record
from harness.results.tables import build_tables

REGISTRY = load_registry()
CARDS = {suite: REGISTRY.suite(suite).metrics for suite in REGISTRY.suites}
BASE = Cell("accuracy", "fsdd", "lif", "bptt", "mlp", budget="standard")
NOWHERE = Sitemap({})
LIKE, BETTER, WORSE = (200, 204, 196, 200, 202), (100, 103, 98, 101, 97), (300, 305, 297, 301, 299)


def row(neuron: str, errors: Iterable[int], energy: float, **axes: object) -> list[Record]:
    cell = replace(BASE, neuron=neuron, **axes)
    made = [
        record(
            replace(cell, seed=seed),
            metrics={
                "error_fraction": error_metric(wrong, CARDS["accuracy"]["error_fraction"], 1000),
                "parameters": metric(9000.0 if neuron == "psn" else 4500.0, CARDS["accuracy"]["parameters"]),
            },
        )
        for seed, wrong in enumerate(errors)
    ]
    figures = {"energy_joules": metric(energy * 1e-9, CARDS["spikes"]["energy_joules"])}
    return [*made, record(replace(cell, suite="spikes"), metrics=figures)]


RECORDS = [
    *(
        Factory(REGISTRY).conformance(Cell("conformance", neuron=name, dtype="float64"))
        for name in ("lif", "psn", "if")
    ),
    *row("lif", LIKE, 100),
    *row("psn", BETTER, 300),
    *row("if", (201, 202, 197, 198, 202), 80),
    *row("klif", WORSE, 110),
    *(
        record(replace(BASE, neuron="glif", seed=seed), "diverged", reason="Its loss is not finite.")
        for seed in range(5)
    ),
    *row("lif", LIKE, 90, task="smnist-rows"),
    *row("psn", BETTER, 280, task="smnist-rows"),
    *row("if", LIKE, 70, task="smnist-rows"),
]


@pytest.fixture(scope="module")
def chooser() -> Chooser:
    return Chooser(build_tables(RECORDS, REGISTRY), REGISTRY)


@pytest.fixture(scope="module")
def front(chooser: Chooser) -> Front:
    bundle = chooser.widest("neuron")
    assert bundle is not None
    return view_front(chooser, {"neuron": view_bundle(bundle)}, REGISTRY, NOWHERE)


def test_every_question_that_can_be_chosen_has_an_answer(front: Front) -> None:
    keys = {answer.key for answer in front.answers}
    for kind in front.kinds:
        for choose in front.choices:
            for limit in front.limits:
                for wanted in front.properties:
                    if wanted.only in ("", choose.value):
                        assert f"{kind.value}.{choose.value}.{limit.value}.{wanted.value}" in keys
    assert len(keys) == len(front.answers)
    assert [option.value for option in front.choices] == list(CHOICES)
    assert [option.value for option in front.limits] == list(LIMITS)
    assert front.kinds[0].value == "sound"  # of which most is known
    assert front.first.key == "sound.neuron.any.any"
    assert front.first.sentence.startswith("For sound, take psn: ")


@pytest.mark.parametrize(
    "key",
    ["sound.neuron.any.any", "sound.neuron.energy.online", "sequences.neuron.half-energy.any", "events.method.any.any"],
)
def test_the_page_and_the_terminal_give_the_same_answer(front: Front, tmp_path: Path, key: str) -> None:
    answer = next(one for one in front.answers if one.key == key)
    store = write_store(tmp_path / "store", RECORDS, corrupt=False)
    _, *arguments = shlex.split(answer.command)
    found = CliRunner().invoke(app, [*arguments, "--store", str(store)])
    assert found.output.splitlines()[:2] == [answer.sentence, answer.unknown]


def test_the_plot_beside_an_answer_names_its_frontier(front: Front) -> None:
    plots = {one.key: one.plot for one in front.plots}
    assert front.first.plot == "sound.neuron.energy"
    caption = plots[front.first.plot].caption
    assert "to the lowest test error: if, " in caption
    assert caption.endswith(" and psn.")
    assert all(answer.plot in ("", *plots) for answer in front.answers)
    assert len({plot.id for plot in plots.values()}) == len(plots)


def test_maps_hatch_what_may_be_chance_and_show_what_failed(chooser: Chooser) -> None:
    bundle = chooser.widest("neuron")
    assert bundle is not None
    shown = heatmap(view_bundle(bundle), Traits(REGISTRY), NOWHERE)
    assert [column.label for column in shown.columns] == ["fsdd, mlp", "smnist-rows, mlp"]
    rows = {one.name: dict(zip(("fsdd", "rows"), one.cells, strict=True)) for one in shown.rows}
    assert (rows["psn"]["fsdd"].colour, rows["psn"]["fsdd"].hatched) == ("h0", False)
    assert (rows["if"]["fsdd"].colour, rows["if"]["fsdd"].hatched) == ("h3", True)
    assert "which may be chance" in rows["if"]["fsdd"].details
    assert (rows["klif"]["fsdd"].colour, rows["klif"]["fsdd"].hatched) == ("h5", False)
    assert (rows["lif"]["fsdd"].text, rows["lif"]["fsdd"].hatched) == ("1.00", False)
    assert (rows["glif"]["fsdd"].text, rows["glif"]["fsdd"].colour) == ("diverged", "")
    assert "Its loss is not finite." in rows["glif"]["fsdd"].details
    assert rows["klif"]["rows"].text == "–"
    badges = {one.name: [trait.text for trait in one.traits] for one in shown.rows}
    assert badges["psn"] == ["not causal", "whole sequence", "fixed T", "2× parameters"]
    assert badges["if"] == ["causal", "step by step", "1× parameters"]


def test_badges_say_what_rules_a_row_out() -> None:
    traits = Traits(REGISTRY)
    said = {
        (axis, name): {one.text: one.caution for one in traits.of(axis, name)}
        for axis, name in [
            ("neuron", "mpe-psn"),
            ("neuron", "ternary-lif"),
            ("method", "ottt-o"),
            ("method", "bptt"),
            ("method", "hsd"),
        ]
    }
    assert said["neuron", "mpe-psn"]["stochastic"]
    assert said["neuron", "ternary-lif"]["ternary"]
    assert set(said["method", "ottt-o"]) == {"memory O(1)", "updates within a sample"}
    assert set(said["method", "bptt"]) == {"memory O(T)"}
    assert said["method", "hsd"]["pretrains"]
    assert traits.of("neuron", "no-such-row") == traits.of("task", "digits") == ()


def test_columns_that_few_rows_have_are_folded_and_heads_are_explained() -> None:
    records = [*RECORDS, *(one for name in ("plif", "clif", "cuba-lif") for one in row(name, LIKE, 100)[:-1])]
    step = replace(BASE, suite="throughput", threads=2)
    records.append(
        record(step, metrics={"train_step_seconds": metric(1e-3, CARDS["throughput"]["train_step_seconds"], 1e-5)})
    )
    table = build_tables(records, REGISTRY, find_board("neurons"))[0]
    view = view_table(table, (), NOWHERE, Traits(REGISTRY))
    folded = {column.key: column.folded for column in view.columns}
    assert folded == {
        "accuracy.error_fraction": False,
        "throughput.train_step_seconds": True,
        "spikes.energy_joules": False,
    }
    energy = next(column for column in view.columns if column.key == "spikes.energy_joules")
    assert energy.hint.startswith("Energy of the arithmetic of one inference")
    first = next(one for one in view.rows if one.name == "psn")
    assert "9k parameters" in [trait.text for trait in first.traits]


def test_what_is_explained_is_a_column_of_some_board() -> None:
    assert set(EXPLAINED) <= {column.key for board in BOARDS for column in board.columns}


def test_a_long_frontier_is_named_by_its_ends(chooser: Chooser) -> None:
    names = ("plif", "clif", "glif", "cuba-lif", "se-adlif", "prf", "psu", "klif")
    many = [one for at, name in enumerate(names) for one in row(name, LIKE, 120 + 10 * at)]
    records = [one for one in RECORDS if one.cell.neuron not in names and one.cell.task != "smnist-rows"]
    table = build_tables([*records, *many], REGISTRY, find_board("neurons"))[0]
    marks = {(one.name, one.topology): RowMark(one.name, "") for one in table.rows}
    plot = next(iter(pareto_plots(table, marks)))
    on = [point.label for point in sorted(plot.points, key=lambda point: point.x) if point.on_frontier]
    assert len(on) > MOST_NAMED
    assert f"{', '.join(on[:4])}, {len(on) - 8} more, {', '.join(on[-4:-1])} and {on[-1]}." in plot.caption
