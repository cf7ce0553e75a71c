"""The course of a search as a figure: what each evaluation gave, and the best so far, beside random search.

Drawn as the figures of the pages are. matplotlib is imported when a figure is asked for.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import UserError
from harness.report.figures import DOTS_PER_INCH, FORMATS, INK, MARK, QUIET, SIZE_INCHES
from harness.search.study import BAYES, Tried

__all__ = ["best_so_far", "draw_search"]


def best_so_far(tried: Sequence[Tried]) -> list[tuple[int, float]]:
    """Return (number, best accuracy up to there) of every evaluation from the first that gave a figure."""
    best = itertools.accumulate((one.accuracy or 0.0 for one in tried), max)
    return [(one.number, value) for one, value in zip(tried, best, strict=True) if value > 0]


def draw_search(courses: Mapping[str, Sequence[Tried]], plain: float | None, path: Path) -> None:
    """Draw searches by name, and the accuracy of the network without skips, into `path` (pdf, svg or png).

    Raises
    ------
    UserError
        If the ending is none of them, or nothing gave a figure.
    """
    if path.suffix.removeprefix(".") not in FORMATS:
        raise UserError(f"{path}: cannot draw a {path.suffix or 'file without an ending'}", f"use {', '.join(FORMATS)}")
    lines = {name: best_so_far(tried) for name, tried in courses.items()}
    if not any(lines.values()):
        raise UserError("no evaluation gave an accuracy to draw", "the lines above say why each failed")
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.add_subplot()
    for name, line in lines.items():
        colour = MARK if name == BAYES else QUIET
        points = [(one.number, 100 * one.accuracy) for one in courses[name] if one.accuracy is not None]
        axes.plot(*zip(*points, strict=True), linestyle="none", marker="o", markersize=3, alpha=0.5, color=colour)
        steps = [(number, 100 * value) for number, value in line]
        course = f"{name}, best so far"
        axes.plot(*zip(*steps, strict=True), drawstyle="steps-post", linewidth=1.2, color=colour, label=course)
    if plain is not None:
        axes.axhline(100 * plain, linestyle=":", linewidth=1, color=INK, label="without skips")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("evaluation")
    axes.set_ylabel("validation accuracy in %")
    axes.grid(color="#d8dee4", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DOTS_PER_INCH)
