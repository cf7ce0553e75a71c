"""Tunability as a table and as a picture: what a row's test error is after 1, 2, 4, ... trials.

Rows of one table share task, budget and network; they stand in the order of the error after the least number of trials
that all of them have. No rank: the curves describe a search, fresh seeds judge what it found. Must not know how trials
are run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from harness.errors import UserError
from harness.report.escapes import csv_field, markdown_text
from harness.report.figures import DOTS_PER_INCH, FORMATS, SIZE_INCHES
from harness.report.units import scale_for, with_interval
from harness.tuning.study import ENDING, read_trials
from harness.tuning.tunability import Curve, curve_of
from reference_impls.names import unknown_message

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TEXTS", "CurveGroup", "curves_in", "draw_curves", "grouped", "raw", "readable", "to_text"]


class CurveGroup(NamedTuple):
    """What rows that are shown together share."""

    task: str
    budget: str
    topology: str

    @property
    def label(self) -> str:
        """Return a title."""
        return f"Tunability: {self.task}, {self.topology}, {self.budget}"


def curves_in(folder: Path, wanted: Mapping[str, str | None]) -> list[Curve]:
    """Return the curve of every study below `folder` whose combination has the `wanted` names (None: any)."""
    found = []
    for path in sorted(folder.glob(f"*/*{ENDING}")):
        combination, classes, trials = read_trials(path)
        named = combination._asdict()
        if all(value in (None, named[axis]) for axis, value in wanted.items()):
            curve = curve_of(combination, trials, classes)
            found += [] if curve is None else [curve]
    return found


def grouped(curves: Iterable[Curve]) -> dict[CurveGroup, list[Curve]]:
    """Sort curves into tables, and in each by the error after as many trials as all of them have, then by name."""
    groups: dict[CurveGroup, list[Curve]] = defaultdict(list)
    for curve in curves:
        key = curve.combination
        groups[CurveGroup(key.task, key.budget, key.topology)].append(curve)
    return {group: _ordered(members) for group, members in sorted(groups.items())}


def _ordered(curves: Sequence[Curve]) -> list[Curve]:
    common = set.intersection(*({count for count, _ in curve.points} for curve in curves))
    return sorted(curves, key=lambda curve: (dict(curve.points)[max(common)].value, curve.combination))


def readable(curves: Sequence[Curve]) -> pd.DataFrame:
    """Return one table: a row for each curve, a column for each number of trials, in percent."""
    import pandas as pd

    scale = scale_for("fraction", 1)
    counts = sorted({count for curve in curves for count, _ in curve.points})
    lines = []
    for curve in curves:
        points = dict(curve.points)
        line = {"neuron": curve.combination.neuron, "method": curve.combination.method}
        line |= {_heading(count): with_interval(points[count], scale) if count in points else "" for count in counts}
        lines.append(line | {f"gain [{scale.label}]": scale.text(curve.gain)})
    return pd.DataFrame(lines)


def _heading(count: int) -> str:
    return "default [%]" if count == 1 else f"{count} trials [%]"


def raw(curves: Iterable[Curve]) -> pd.DataFrame:
    """Return every point with its bounds, in SI units."""
    import pandas as pd

    return pd.DataFrame(
        [
            {name: csv_field(value) for name, value in curve.combination._asdict().items()}
            | {"trials": count, "of": curve.trials, "test_error_fraction": estimate.value}
            | {"low": estimate.low, "high": estimate.high}
            for curve in curves
            for count, estimate in curve.points
        ]
    )


def _markdown(curves: Iterable[Curve]) -> str:
    parts = []
    for group, members in grouped(curves).items():
        frame = readable(members).map(markdown_text)
        frame.columns = [markdown_text(name) for name in frame.columns]
        table = frame.to_markdown(index=False, disable_numparse=True)
        parts.append(f"**{markdown_text(group.label)}**\n\n{table}\n")
    return "\n".join(parts)


def _csv(curves: Iterable[Curve]) -> str:
    return raw(curves).to_csv(index=False, lineterminator="\n")


TEXTS = {"md": _markdown, "csv": _csv}


def to_text(curves: Iterable[Curve], name: str) -> str:
    """Return `curves` in the format `name`; an unknown one is an error that suggests the nearest."""
    if name not in TEXTS:
        raise UserError(unknown_message("format", name, list(TEXTS)))
    return TEXTS[name](curves)


def draw_curves(curves: Sequence[Curve], path: Path) -> None:
    """Draw the curves of one table into `path` (pdf, svg or png), with their intervals.

    Raises
    ------
    UserError
        If the ending is none of them, or the curves are of several tables.
    """
    if path.suffix.removeprefix(".") not in FORMATS:
        raise UserError(f"{path}: cannot draw a {path.suffix or 'file without an ending'}", f"use {', '.join(FORMATS)}")
    groups = grouped(curves)
    if len(groups) > 1:
        names = "; ".join(group.label for group in groups)
        raise UserError(f"curves of several tables do not go into one picture: {names}", "name a --task")
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.add_subplot()
    ((group, members),) = groups.items()
    counts = sorted({count for curve in members for count, _ in curve.points})
    for curve in members:
        xs, estimates = zip(*curve.points, strict=True)
        several = len({one.combination.method for one in members}) > 1
        label = f"{curve.combination.neuron}, {curve.combination.method}" if several else curve.combination.neuron
        (line,) = axes.plot(xs, [100 * one.value for one in estimates], marker="o", markersize=3, label=label)
        bounds = [
            (x, 100 * one.low, 100 * one.high)
            for x, one in curve.points
            if one.low is not None and one.high is not None
        ]
        if bounds:
            at, low, high = zip(*bounds, strict=True)
            axes.fill_between(at, low, high, alpha=0.15, color=line.get_color(), linewidth=0)
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.set_xlabel("trials, the first with the default")
    axes.set_ylabel("expected test error in %")
    axes.set_title(group.label, fontsize=9)
    axes.grid(color="#d8dee4", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DOTS_PER_INCH)
