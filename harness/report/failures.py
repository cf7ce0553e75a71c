"""Runs that gave no figure: what happened, the last that was heard of them, and the command that repeats them.

Must not know where a failure is shown, nor judge it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.report.impossible import Impossible
from harness.report.links import Sitemap, record_link, row_id, slug
from harness.report.words import combination, commit_of, joined
from harness.results.provenance import command
from harness.results.record import DONE, MEASURED, Record
from harness.results.table import Table

__all__ = ["FailureView", "Unsupported", "failed", "failure_view", "failures_of", "unsupported_of"]

MOST_LINES = 40
"""Lines of output that are shown of a failure."""


@dataclass(frozen=True, slots=True)
class FailureView:
    """A run that gave no figure."""

    id: str
    name: str
    """Of the row it leaves without a figure; empty on the row's own page."""
    href: str | None
    what: str
    """The rest of the combination."""
    suite: str
    status: str
    reason: str
    command: str
    tail: tuple[str, ...]
    record: str
    cell_id: str
    machine: str
    measured: str
    commit: str


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A combination that makes no sense, with the sentence that says why."""

    name: str
    href: str | None
    suites: str
    reason: str


def failed(record: Record) -> bool:
    """Whether a run should have given figures and did not."""
    return record.status not in MEASURED | DONE


def failure_view(record: Record, anchor: str, what: str, name: str = "", href: str | None = None) -> FailureView:
    """Return what is known of a failed run."""
    provenance = record.provenance
    return FailureView(
        id=anchor,
        name=name,
        href=href,
        what=what,
        suite=record.cell.suite,
        status=record.status,
        reason=record.reason or "no reason was recorded",
        command=command(record.cell),
        tail=record.output_tail[-MOST_LINES:],
        record=record_link(record),
        cell_id=record.cell_id,
        machine=provenance.machine.name,
        measured=provenance.started_at,
        commit=commit_of(provenance),
    )


def failures_of(table: Table, sitemap: Sitemap) -> tuple[FailureView, ...]:
    """Return every failed run of a table once, however many columns it leaves empty."""
    found: dict[str, FailureView] = {}
    for row in table.rows:
        href = sitemap.of_axis(table.board.axis, row.name)
        for record in row.failures.values():
            file = record_link(record)
            if failed(record) and file not in found:
                anchor = f"{row_id(table.group, row)}~{slug(record.cell_id)}"
                what = combination(record.cell, without=(table.board.axis,))
                found[file] = failure_view(record, anchor, what, row.name, href)
    return tuple(found.values())


def unsupported_of(
    table: Table, impossible: Sequence[Impossible], labels: Mapping[tuple[str, str], str], sitemap: Sitemap
) -> Iterable[Unsupported]:
    """Yield each reason why a row of a table has no figure, with the suites that it holds for.

    Some are `impossible` by their cards; what only a run could find out has a record.
    """
    several = len({row.topology for row in table.rows}) > 1
    for one in impossible:
        name = f"{one.name} ({one.topology})" if several else one.name
        yield Unsupported(name, sitemap.of_axis(table.board.axis, one.name), joined(one.suites), one.reason)
    said = {(one.name, one.topology, one.reason) for one in impossible}
    for row in table.rows:
        reasons: dict[str, list[str]] = {}
        for record in row.failures.values():
            if record.status == "unsupported":
                suites = reasons.setdefault(record.reason or "no reason was recorded", [])
                suites += [record.cell.suite] * (record.cell.suite not in suites)
        href = sitemap.of_axis(table.board.axis, row.name)
        for reason, suites in reasons.items():
            if (row.name, row.topology, reason) in said:
                continue
            yield Unsupported(labels[(row.name, row.topology)], href, joined(suites), reason)
