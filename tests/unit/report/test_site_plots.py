"""What is drawn: the frontier, the places of labels, the lines."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st

from harness.catalogue.boards import find_board
from harness.catalogue.cell import Cell
from harness.report.axes import Axis
from harness.report.curves import MOST_POINTS, cost_curves, series_plots
from harness.report.labels import SIZES, Label, label_box, label_sides
from harness.report.links import row_id
from harness.report.measured import combinations_of
from harness.report.paper import reported_beside
from harness.report.plots import ParetoPlot, RowMark, frontier, pareto_plots
from harness.results.record import Series
from harness.results.table import Table
from harness.results.tables import build_tables

coordinates = st.integers(-50, 50).map(float)
points = st.lists(st.tuples(coordinates, coordinates), max_size=30)


def dominates(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return a[0] <= b[0] and a[1] <= b[1] and a != b


@given(points)
def test_frontier_is_what_nothing_dominates(given_points: list[tuple[float, float]]) -> None:
    flags = frontier(given_points)
    best = [point for point, flag in zip(given_points, flags, strict=True) if flag]
    assert bool(best) == bool(given_points)
    for point, flag in zip(given_points, flags, strict=True):
        assert flag == (not any(dominates(other, point) for other in given_points))
        # What is off the frontier is dominated by something on it.
        assert flag or any(dominates(other, point) for other in best)
    # From cheap to dear, the frontier only gets better.
    corners = sorted(set(best))
    assert all(a[0] < b[0] and a[1] > b[1] for a, b in itertools.pairwise(corners))


@given(points, st.randoms(use_true_random=False))
def test_frontier_does_not_depend_on_the_order_of_rows(
    given_points: list[tuple[float, float]], luck: random.Random
) -> None:
    shuffled = list(given_points)
    luck.shuffle(shuffled)
    first = {point for point, flag in zip(given_points, frontier(given_points), strict=True) if flag}
    second = {point for point, flag in zip(shuffled, frontier(shuffled), strict=True) if flag}
    assert first == second


def test_equal_rows_are_both_on_the_frontier() -> None:
    assert frontier([(1.0, 2.0), (1.0, 2.0), (1.0, 3.0), (0.5, 9.0)]) == [True, True, False, True]


labels = st.lists(
    st.builds(
        Label, st.text("abcdefgh-", min_size=1, max_size=20), st.floats(0.1, 9.9), st.floats(0.1, 9.9), st.booleans()
    ),
    max_size=25,
)


@given(labels, st.sampled_from(sorted(SIZES)))
def test_labels_cover_neither_each_other_nor_a_point(given_labels: list[Label], size_name: str) -> None:
    size = SIZES[size_name]
    axis = Axis("x", False, 0.0, 10.0)
    sides = label_sides(given_labels, axis, axis, size)
    assert len(sides) == len(given_labels)
    centres = [(axis.position(one.x) * size[0], axis.position(one.y) * size[1]) for one in given_labels]
    boxes = [
        label_box(one.text, centre, side)
        for one, centre, side in zip(given_labels, centres, sides, strict=True)
        if side is not None
    ]
    for i, box in enumerate(boxes):
        assert box[0] >= 0
        assert box[1] >= 0
        assert box[2] <= size[0]
        assert box[3] <= size[1]
        for other in boxes[:i]:
            assert not (box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3])
        for x, y in centres:
            assert not (box[0] < x < box[2] and box[1] < y < box[3])


def test_a_label_with_room_is_shown() -> None:
    axis = Axis("x", False, 0.0, 10.0)
    for size in SIZES.values():
        assert label_sides([Label("lif", 5.0, 5.0, False)], axis, axis, size) == ["top right"]
        assert label_sides([Label("lif", 5.0, 5.0, True)], axis, axis, size) == ["bottom left"]


@pytest.fixture(scope="module")
def table() -> Table:
    registry = synthetic.registry()
    found = build_tables(synthetic.everything(registry), registry, find_board("neurons"))
    return found[0]


def plots(table: Table) -> dict[str, ParetoPlot]:
    marks = {(row.name, row.topology): RowMark(row.name, f"#{row_id(table.group, row)}") for row in table.rows}
    return {plot.id.rpartition("--")[2]: plot for plot in pareto_plots(table, marks)}


def test_pareto_plot_shows_every_row_with_both_figures(table: Table) -> None:
    plot = plots(table)["throughput.train_step_ratio"]
    both = {
        row.name for row in table.rows if {"accuracy.error_fraction", "throughput.train_step_ratio"} <= set(row.values)
    }
    assert {point.label for point in plot.points} == both
    assert plot.x.title.startswith("training step / that of LIF under BPTT")
    for point in plot.points:
        for axis, value, (below, above) in ((plot.x, point.x, point.x_error), (plot.y, point.y, point.y_error)):
            assert below >= 0
            assert above >= 0
            assert 0 < axis.position(value - below) <= axis.position(value) <= axis.position(value + above) < 1


def test_what_is_not_verified_is_drawn_but_never_on_the_frontier(table: Table) -> None:
    plot = plots(table)["throughput.train_step_ratio"]
    klif = next(point for point in plot.points if point.label == "klif")
    assert not klif.ranked
    assert not klif.on_frontier
    assert "Hollow: 1 row not ranked." in plot.caption
    on = {point.label for point in plot.points if point.on_frontier}
    ranked = [point for point in plot.points if point.ranked]
    flags = frontier([(point.x, point.y) for point in ranked])
    # As points; rows that these do not beat significantly in both figures are on it too.
    assert on >= {point.label for point, flag in zip(ranked, flags, strict=True) if flag}
    assert on < {point.label for point in ranked}
    assert on
    assert all(name in plot.caption for name in on)
    corners = {(point.x, point.y) for point, flag in zip(ranked, flags, strict=True) if flag}
    assert set(plot.frontier) == corners, "the line runs through the points that no point beats"


def test_boards_whose_rows_are_no_alternatives_have_no_pareto_plot() -> None:
    registry = synthetic.registry()
    records = synthetic.everything(registry)
    for board in ("tasks", "backends"):
        for table in build_tables(records, registry, find_board(board)):
            assert not plots(table)


def test_axes_are_logarithmic_where_figures_are_far_apart(table: Table) -> None:
    drawn = plots(table)["throughput.train_step_ratio"]
    assert drawn.y.log, "errors from 1.4 % to 17 %"
    values = [(point.x - point.x_error[0], point.x + point.x_error[1]) for point in drawn.points]
    ratio = max(high for _, high in values) / min(low for low, _ in values)
    assert drawn.x.log == (ratio >= 8)


def test_learning_curves_draw_a_line_for_each_seed() -> None:
    factory = synthetic.Factory()
    cell = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick")
    found = series_plots([factory.measured(replace(cell, seed=seed)) for seed in range(3)], {}, "x")
    errors = next(plot for plot in found if plot.y_title == "error [%]")
    assert errors.labels == ("validation error", "test error")
    assert len(errors.lines) == 6
    assert not errors.x_log
    assert errors.x_title == "epoch"
    assert 0 < max(y for line in errors.lines for _, y in line.points) <= 100
    assert "a line for each of 3 seeds" in errors.caption
    assert len({plot.id for plot in found}) == len(found)


def test_costs_over_time_steps_average_seeds() -> None:
    factory = synthetic.Factory()
    cell = Cell("scaling", "digits-rows", "lif", "bptt", "mlp", budget="quick")
    records = []
    for neuron in ("lif", "psn"):
        for seed in range(2):
            points = tuple((float(T), (seed + 1) * T * 1e-3) for T in (4, 8, 16)[: 3 - seed])
            series = {"s": Series(x="T", x_unit="time steps", y="s_seconds", y_unit="seconds", points=points)}
            one = factory.measured(replace(cell, neuron=neuron, seed=seed)).model_copy(update={"series": series})
            records.append((neuron, one))
    (plot,) = cost_curves(records, {}, "x")
    assert plot.x_title == "time steps"
    assert plot.y_title == "s [ms]"
    assert [line.label for line in plot.lines] == ["lif", "psn"]
    assert plot.lines[0].points == ((4.0, pytest.approx(6.0)), (8.0, pytest.approx(12.0)))
    assert not list(cost_curves(records[:2], {}, "x")), "one line compares nothing"


def test_errors_over_operations_average_both_and_stand_beside_the_anns() -> None:
    def series(y: str, *points: tuple[float, float]) -> Series:
        return Series(x="operations", x_unit="operations", y=y, y_unit="fraction", points=points)

    records = []
    for method in ("qcfs", "stdb"):
        for seed in range(2):
            found = {
                "a": series("error_fraction", (100.0 + 20 * seed, 0.2), (200.0 + 20 * seed, 0.1 + 0.02 * seed)),
                "b": series("ann_error_fraction", (500.0, 0.05)),
            }
            records.append((method, synthetic.record(Cell("accuracy", method=method, seed=seed), series=found)))
    (plot,) = cost_curves(records, {}, "x", ("error_fraction",))
    assert plot.x_title == "operations per sample"
    drawn = {line.label: line.points for line in plot.lines}
    assert set(drawn) == {"qcfs", "stdb", "qcfs, its ANN", "stdb, its ANN"}
    assert drawn["qcfs"] == ((110.0, pytest.approx(20.0)), (210.0, pytest.approx(11.0)))
    assert drawn["qcfs, its ANN"] == ((500.0, pytest.approx(5.0)),)


@given(st.integers(1, 5000))
def test_long_lines_are_thinned_to_their_ends(count: int) -> None:
    record = synthetic.record(
        Cell("accuracy"),
        series={
            "a": Series(
                x="step", x_unit="", y="loss", y_unit="nats", points=tuple((float(i), 1.0) for i in range(count))
            )
        },
    )
    (plot,) = series_plots([record], {}, "x")
    drawn = [x for x, _ in plot.lines[0].points]
    assert drawn[0] == 0.0
    assert drawn[-1] == count - 1
    assert drawn == sorted(set(drawn))
    assert len(drawn) <= MOST_POINTS + 1


def test_speed_against_density_is_one_plot_over_powers_of_ten() -> None:
    factory = synthetic.Factory()
    names = [f"{direction}_speedup_{size}" for direction in ("forward", "gradient") for size in ("a", "b", "c")]
    points = ((0.005, 9.0), (0.5, 0.8))
    series = {name: Series(x="density", x_unit="1", y=name, y_unit="ratio", points=points) for name in names}
    record = factory.measured(Cell("crossover", neuron="spikeboard-lif-events", backend="-"))
    (plot,) = series_plots([record.model_copy(update={"series": series})], {}, "x")
    assert plot.title == "6 ratios against density"
    assert (plot.x_log, plot.y_log) == (True, True)
    assert plot.labels == tuple(name.replace("_", " ") for name in names)


def test_a_board_draws_the_figures_it_names_over_t_and_n_in_its_order() -> None:
    records = []
    for neuron in ("lif", "psn"):
        points = ((4.0, 1.0), (64.0, 2.0))
        series = {
            f"{y}{x}": Series(x=x, x_unit="", y=y, y_unit="ratio", points=points)
            for y in ("speedup", "another", "beside")
            for x in ("T", "N", "epoch")
        }
        records.append((neuron, synthetic.record(Cell("layers", neuron=neuron), series=series)))
    drawn = cost_curves(records, {}, "x", ("speedup", "another"))
    assert [(plot.y_title, plot.x_title) for plot in drawn] == [
        ("speedup [x]", "time steps"),
        ("speedup [x]", "neurons"),
        ("another [x]", "time steps"),
        ("another [x]", "neurons"),
    ]
    assert all(plot.x_log for plot in drawn)
    assert len({plot.id for plot in drawn}) == 4


def test_reported_speed_ups_stand_beside_those_of_the_suite_of_layers() -> None:
    registry = synthetic.registry()
    record = synthetic.Factory().measured(Cell("layers", neuron="psu"))
    of_psu = combinations_of([record], registry)[("neuron", "psu")]
    speedups = [figure for figure in registry.neurons["psu"].card.reported if "speedup" in figure.metric]
    (view,) = reported_beside(speedups, of_psu, registry, {})
    assert view.evidence == "a third party's note"
    (here,) = view.here
    assert view.task == "SHD"
    assert here.what == "training step on random spikes shaped like SHD"
    assert "given as 3 to 4 times" in here.differs
    reported = registry.neurons["spsn-sigmoid-bernoulli"].card.reported
    alone = next(figure for figure in reported if "speedup" in figure.metric and figure.task != "SHD")
    (view,) = reported_beside([alone], of_psu, registry, {})
    assert [here.what for here in view.here] == ["one layer, T = 2,048", "one layer, T = 16"]
