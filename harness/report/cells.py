"""One cell of a table as a page shows it: a figure with its interval and origin, or a blank that says why.

Must not rank, and must not know which table it stands in or what HTML is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.report.axes import LOG_FROM
from harness.report.links import record_link
from harness.report.ranks import NO_WORSE, Marks, difference_scale, difference_text
from harness.report.units import Scale, is_drawable, with_interval
from harness.report.words import commit_of, count, day
from harness.results.marks import Mark
from harness.results.provenance import command
from harness.results.record import MEASURED, Record
from harness.results.standing import Standing
from harness.results.table import Table, Value
from harness.results.unreached import Unreached

__all__ = ["MARKS", "BlankCell", "Interval", "MeasurementCell", "Spread", "blank", "figure", "not_reached", "spread_of"]

NOT_RANKED: Mapping[Standing, str] = {
    Standing.OLDER: "what decides it has changed since it was measured",
    Standing.NOISY: "timed on a busy machine, or with too wide an interval; the same command measures it again",
    Standing.REPORTED: "somebody else's figure, as it came",
    Standing.CHECKED: "somebody else's figure: what can be told without measuring it again holds",
}


MARKS: Mapping[Mark, str] = {
    Mark.REPORTED: "reported: nobody here has checked it",
    Mark.CHECKED: "checked: it agrees with itself, its contract and the project's code; nobody here measured it again",
    Mark.REPRODUCED: "reproduced: this figure was measured again here",
}
"""What a stranger's figure is worth, in a sentence."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a value and the ends of its interval lie between the ends of its column, in percent."""

    low: float
    value: float
    high: float


@dataclass(frozen=True, slots=True)
class MeasurementCell:
    """A figure in a cell."""

    is_figure: ClassVar[bool] = True
    text: str
    half: str
    """Half the width of the interval; empty if there is none."""
    details: tuple[str, ...]
    """Exact value, interval, rank, machine and age: a line each."""
    order: str
    """The exact value, for sorting; empty if it is not finite."""
    best: bool
    ranked: bool
    record: str
    """File of the newest record behind it."""
    cell_id: str
    command: str
    interval: Interval | None
    missing: str
    """What it lacks, where some of its runs failed."""
    mark: str
    """Why it is not ranked beside the others, and what a stranger's is worth: "noisy", "checked"; else empty."""
    reason: str
    """The same at length, where there is more to say."""


@dataclass(frozen=True, slots=True)
class BlankCell:
    """A cell without a figure."""

    is_figure: ClassVar[bool] = False
    status: str
    """Empty where nothing was run."""
    reason: str
    anchor: str
    """Of the failure's entry below the table; empty if it has none."""
    record: str = ""
    """File of a record that is no failure and has no figure."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The ends of all intervals of a column."""

    low: float
    high: float

    @property
    def log(self) -> bool:
        """Whether the ends are so far apart that only their ratio can be shown."""
        return self.low > 0 and self.high / self.low >= LOG_FROM

    def interval(self, value: Value) -> Interval | None:
        """Return where `value` lies; None if it is not finite."""
        if not is_drawable(value.estimate.value):
            return None
        ends = _ends(value)
        low, at, high = (round(100 * self._place(end), 1) for end in (min(ends), value.estimate.value, max(ends)))
        return Interval(low, at, high)

    def _place(self, end: float) -> float:
        if self.log:
            return math.log(end / self.low) / math.log(self.high / self.low)
        return (end - self.low) / (self.high - self.low)


def figure(
    value: Value,
    scale: Scale,
    marks: Marks | None = None,
    spread: Spread | None = None,
    failure: Record | None = None,
    verified: bool = True,
) -> MeasurementCell:
    """Return a figure.

    Parameters
    ----------
    marks : what there is to know of the rest of the column; None where nothing is ranked.
    spread : the column's ends, to draw the interval between them.
    failure : a run of the same row and suite that gave no figure.
    verified : whether the row has passed conformance, as far as the column asks for it.
    """
    text, _, half = with_interval(value.estimate, scale).partition(" ± ")
    missing = f"{_end_of(failure)}; this rests on {count(len(value.records), 'run')}" if failure else ""
    return MeasurementCell(
        text=text,
        half=half,
        details=(*_details(value, scale, marks, verified), *([missing] if missing else [])),
        order=repr(value.estimate.value) if math.isfinite(value.estimate.value) else "",
        best=marks is not None and marks.best(value),
        ranked=value.standing.ranked and (value.rank is not None or _has_no_rank(value, marks, verified)),
        record=record_link(value.record),
        cell_id=value.record.cell_id,
        command=command(value.record.cell),
        interval=spread.interval(value) if spread else None,
        missing=missing,
        mark=", ".join(value.said),
        reason=value.reason,
    )


def _has_no_rank(value: Value, marks: Marks | None, verified: bool) -> bool:
    """Whether nothing is wrong with a figure that has no rank: nobody ranks by it."""
    return marks is None or value.card.direction == "none" or (verified and not marks.ranks)


def _end_of(failure: Record) -> str:
    if failure.status in MEASURED:
        return "a run did not reach the target"
    return f"a run ended as {failure.status}"


def blank(failure: Record | None, anchors: Mapping[str, str]) -> BlankCell:
    """Return a cell without a figure; `anchors` leads from a record's file to its entry below the table."""
    if failure is None or failure.status in MEASURED:
        return BlankCell("", "", "")
    return BlankCell(failure.status, failure.reason or "", anchors.get(record_link(failure), ""))


def not_reached(unreached: Unreached) -> BlankCell:
    """Return a cell of a training that ended before its target."""
    reason = "trained for its whole budget, and did not reach the task's target"
    if unreached.rank is not None:
        reason += f"; rank {unreached.rank}, below all that did"
    return BlankCell(unreached.text, reason, "", record_link(unreached.record))


def spread_of(table: Table) -> Spread | None:
    """Return the ends of the ranking column; None where there is nothing to compare."""
    values = [row.values[table.board.rank_by] for row in table.rows if table.board.rank_by in row.values]
    ends = [end for value in values for end in _ends(value)]
    if len(values) < 2 or not ends or min(ends) == max(ends):
        return None
    return Spread(min(ends), max(ends))


def _ends(value: Value) -> list[float]:
    estimate = value.estimate
    return [end for end in (estimate.low, estimate.value, estimate.high) if end is not None and is_drawable(end)]


def _details(value: Value, scale: Scale, marks: Marks | None, verified: bool) -> Iterable[str]:
    estimate, card, provenance = value.estimate, value.card, value.record.provenance
    yield f"{card.title}: {scale.text(estimate.value)} {scale.label}".rstrip()
    yield f"exactly {estimate.value!r} {card.unit}"
    if estimate.low is not None and estimate.high is not None:
        ends = f"{scale.text(estimate.low)} to {scale.text(estimate.high)} {scale.label}".rstrip()
        yield f"95 % interval {ends}, over {estimate.n:,} {estimate.covers or 'samples'}"
    elif card.exact:
        yield "an exact figure: the same code gives it again"
    else:
        yield "one measurement, without an interval"
    if marks is not None and value.rank is not None:
        yield f"rank {value.rank}{', not significantly worse than the best' if value.rank.tied_with_best else ''}"
        for name, difference in (("the best", value.to_leader), (marks.baseline, value.to_baseline)):
            if difference is not None:
                unit = difference_scale(difference, card, scale)
                equal = f"; {NO_WORSE}: no worse, within the board's margin" if difference.no_worse else ""
                yield f"to {name}: {difference_text(difference, unit)} {unit.label}{equal}".rstrip()
    elif not value.standing.ranked:
        yield f"not ranked: {value.reason or NOT_RANKED[value.standing]}"
    elif not _has_no_rank(value, marks, verified):
        yield "not ranked: conformance was not passed on this machine"
    elif marks is not None and not marks.ranks:
        yield "shown, not ranked: it drifts with the machine"
    if value.mark is not None:
        yield f"submitted as {value.submission}; {MARKS[value.mark]}"
    yield f"measured {day(provenance.started_at)} on {provenance.machine.name}"
    yield f"commit {commit_of(provenance)}; code {provenance.code_hash[:10]}"
