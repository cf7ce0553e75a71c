"""Error against a cost, as it is to be drawn: which points, which of them are on the frontier, where its line runs.

Decides everything that can be tested without a browser; ``static/plots.js`` only turns it into pixels and colours.
Must not know where a plot stands on a page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.catalogue.boards.model import Board, Column
from harness.report.axes import Axis, axis_for, reach
from harness.report.formats import column_scale, heading
from harness.report.labels import SIZES, Label, Side, label_sides
from harness.report.links import group_id
from harness.report.units import Scale, is_drawable, with_interval
from harness.report.words import count, joined
from harness.results.frontier import Figure, on_frontier
from harness.results.table import Table, TableRow, Value

__all__ = ["COSTS", "COST_NAMES", "MOST_NAMED", "ParetoPlot", "Point", "RowMark", "frontier", "pareto_plots"]

COSTS = (
    "spikes.energy_joules",
    "throughput.train_step_ratio",
    "memory.peak_bytes",
    "memory.saved_bytes",
)
"""Columns that error is drawn against, those that readers choose by first."""
COST_NAMES: Mapping[str, str] = {
    "energy": "spikes.energy_joules",
    "time": "throughput.train_step_ratio",
    "memory": "memory.peak_bytes",
    "saved": "memory.saved_bytes",
}
"""What a cost is called for short -> its column."""
MOST_NAMED = 8
"""Rows on the frontier that a caption names; where little is told apart, nearly all rows are on it."""


@dataclass(frozen=True, slots=True)
class RowMark:
    """What a row is called in a plot, and its page."""

    label: str
    href: str
    """Empty if it has none."""


@dataclass(frozen=True, slots=True)
class Point:
    """One row, in the units of the axes."""

    label: str
    x: float
    y: float
    x_error: tuple[float, float]
    """How far the interval reaches below and above the value."""
    y_error: tuple[float, float]
    hover: str
    href: str
    ranked: bool
    """Whether both figures are ranked; what is not (not verified) cannot be on the frontier."""
    on_frontier: bool
    sides: Mapping[str, Side | None]
    """For each of `SIZES`, where its label stands; None where none fits, so that it shows on hovering only."""


@dataclass(frozen=True, slots=True)
class ParetoPlot:
    """Error against a cost, with the frontier."""

    id: str
    title: str
    caption: str
    x: Axis
    y: Axis
    points: tuple[Point, ...]
    frontier: tuple[tuple[float, float], ...]
    """Corners of the frontier, cheapest first."""


def frontier(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Say for each point whether no other is at least as low in both coordinates and lower in one.

    Where the line runs; which rows belong to the frontier, intervals decide.
    """

    def dominates(a: tuple[float, float], b: tuple[float, float]) -> bool:
        return a[0] <= b[0] and a[1] <= b[1] and a != b

    return [not any(dominates(other, point) for other in points) for point in points]


def pareto_plots(table: Table, marks: Mapping[tuple[str, str], RowMark]) -> Iterable[ParetoPlot]:
    """Yield the plots of `table`, error against each cost it has, if its rows are alternatives to each other.

    Parameters
    ----------
    marks : what each row is called and its page, by name and network.
    """
    columns = {column.key: column for column in table.columns}
    error = columns.get(table.board.rank_by)
    if error is None or error.key in COSTS or table.board.axis not in ("neuron", "method"):
        return
    for key in COSTS:
        if key in columns:
            rows = [row for row in table.rows if _drawable(row, columns[key]) and _drawable(row, error)]
            if len(rows) > 1:
                yield _pareto(table, columns[key], error, [(row, marks[(row.name, row.topology)]) for row in rows])


def _pareto(table: Table, cost: Column, error: Column, rows: Sequence[tuple[TableRow, RowMark]]) -> ParetoPlot:
    x_scale, y_scale = column_scale(table, cost), column_scale(table, error)
    xs = [row.values[cost.key] for row, _ in rows]
    ys = [row.values[error.key] for row, _ in rows]
    x_axis = axis_for(heading(table, cost, x_scale), xs, x_scale)
    y_axis = axis_for(heading(table, error, y_scale), ys, y_scale)
    best = _best(table.board, (cost.metric, xs), (error.metric, ys))
    places = [
        (x.estimate.value * x_scale.factor, y.estimate.value * y_scale.factor) for x, y in zip(xs, ys, strict=True)
    ]
    order = sorted(range(len(rows)), key=lambda i: (i not in best, places[i]))
    labels = [Label(rows[i][1].label, *places[i], i in best) for i in order]
    sides = {
        name: dict(zip(order, label_sides(labels, x_axis, y_axis, size), strict=True)) for name, size in SIZES.items()
    }
    points = tuple(
        Point(
            label=mark.label,
            x=places[i][0],
            y=places[i][1],
            x_error=reach(xs[i], x_scale),
            y_error=reach(ys[i], y_scale),
            hover=_hover(mark.label, (x_axis.title, xs[i], x_scale), (y_axis.title, ys[i], y_scale)),
            href=mark.href,
            ranked=_ranked(xs[i], ys[i]),
            on_frontier=i in best,
            sides={name: side_of[i] for name, side_of in sides.items()},
        )
        for i, (_, mark) in enumerate(rows)
    )
    return ParetoPlot(
        id=f"{group_id(table.group)}--{cost.key}",
        title=f"{ys[0].card.title} against {xs[0].card.title}",
        caption=_caption(points, xs[0].card.title, ys[0].card.title),
        x=x_axis,
        y=y_axis,
        points=points,
        frontier=_corners([places[i] for i in best]),
    )


def _ranked(x: Value, y: Value) -> bool:
    return x.rank is not None and y.rank is not None


def _corners(places: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Return the corners of the line through rows on the frontier: not all of them lie on it, as points."""
    return tuple(sorted({place for place, flag in zip(places, frontier(places), strict=True) if flag}))


def _best(board: Board, x: tuple[str, Sequence[Value]], y: tuple[str, Sequence[Value]]) -> set[int]:
    """Return the places of the rows on the frontier; what is not ranked in both figures takes no part."""
    ranked = [i for i, pair in enumerate(zip(x[1], y[1], strict=True)) if _ranked(*pair)]
    if not ranked:
        return set()
    figures = [
        Figure(
            metric,
            values[0].card,
            [values[i].estimate.value for i in ranked],
            [values[i].records for i in ranked],
        )
        for metric, values in (x, y)
    ]
    return {i for i, flag in zip(ranked, on_frontier(board, *figures), strict=True) if flag}


def _drawable(row: TableRow, column: Column) -> bool:
    """Whether a row has a figure to be drawn: finite, and neither noisy nor out of date."""
    value = row.values.get(column.key)
    return value is not None and value.standing.ranked and is_drawable(value.estimate.value)


def _hover(name: str, *figures: tuple[str, Value, Scale]) -> str:
    return "\n".join([name, *(f"{title}: {with_interval(value.estimate, scale)}" for title, value, scale in figures)])


def _caption(points: Sequence[Point], x: str, y: str) -> str:
    best = sorted((point for point in points if point.on_frontier), key=lambda point: point.x)
    unranked = sum(not point.ranked for point in points)
    hollow = f" Hollow: {count(unranked, 'row')} not ranked." if unranked else ""
    if not best:
        return f"No row is ranked in both figures.{hollow}"
    names = [point.label for point in best]
    if len(names) > MOST_NAMED:  # the ends say most; what lies between stands in the plot
        half = MOST_NAMED // 2
        names = [*names[:half], f"{len(names) - 2 * half} more", *names[-half:]]
    named = joined(names)
    return (
        f"Frontier (nothing is significantly better in both), from the lowest {x} to the lowest {y}: {named}.{hollow}"
    )
