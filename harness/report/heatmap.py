"""Rows by tasks in colours: how a row's error compares with the baseline's, and where that may be chance.

What is drawn was decided by ``overall``; this names colours and says it in words. Must not rank.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.report.links import Sitemap
from harness.report.overall_sheet import bounded, notes_of, overall_id, overall_title, reference_of
from harness.report.ranks import difference_text
from harness.report.traits import Trait, Traits
from harness.report.units import Scale, scale_for, with_interval
from harness.results.overall.board import OverallRow, OverallTable, Score
from harness.results.overall.settings import Setting

__all__ = ["HeatCell", "HeatRow", "Heatmap", "heatmap"]

LEAST_ROWS = 3
"""A task that fewer rows have is left out of the map; the overall table lists it."""
_STEPS = (0.5, 0.7, 0.9, 1 / 0.9, 1 / 0.7, 2.0)
"""Relative errors between which a colour holds; the middle one is about the baseline's."""
LEGEND = ("half or less", "to 0.7", "to 0.9", "about the same", "to 1.4", "to 2", "more than twice")
POINTS = Scale(100.0, "points")


@dataclass(frozen=True, slots=True)
class HeatCell:
    """A row on a task."""

    text: str
    colour: str
    """``h0`` (far fewer errors) to ``h6``; empty for a cell without a figure."""
    hatched: bool
    """Whether the task's own table cannot tell it from the baseline."""
    best: bool
    """Whether it is tied with the best of the task, where something is not."""
    details: str


@dataclass(frozen=True, slots=True)
class HeatRow:
    """A row of the map."""

    name: str
    title: str
    href: str | None
    traits: tuple[Trait, ...]
    rank: str
    relative: str
    improvement: str
    cells: tuple[HeatCell, ...]


@dataclass(frozen=True, slots=True)
class HeatColumn:
    """A task with the network on it."""

    label: str
    counts: bool
    """Whether the overall rank is over it."""
    told_apart: str
    """Such as "12 of 630 pairs"."""


@dataclass(frozen=True, slots=True)
class Heatmap:
    """A whole map."""

    id: str
    title: str
    axis: str
    reference: str
    baseline: str
    columns: tuple[HeatColumn, ...]
    rows: tuple[HeatRow, ...]
    notes: tuple[str, ...]
    ranked: bool
    """Whether there are enough settings for a rank over them."""
    legend: tuple[tuple[str, str], ...]
    agreement: tuple[tuple[str, str, str], ...]


def heatmap(table: OverallTable, traits: Traits, sitemap: Sitemap) -> Heatmap:
    """Return the map of an overall table, the rows in its order."""
    settings = [setting for setting in table.settings if len(table.bundle.values[setting]) >= LEAST_ROWS]
    return Heatmap(
        id=overall_id(table),
        title=overall_title(table),
        axis=table.board.axis,
        reference=reference_of(table),
        baseline=table.board.baseline,
        columns=tuple(_column(table, setting) for setting in settings),
        rows=tuple(_row(table, row, settings, traits, sitemap) for row in table.rows),
        notes=tuple(notes_of(table)),
        ranked=len(table.counting) > 1,
        legend=tuple((f"h{at}", text) for at, text in enumerate(LEGEND)),
        agreement=tuple((one.first, one.second, bounded(one.tau)) for one in table.agreement),
    )


def _column(table: OverallTable, setting: Setting) -> HeatColumn:
    apart, pairs = table.told_apart[setting]
    return HeatColumn(setting.label, setting in table.counting, f"{apart} of {pairs} pairs")


def _row(
    table: OverallTable, row: OverallRow, settings: Sequence[Setting], traits: Traits, sitemap: Sitemap
) -> HeatRow:
    return HeatRow(
        name=row.name,
        title=row.title,
        href=sitemap.of_axis(table.board.axis, row.name),
        traits=(*traits.of(table.board.axis, row.name), *_parameters(table, row)),
        rank=str(row.rank) if row.rank else "",
        relative=bounded(row.relative),
        improvement=bounded(row.improvement),
        cells=tuple(_cell(table, row, setting) for setting in settings),
    )


def _parameters(table: OverallTable, row: OverallRow) -> tuple[Trait, ...]:
    """Return a badge with how many parameters its networks have, beside the baseline's; none where nobody counted."""
    ratios = []
    for setting, score in row.scores.items():
        figures = [
            value.record.metrics.get("parameters")
            for value in (score.value, table.bundle.values[setting][table.board.baseline])
        ]
        if all(figure is not None and figure.value > 0 for figure in figures):
            mine, base = (figure.value for figure in figures if figure is not None)
            ratios.append(mine / base)
    if not ratios:
        return ()
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    return (Trait(f"{mean:.3g}× parameters", "Parameters of its networks, times those of the baseline's"),)


def _cell(table: OverallTable, row: OverallRow, setting: Setting) -> HeatCell:
    score = row.scores.get(setting)
    if score is None:
        reason = row.missing[setting]
        word = "–" if reason == "not measured" else reason.partition(":")[0]
        return HeatCell(word, "", False, False, f"{row.name} on {setting.label}: {reason}")
    if not math.isfinite(score.relative):
        return HeatCell("?", "", False, False, f"{row.name} on {setting.label}: no seed in common with the baseline")
    separates = table.told_apart[setting][0] > 0
    itself = row.name == table.board.baseline
    return HeatCell(
        text=f"{score.relative:.2f}",
        colour=f"h{sum(score.relative > step for step in _STEPS)}",
        hatched=not score.apart and not itself,
        best=score.tied_with_best and separates,
        details=_details(table, row, setting, score),
    )


def _details(table: OverallTable, row: OverallRow, setting: Setting, score: Score) -> str:
    estimate = score.value.estimate
    lines = [f"{row.name} on {setting.label}: error {with_interval(estimate, scale_for('fraction', estimate.value))} %"]
    if score.value.to_baseline is not None:
        apart = "" if score.apart else ", which may be chance"
        lines.append(f"{difference_text(score.value.to_baseline, POINTS)} points to {table.board.baseline}{apart}")
    lines.append(f"{estimate.n if estimate.covers == 'seeds' else 1} seeds")
    return "\n".join(lines)
