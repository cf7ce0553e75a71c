"""Lines over an axis: learning curves of one combination, and costs against the number of time steps.

Turns the series of records into lines to draw. Must not know where a plot stands on a page, nor read a store.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.report.axes import LOG_FROM
from harness.report.units import Scale, is_drawable, scale_for
from harness.report.words import count, joined
from harness.results.record import Record, Series

__all__ = ["COMPARED_OVER", "Line", "SeriesPlot", "cost_curves", "series_plots"]

MOST_POINTS = 200
"""A line with more points than this is thinned out: no screen shows them."""
COMPARED_OVER = {"T": "time steps", "N": "neurons", "operations": "operations per sample"}
"""Axes of series that tell what a figure does as the work grows; boards compare rows over them."""
LOGARITHMIC = (*COMPARED_OVER, "density")
"""Axes that may be logarithmic: what is on them spans powers of ten."""
MOST_IN_TITLE = 4
"""Of more figures than this, a plot's title says how many they are; the legend names them."""
BESIDE = {"ann_error_fraction": ("error_fraction", "its ANN")}
"""Figures that are drawn among those of another one, and what the row's name gets then."""
Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One line; lines of the same `label` share a colour and one entry of the legend."""

    label: str
    points: Points


@dataclass(frozen=True, slots=True)
class SeriesPlot:
    """Lines over a common axis."""

    id: str
    title: str
    caption: str
    x_title: str
    y_title: str
    x_log: bool
    y_log: bool
    lines: tuple[Line, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Return what the lines are called, each name once."""
        return tuple(dict.fromkeys(line.label for line in self.lines))


def series_plots(records: Sequence[Record], titles: Mapping[str, str], prefix: str) -> list[SeriesPlot]:
    """Draw the series of one combination's records (one for each seed), a plot for each axis and unit.

    `titles` says what a metric is called.
    """
    by_unit: dict[tuple[str, str], list[tuple[str, Series]]] = defaultdict(list)
    for record in records:
        for series in _worth_drawing(record):
            by_unit[(series.x, series.y_unit)].append((series.y, series))
    plots = []
    for (x, unit), named in sorted(by_unit.items()):
        named = [(titles.get(name) or _words(name), series) for name, series in named]
        names = list(dict.fromkeys(name for name, _ in named))
        scale = _scale(unit, (series.points for _, series in named))
        lines = tuple(Line(name, _thinned(_scaled(series.points, scale))) for name, series in named)
        seeds = f"; a line for each of {count(len(records), 'seed')}" if len(records) > 1 else ""
        label = names[0] if len(names) == 1 else ("error" if unit == "fraction" else unit)
        what = (
            joined(names)
            if len(names) <= MOST_IN_TITLE
            else count(len(names), label if label in ("ratio", "error") else "figure")
        )
        title = f"{what} against {_axis_words(x)}"
        plot = _plot(f"{prefix}--{x}-{unit}", title, f"{title}{seeds}.", x, f"{label} [{scale.label or unit}]", lines)
        plots.append(plot)
    return plots


def cost_curves(
    named: Iterable[tuple[str, Record]], titles: Mapping[str, str], prefix: str, wanted: Sequence[str] = ()
) -> list[SeriesPlot]:
    """Draw figures that were measured over the number of time steps or neurons, a line for each row (seeds averaged).

    Parameters
    ----------
    named : (name of the row, record).
    titles : what a metric is called.
    prefix : what the plots' ids begin with.
    wanted : names of the figures, in the order in which they are drawn; empty: all, by name.
    """
    found: dict[tuple[str, str], dict[str, list[Series]]] = defaultdict(lambda: defaultdict(list))
    for name, record in named:
        for series in _worth_drawing(record):
            y, addition = BESIDE.get(series.y, (series.y, ""))
            if series.x in COMPARED_OVER and (not wanted or y in wanted):
                found[(y, series.x)][f"{name}, {addition}" if addition else name].append(series)
    plots = []
    for y, x in sorted(found, key=lambda key: (wanted.index(key[0]) if wanted else 0, key[0], -ord(key[1][0]))):
        by_row = found[(y, x)]
        points = {name: _mean([series.points for series in several]) for name, several in sorted(by_row.items())}
        scale = _scale(next(iter(by_row.values()))[0].y_unit, points.values())
        lines = tuple(Line(name, _thinned(_scaled(line, scale))) for name, line in points.items() if line)
        if len(lines) > 1:
            what = titles.get(y) or _words(y)
            title = f"{what} against the number of {COMPARED_OVER[x]}"
            unit = f" [{scale.label}]" if scale.label else ""
            key = f"{prefix}--{y}" if x == "T" else f"{prefix}--{y}--{x}"
            plots.append(_plot(key, title, f"{title}, a line for each row.", x, what + unit, lines))
    return plots


def _worth_drawing(record: Record) -> Iterable[Series]:
    """Return the series of a record; none of one that was timed too noisily."""
    return () if record.status == "noisy" else record.series.values()


def _plot(key: str, title: str, caption: str, x: str, y_title: str, lines: tuple[Line, ...]) -> SeriesPlot:
    xs = [point[0] for line in lines for point in line.points]
    ys = [point[1] for line in lines for point in line.points]
    heading = title[:1].upper() + title[1:]
    return SeriesPlot(
        id=key,
        title=heading,
        caption=caption[:1].upper() + caption[1:],
        x_title=_axis_words(x),
        y_title=y_title,
        x_log=x in LOGARITHMIC and _wants_log(xs),
        y_log=_wants_log(ys),
        lines=lines,
    )


def _wants_log(values: Sequence[float]) -> bool:
    return bool(values) and min(values) > 0 and max(values) / min(values) >= LOG_FROM


def _scale(unit: str, lines: Iterable[Sequence[tuple[float, float]]]) -> Scale:
    return scale_for(unit, max((abs(y) for line in lines for _, y in line if is_drawable(y)), default=0.0))


def _scaled(points: Points, scale: Scale) -> Points:
    return tuple((x, y * scale.factor) for x, y in points if is_drawable(x) and is_drawable(y))


def _thinned(points: Points) -> Points:
    step = math.ceil(len(points) / MOST_POINTS)
    return points if step <= 1 else (*points[:-1:step], points[-1])


def _mean(several: Sequence[Points]) -> Points:
    """Average lines where all of them have a point; lines that differ in x, point by point."""
    if len({len(points) for points in several}) == 1 and len({tuple(x for x, _ in points) for points in several}) > 1:
        paired = zip(*several, strict=True)
        return tuple((_average(x for x, _ in same), _average(y for _, y in same)) for same in paired)
    values: Mapping[float, list[float]] = defaultdict(list)
    for points in several:
        for x, y in points:
            if is_drawable(y):  # the sum of larger ones would be none
                values[x].append(y)
    return tuple((x, math.fsum(ys) / len(ys)) for x, ys in sorted(values.items()) if len(ys) == len(several))


def _average(values: Iterable[float]) -> float:
    several = tuple(values)
    return math.fsum(several) / len(several)


def _axis_words(x: str) -> str:
    return COMPARED_OVER.get(x) or _words(x)


def _words(name: str) -> str:
    """Return "validation error" for "validation_error_fraction": the unit stands at the axis."""
    words = name.split("_")
    units = {"fraction", "seconds", "bytes", "joules"}
    return " ".join(words[:-1] if len(words) > 1 and words[-1] in units else words)
