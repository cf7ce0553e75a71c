"""The plots of the pages as vector or bitmap files for a paper or a README, drawn with matplotlib.

What is drawn (points, intervals, frontier) is decided in ``plots``; this module only draws it. matplotlib is imported
when a figure is asked for.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UserError
from harness.report.plots import COST_NAMES, ParetoPlot, Point, RowMark, pareto_plots
from harness.results.table import Table
from reference_impls.names import unknown_message

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FORMATS", "draw_pareto", "has_ranks", "pareto_plot"]

FORMATS = ("pdf", "svg", "png")
DOTS_PER_INCH = 200
SIZE_INCHES = (5.2, 3.4)
INK, QUIET, MARK, BRIGHT = "#1f2328", "#8c959f", "#0b5cad", "#c2410c"
OFFSETS = {"top right": (5, 4), "bottom right": (5, -9), "top left": (-5, 4), "bottom left": (-5, -9)}


def has_ranks(table: Table) -> bool:
    """Return whether a figure of `table` is ranked; where none is, as where all are of older code, nothing is drawn."""
    return any(value.standing.ranked for row in table.rows for value in row.values.values())


def pareto_plot(table: Table, cost: str) -> ParetoPlot:
    """Return the plot of error against the column `cost` of a table, which may be said for short (``energy``).

    Raises
    ------
    UserError
        If the table cannot be drawn against that cost; the message says which it can.
    """
    several = len({row.topology for row in table.rows}) > 1
    marks = {
        (row.name, row.topology): RowMark(f"{row.name} ({row.topology})" if several else row.name, "")
        for row in table.rows
    }
    plots = {plot.id.rpartition("--")[2]: plot for plot in pareto_plots(table, marks)}
    if not plots and not has_ranks(table):
        raise UserError("no figure of this table is current, and others are not drawn", "spikeboard status says why")
    key = COST_NAMES.get(cost, cost)
    if key not in plots:
        known = [*plots, *(name for name, column in COST_NAMES.items() if column in plots)]
        raise UserError(
            unknown_message("cost to draw against", cost, known), "a figure needs a table with error and cost"
        )
    return plots[key]


def draw_pareto(plot: ParetoPlot, path: Path, highlight: Sequence[str] = ()) -> None:
    """Draw `plot` into `path`, in the format of its ending (pdf, svg or png).

    Points whose label fits one of the patterns `highlight` are drawn larger, in a colour of their own and over all
    others, with their name even where it covers something.

    Raises
    ------
    UserError
        If the ending is none of them, or a pattern fits no point.
    """
    lit = _highlighted(plot, highlight)
    if path.suffix.removeprefix(".") not in FORMATS:
        raise UserError(f"{path}: cannot draw a {path.suffix or 'file without an ending'}", f"use {', '.join(FORMATS)}")
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log" if plot.x.log else "linear")
    axes.set_yscale("log" if plot.y.log else "linear")
    for axis, drawn in ((plot.x, axes.xaxis), (plot.y, axes.yaxis)):
        if axis.log:
            drawn.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            drawn.set_major_formatter(ScalarFormatter())
            drawn.set_minor_formatter(NullFormatter())
    axes.set_xlim(plot.x.low, plot.x.high)
    axes.set_ylim(plot.y.low, plot.y.high)
    axes.set_xlabel(plot.x.title)
    axes.set_ylabel(plot.y.title)
    axes.grid(color="#d8dee4", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if plot.frontier:
        axes.plot(*zip(*plot.frontier, strict=True), linestyle="--", linewidth=1, color=MARK, drawstyle="steps-post")
    for point in plot.points:
        _draw_point(axes, point, lit=point.label in lit)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The same records make the same file: no date, and names inside an SVG that do not come from a random number.
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(path.suffix.removeprefix("."))
    with rc_context({"svg.hashsalt": "spikeboard"}):
        figure.savefig(path, dpi=DOTS_PER_INCH, metadata=undated)


def _highlighted(plot: ParetoPlot, patterns: Sequence[str]) -> set[str]:
    labels = [point.label for point in plot.points]
    lit: set[str] = set()
    for pattern in patterns:
        # "my-lif" is also the row whose label says on which network: "my-lif (mlp)".
        found = [one for one in labels if any(fnmatch.fnmatchcase(one, form) for form in (pattern, f"{pattern} (*)"))]
        found += [one for one in labels if one == pattern]
        if not found:
            raise UserError(
                unknown_message("point to highlight", pattern, labels), "is the row drawn: has it both figures?"
            )
        lit.update(found)
    return lit


def _draw_point(axes: Axes, point: Point, lit: bool) -> None:
    colour = BRIGHT if lit else MARK if point.on_frontier else QUIET
    errors = {"xerr": [[part] for part in point.x_error], "yerr": [[part] for part in point.y_error]}
    filling = colour if point.ranked else "white"
    axes.errorbar(
        point.x,
        point.y,
        **errors,  # type: ignore[arg-type]
        fmt="o",
        markersize=6 if lit else 4,
        markerfacecolor=filling,
        linewidth=0.8,
        color=colour,
        zorder=4 if lit else 2,
    )
    side = point.sides.get("wide") or ("top right" if lit else None)
    if side is not None:
        left = "left" in side
        axes.annotate(
            point.label,
            (point.x, point.y),
            OFFSETS[side],
            textcoords="offset points",
            horizontalalignment="right" if left else "left",
            fontsize=7,
            parse_math=False,
            fontweight="bold" if lit else "normal",
            color=BRIGHT if lit else INK if point.on_frontier else QUIET,
            zorder=5 if lit else 3,
        )
