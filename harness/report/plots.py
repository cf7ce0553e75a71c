"""What is to be drawn: which points, which of them are on the frontier, which labels fit, which lines.

Decides everything that can be tested without a browser; ``static/plots.js`` only turns it into pixels and colours.
Must not know where a plot stands on a page.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.catalogue.boards import Board, Column
from harness.report.formats import column_scale, heading
from harness.report.links import group_id
from harness.report.units import Scale, is_drawable, with_interval
from harness.report.words import count, joined
from harness.results.frontier import Figure, on_frontier
from harness.results.tables import Table, TableRow, Value

__all__ = [
    "COSTS",
    "LOG_FROM",
    "Axis",
    "Label",
    "ParetoPlot",
    "Point",
    "RowMark",
    "frontier",
    "label_sides",
    "pareto_plots",
]

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
LOG_FROM = 8.0
"""An axis is logarithmic where its largest value is at least so many times its smallest."""

MOST_NAMED = 8
"""Rows on the frontier that a caption names; where little is told apart, nearly all rows are on it."""

Side = Literal["top right", "bottom right", "top left", "bottom left"]
_SIDES: tuple[Side, ...] = ("top right", "bottom right", "top left", "bottom left")
"""Places beside a point that keep off its error bars."""
_FRONTIER_SIDES: tuple[Side, ...] = ("bottom left", "bottom right", "top right", "top left")
"""The same for a point on the frontier: below it there are neither points nor its line."""
SIZES: Mapping[str, tuple[float, float]] = {"narrow": (236.0, 190.0), "wide": (400.0, 240.0)}
"""Sizes in CSS pixels that labels are laid out for; what fits one fits every larger plot."""
_CHARACTER, _LINE, _MARKER = 6.6, 14.0, 4.0

Box = tuple[float, float, float, float]
"""left, bottom, right, top in pixels."""


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis with its range fixed, so that what was laid out for it stays so."""

    title: str
    log: bool
    low: float
    high: float

    def position(self, value: float) -> float:
        """Return where `value` lies, 0 at the low end and 1 at the high end."""
        low, high, at = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return (at - low) / (high - low)


@dataclass(frozen=True, slots=True)
class Label:
    """A text beside a point."""

    text: str
    x: float
    y: float
    on_frontier: bool


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
    x_axis = _axis(heading(table, cost, x_scale), xs, x_scale)
    y_axis = _axis(heading(table, error, y_scale), ys, y_scale)
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
            x_error=_reach(xs[i], x_scale),
            y_error=_reach(ys[i], y_scale),
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


def label_sides(labels: Sequence[Label], x: Axis, y: Axis, size: tuple[float, float]) -> list[Side | None]:
    """Place labels beside their points, first come first served, so that none covers another or a point.

    Parameters
    ----------
    labels : most important first. Those on the frontier keep off its line where they can.
    size : width and height of the plot in pixels.
    """
    centres = [(x.position(label.x) * size[0], y.position(label.y) * size[1]) for label in labels]
    taken: list[Box] = [(a - _MARKER, b - _MARKER, a + _MARKER, b + _MARKER) for a, b in centres]
    line = _line([centre for label, centre in zip(labels, centres, strict=True) if label.on_frontier])
    sides: list[Side | None] = []
    for label, centre in zip(labels, centres, strict=True):
        boxes = {side: _box(label.text, centre, side) for side in (_FRONTIER_SIDES if label.on_frontier else _SIDES)}
        free = [side for side, box in boxes.items() if _inside(box, size) and not _covers(box, taken)]
        clear = [side for side in free if not _covers(boxes[side], line)]
        chosen = next(iter(clear or (free if label.on_frontier else [])), None)
        sides.append(chosen)
        if chosen:
            taken.append(boxes[chosen])
    return sides


def _line(corners: Iterable[tuple[float, float]]) -> list[Box]:
    """Return the strokes of the frontier's steps."""
    pairs = itertools.pairwise(sorted(corners))
    return [
        stroke
        for (left, top), (right, bottom) in pairs
        for stroke in ((left, top - 1, right, top + 1), (right - 1, bottom, right + 1, top))
    ]


def _box(text: str, centre: tuple[float, float], side: Side) -> Box:
    """Return where `text` lies; it starts a hair outside the point's marker."""
    width, gap = len(text) * _CHARACTER, _MARKER + 0.5
    left = centre[0] + gap if side.endswith("right") else centre[0] - gap - width
    bottom = centre[1] + gap if side.startswith("top") else centre[1] - gap - _LINE
    return left, bottom, left + width, bottom + _LINE


def _inside(box: Box, size: tuple[float, float]) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= size[0] and box[3] <= size[1]


def _covers(box: Box, others: Iterable[Box]) -> bool:
    return any(box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3] for other in others)


def _drawable(row: TableRow, column: Column) -> bool:
    """Whether a row has a figure to be drawn: finite, and neither noisy nor out of date."""
    value = row.values.get(column.key)
    return value is not None and value.standing.ranked and is_drawable(value.estimate.value)


def _bounds(value: Value) -> tuple[float, float]:
    """Return the ends of a value's interval; a bound that is missing or not finite is the value itself."""
    estimate = value.estimate
    bounds = (estimate.low, estimate.high)
    low, high = (estimate.value if b is None or not is_drawable(b) else b for b in bounds)
    return min(low, estimate.value), max(high, estimate.value)


def _reach(value: Value, scale: Scale) -> tuple[float, float]:
    low, high = _bounds(value)
    return (value.estimate.value - low) * scale.factor, (high - value.estimate.value) * scale.factor


def _axis(title: str, values: Iterable[Value], scale: Scale) -> Axis:
    bounds = [bound * scale.factor for value in values for bound in _bounds(value)]
    low, high = min(bounds), max(bounds)
    if low > 0 and high / low >= LOG_FROM:
        margin = (high / low) ** 0.1
        return Axis(title, True, low / margin, high * margin)
    margin = (high - low or abs(high) or 1.0) * 0.1
    return Axis(title, False, low - margin, high + margin)


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
