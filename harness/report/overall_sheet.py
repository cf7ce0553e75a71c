"""The overall boards as sheets: rank, relative error over all tasks, and what each task said.

Turns what ``overall`` decided into words. Must not rank.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from harness.catalogue.cell import DEFAULT_RECIPE
from harness.report.sheets import Sheet
from harness.report.words import count
from harness.results.overall.board import MOST_MORE, WANTED_APART, OverallRow, OverallTable, Score
from harness.results.overall.settings import Setting
from harness.results.stats import Estimate

__all__ = ["bounded", "notes_of", "overall_id", "overall_sheet", "overall_title", "reference_of", "relative_text"]

SHORTEST = 24
"""Characters of a reason that a cell of text shows; all of it stands in the CSV and on the page."""


def overall_title(table: OverallTable) -> str:
    """Return "Neuron models over all tasks: standard, tuned (machine)"."""
    return f"{table.board.title} over all tasks: {table.bundle.label} ({table.bundle.machine})"


def overall_id(table: OverallTable) -> str:
    """Return a name for labels of LaTeX and the like."""
    return f"overall-{table.board.name}.{table.bundle.label.replace(', ', '.')}"


def reference_of(table: OverallTable) -> str:
    """Return what errors are relative to."""
    return "LIF under BPTT" if table.board.axis == "neuron" else "BPTT with the same neuron and network"


def overall_sheet(table: OverallTable) -> Sheet:
    """Return an overall board as lines of text and of raw values."""
    head = ("#", table.board.axis, "relative error", "beats baseline", "tasks", *(one.label for one in table.settings))
    return Sheet(
        id=overall_id(table),
        title=overall_title(table),
        head=head,
        lines=tuple(_line(table, row) for row in table.rows),
        raw=tuple(_raw(table, row) for row in table.rows),
        notes=tuple(notes_of(table)),
        left=(True, True, *[False] * (len(head) - 2)),
    )


def notes_of(table: OverallTable) -> Iterable[str]:
    """Say how it was put together, what it tells apart, and how far its tasks agree."""
    apart, pairs = table.pairs_apart
    yield (
        f"Errors are relative to {reference_of(table)} on the same seeds: 0.8 is 20 % fewer errors. 'relative error' "
        "is the interquartile mean over all runs, with a stratified bootstrap interval over seeds; 'beats baseline' "
        "the probability that a run is better than one of the baseline's."
    )
    yield (
        f"A rank is over {count(len(table.counting), 'setting')} that at least half of the rows have, by paired "
        f"differences at a family-wise 95 %; {apart} of {pairs} pairs are told apart. A row that lacks one of them "
        "holds no rank, whatever the reason; ~ marks an error that its task's table does not tell from the baseline's."
    )
    if pairs and apart < WANTED_APART * pairs:
        needed = f"not even {MOST_MORE} times as many seeds"
        if table.seeds_needed:
            needed = f"about {table.seeds_needed} seeds of each row"
        yield f"Were the differences seen the true ones, {needed} would tell a third of the pairs apart."
    beside = [setting.label for setting in table.settings if setting not in table.counting]
    if beside:
        yield f"Shown but not ranked over, for less than half of the rows have them: {'; '.join(beside)}."
    if table.agreement:
        taus = "; ".join(f"{one.first} and {one.second}: {bounded(one.tau)}" for one in table.agreement)
        yield f"How tasks agree (Kendall's tau of the rows' order, 95 % over rows): {taus}."
    if table.bundle.recipe == DEFAULT_RECIPE:
        yield "Hyper-parameters are the cards' own: rows are not tuned with equal means."


def _line(table: OverallTable, row: OverallRow) -> tuple[str, ...]:
    cells = [_cell(row, setting) for setting in table.settings]
    has = sum(setting in row.scores for setting in table.counting)
    return (
        str(row.rank) if row.rank else "",
        row.name,
        bounded(row.relative),
        bounded(row.improvement),
        f"{has} of {len(table.counting)}",
        *cells,
    )


def _cell(row: OverallRow, setting: Setting) -> str:
    score = row.scores.get(setting)
    if score is None:
        reason = row.missing[setting]
        return reason.partition(":")[0] if len(reason) > SHORTEST else reason
    return relative_text(score)


def relative_text(score: Score) -> str:
    """Return a relative error, marked where the task's own table does not tell it from the baseline's."""
    if not math.isfinite(score.relative):
        return "no common seed"
    mark = "" if score.apart or score.value.to_baseline is None else "~"
    return f"{mark}{score.relative:.2f}"


def bounded(estimate: Estimate) -> str:
    """Return "0.47 [0.45, 0.51]"; empty for what is not a number."""
    if not math.isfinite(estimate.value):
        return ""
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.2f}"
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def _raw(table: OverallTable, row: OverallRow) -> dict[str, object]:
    line: dict[str, object] = {"board": f"overall-{table.board.name}", **dict(table.bundle.shared)}
    line |= {"machine": table.bundle.machine, table.board.axis: row.name}
    line |= {"rank_best": row.rank and row.rank.best, "rank_worst": row.rank and row.rank.worst}
    for name, estimate in (("relative", row.relative), ("improvement", row.improvement)):
        line |= {f"{name}.{part}": getattr(estimate, part) for part in ("value", "low", "high")}
    for setting in table.settings:
        score = row.scores.get(setting)
        line[f"{setting.label}.relative"] = score and score.relative
        line[f"{setting.label}.error_fraction"] = score and score.value.estimate.value
        line[f"{setting.label}.told_apart"] = score and score.apart
        line[f"{setting.label}.counts"] = setting in table.counting
        line[f"{setting.label}.missing"] = row.missing.get(setting, "")
    return line
