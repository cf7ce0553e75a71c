"""What the front page, the list of implementations and the page about measuring say.

Counts and gathers; judges nothing. Must not know HTML.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.catalogue.boards import BOARDS
from harness.catalogue.boards.model import Board
from harness.catalogue.cards import MetricCard, Registry
from harness.report.best import Best, best_of
from harness.report.board_view import BoardPlan, PlannedTable
from harness.report.failures import failed
from harness.report.formats import column_scale, mark_of
from harness.report.implementation_view import ImplementationView
from harness.report.links import Sitemap, board_page, figures_files
from harness.report.ranks import rank_text
from harness.report.table_rows import row_labels
from harness.report.units import with_interval
from harness.report.words import Fact, count, machine_of, where
from harness.results.record import Record

__all__ = [
    "About",
    "BoardCard",
    "Entry",
    "Leader",
    "MachineView",
    "Overview",
    "SuiteView",
    "view_about",
    "view_entry",
    "view_overview",
]

MOST_LEADERS = 5


@dataclass(frozen=True, slots=True)
class Leader:
    """One of the first rows of a board's fullest table."""

    rank: str
    label: str
    title: str
    href: str | None
    figure: str
    verified: bool


@dataclass(frozen=True, slots=True)
class BoardCard:
    """A board on the front page."""

    board: Board
    page: str
    table: str
    """Address of the fullest table; empty if there is none."""
    label: str
    machine: str
    metric: str
    leaders: tuple[Leader, ...]
    more: int
    """Rows of the table that are not shown."""
    best: tuple[Best, ...]
    tables: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The front page."""

    boards: tuple[BoardCard, ...]
    counts: tuple[str, ...]
    """Such as "320 records"."""
    newest: str
    """When the newest record was measured, ISO 8601; empty if there is none."""
    newest_machine: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An implementation in the list of all."""

    kind: str
    name: str
    title: str
    page: str
    summary: str
    base: str
    conformance: str
    records: int
    failures: int


@dataclass(frozen=True, slots=True)
class MachineView:
    """A machine and what was measured on it."""

    name: str
    description: str
    python: str
    records: int
    newest: str
    packages: tuple[Fact, ...]
    """Name and version, or versions if records differ."""
    allocators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SuiteView:
    """A suite and the figures it gives."""

    name: str
    title: str
    summary: str
    version: int
    metrics: Mapping[str, MetricCard]


@dataclass(frozen=True, slots=True)
class About:
    """The page that says how it was measured."""

    machines: tuple[MachineView, ...]
    suites: tuple[SuiteView, ...]
    problems: tuple[Fact, ...]
    """File and reason of what was skipped in the stores."""
    card_problems: tuple[str, ...]
    figures: tuple[str, ...]
    """Files of all figures."""
    statuses: tuple[tuple[str, int], ...]
    margins: tuple[float, float]
    """Of shares in points and of everything else in percent: what two figures may differ by and be no worse."""


def view_overview(plans: Iterable[BoardPlan], records: Sequence[Record], sitemap: Sitemap) -> Overview:
    """Return the front page; `records` are the newest of every cell."""
    by_board = {plan.board.name: plan for plan in plans}
    newest = max(records, key=lambda record: record.provenance.moment, default=None)
    planned = [one for plan in by_board.values() for one in plan.groups]
    unverified = {
        (one.table.board.axis, row.name) for one in planned for row in one.table.rows if row.values and not row.verified
    }
    counts = (
        count(len(records), "record"),
        count(sum(failed(record) for record in records), "failed run"),
        count(len(unverified), "row without a passed contract", "rows without a passed contract"),
        count(len({record.provenance.machine.name for record in records}), "machine"),
    )
    return Overview(
        boards=tuple(_board(board, by_board[board.name], sitemap) for board in BOARDS),
        counts=counts,
        newest=newest.provenance.started_at if newest else "",
        newest_machine=newest.provenance.machine.name if newest else "",
    )


def _board(board: Board, plan: BoardPlan, sitemap: Sitemap) -> BoardCard:
    fullest = next(iter(plan.groups), None)
    compared = sum(not planned.folded for planned in plan.groups)
    if fullest is None:
        return BoardCard(board, board_page(board.name), "", "", "", "", (), 0, (), 0)
    table = fullest.table
    leaders = tuple(_leaders(fullest, sitemap))
    ranked = [row.values[board.rank_by] for row in table.rows if board.rank_by in row.values]
    return BoardCard(
        board=board,
        page=board_page(board.name),
        table=sitemap.tables[(board.name, table.group)],
        label=table.group.label,
        machine=where(table, table.group.machine),
        metric=ranked[0].card.title if ranked else "",
        leaders=leaders,
        more=len(ranked) - len(leaders),
        best=tuple(best_of(table)),
        tables=compared,
    )


def _leaders(planned: PlannedTable, sitemap: Sitemap) -> Iterable[Leader]:
    table = planned.table
    key, labels = table.board.rank_by, row_labels(table)
    column = next((column for column in table.columns if column.key == key), None)
    if column is None:
        return
    scale = column_scale(table, column)
    having = [row for row in table.rows if key in row.values]
    ranked = [row for row in having if row.values[key].rank is not None]
    for row in (ranked or having)[:MOST_LEADERS]:
        value = row.values[key]
        yield Leader(
            rank=rank_text(value),
            label=labels[(row.name, row.topology)],
            title=row.title,
            href=sitemap.of_axis(table.board.axis, row.name),
            figure=f"{with_interval(value.estimate, scale)} {scale.label}".rstrip() + mark_of(value),
            verified=row.verified,
        )


def view_entry(view: ImplementationView) -> Entry:
    """Return an implementation's line in the list of all."""
    broken = sum(run.broken for run in view.conformance)
    passed = view.conformance and all(run.status == "ok" for run in view.conformance) and not broken
    clauses = count(broken, "broken clause")
    conformance = "passed" if passed else (clauses if broken else ("failed" if view.conformance else "not checked"))
    return Entry(
        kind=view.kind,
        name=view.name,
        title=view.title,
        page=view.file,
        summary=view.summary,
        base=view.base[0] if view.base else "",
        conformance=conformance,
        records=view.record_count,
        failures=len(view.failures) + view.failures_left_out,
    )


def view_about(records: Sequence[Record], registry: Registry, problems: Iterable[Fact]) -> About:
    """Return the page about measuring; `problems` are files that were skipped, with the reason."""
    by_machine: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_machine[record.provenance.machine.name].append(record)
    return About(
        machines=tuple(_machine(name, several) for name, several in sorted(by_machine.items())),
        suites=tuple(
            SuiteView(name, row.title, row.summary, registry.suite(name).version, registry.suite(name).metrics)
            for name, row in registry.suites.items()
        ),
        problems=tuple(problems),
        card_problems=tuple(str(problem) for problem in registry.problems),
        figures=figures_files(len(records)),
        statuses=tuple(Counter(record.status for record in records).most_common()),
        margins=(100 * BOARDS[0].share_margin, 100 * BOARDS[0].relative_margin),
    )


def _machine(name: str, records: Sequence[Record]) -> MachineView:
    newest = max(records, key=lambda record: record.provenance.moment).provenance
    versions: dict[str, dict[str, None]] = defaultdict(dict)
    for record in sorted(records, key=lambda record: record.provenance.moment, reverse=True):
        for package, version in record.provenance.packages.items():
            versions[package][version] = None
    return MachineView(
        name=name,
        description=machine_of(newest.machine),
        python=newest.machine.python,
        records=len(records),
        newest=newest.started_at,
        packages=tuple(Fact(package, ", ".join(found)) for package, found in sorted(versions.items())),
        allocators=tuple(sorted({r.provenance.allocator for r in records if r.provenance.allocator})),
    )
