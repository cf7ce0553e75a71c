"""The page of one implementation: what its card says, what was measured of it, and where it failed.

Gathers; what a card means is phrased in ``words``, figures in ``measured``. Must not rank, and must not know HTML.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from harness.catalogue.cards import Registry, Row, TaskCard
from harness.catalogue.cell import NOT_APPLICABLE
from harness.report.board_view import BoardPlan
from harness.report.conformance_view import ConformanceView, conformance_of
from harness.report.curves import SeriesPlot
from harness.report.failures import FailureView, failed, failure_view
from harness.report.formats import column_scale
from harness.report.links import AXIS_OF_KIND, KIND_OF_AXIS, Sitemap, row_id, slug
from harness.report.measured import Combination, Measured, curves_of, measured_of
from harness.report.paper import ReportedView, reported_beside
from harness.report.ranks import rank_text
from harness.report.table_rows import tried
from harness.report.units import with_interval
from harness.report.words import Fact, Reference, combination, facts_of, metric_titles, references, shown, where
from harness.results.record import Record
from harness.results.table import Table, TableRow
from reference_impls.card import Card

__all__ = ["Dossier", "ImplementationView", "Place", "dossiers", "view_implementation"]

MOST_FAILURES = 40
MOST_PLACES = 40
MOST_SENTENCES = 40


@dataclass(frozen=True, slots=True)
class Place:
    """Where an implementation stands in one table."""

    board: str
    label: str
    machine: str
    href: str
    rank: str
    rows: int
    figure: str
    verified: bool
    """Whether the contract was passed; in a table of others, by the row that leads."""
    vectors: bool
    """Whether it agrees with numbers of the authors' own code."""


@dataclass(slots=True)
class Dossier:
    """What the records say of one implementation."""

    records: list[Record] = field(default_factory=list)
    places: list[tuple[Table, TableRow]] = field(default_factory=list)
    """Rows of tables that are about it."""
    settings: list[Table] = field(default_factory=list)
    """Tables all of whose rows use it."""
    combinations: list[Combination] = field(default_factory=list)
    impossible: Counter[str] = field(default_factory=Counter)
    """Sentences of the cards, with the number of tables that it cannot be in by each."""


@dataclass(frozen=True, slots=True)
class ImplementationView:
    """A page."""

    file: str
    kind: str
    name: str
    title: str
    summary: str
    equations: tuple[str, ...]
    version: int
    source: str
    facts: tuple[Fact, ...]
    parameters: tuple[Fact, ...]
    recipe: tuple[Fact, ...]
    budgets: tuple[tuple[str, str], ...]
    networks: tuple[tuple[str, str | None, str], ...]
    """Of a task: (topology, its page, parameters)."""
    references: tuple[Reference, ...]
    reported: tuple[ReportedView, ...]
    divergences: tuple[str, ...]
    base: tuple[str, str] | None
    """Name and page of the card that this is a variant of."""
    variants: tuple[tuple[str, str, str], ...]
    """(name, page, title)."""
    places: tuple[Place, ...]
    settings: tuple[Place, ...]
    measured: tuple[Measured, ...]
    curves: tuple[tuple[str, tuple[SeriesPlot, ...]], ...]
    conformance: tuple[ConformanceView, ...]
    failures: tuple[FailureView, ...]
    failures_left_out: int
    unsupported: tuple[tuple[str, int], ...]
    """(sentence, how many tables it cannot be in)."""
    record_count: int


def dossiers(
    records: Iterable[Record],
    plans: Iterable[BoardPlan],
    combinations: Mapping[tuple[str, str], list[Combination]],
) -> Mapping[tuple[str, str], Dossier]:
    """Sort what there is by (kind, name) of the implementation it is about; a peer counts as a neuron."""
    found: dict[tuple[str, str], Dossier] = defaultdict(Dossier)
    for record in records:
        for axis, kind in KIND_OF_AXIS.items():
            name = getattr(record.cell, axis)
            if name != NOT_APPLICABLE:
                found[(kind, name)].records.append(record)
    for planned in (one for plan in plans for one in plan.groups):
        table = planned.table
        for impossible in planned.impossible:
            found[(KIND_OF_AXIS[table.board.axis], impossible.name)].impossible[impossible.reason] += 1
        for row in table.rows:
            if table.board.axis in KIND_OF_AXIS:
                found[(KIND_OF_AXIS[table.board.axis], row.name)].places.append((table, row))
        for axis, value in table.group.axes:
            if axis in ("task", "topology"):
                found[(KIND_OF_AXIS[axis], value)].settings.append(table)
    for (axis, name), several in combinations.items():
        found[(KIND_OF_AXIS[axis], name)].combinations.extend(several)
    return found


def view_implementation(row: Row, dossier: Dossier, registry: Registry, sitemap: Sitemap) -> ImplementationView:
    """Return the page of `row`."""
    card = row.card
    assert isinstance(card, Card | TaskCard)
    task = card if isinstance(card, TaskCard) else None
    failures = [record for record in dossier.records if failed(record)]
    failures.sort(key=lambda record: record.provenance.moment, reverse=True)
    pages = sitemap.implementations
    return ImplementationView(
        file=pages[(row.kind, row.name)],
        kind=row.kind,
        name=row.name,
        title=row.title,
        summary=row.summary,
        equations=tuple(part.strip() for part in getattr(card, "equations", "").split(";") if part.strip()),
        version=card.version,
        source=row.module,
        facts=(*facts_of(task or row.capabilities), *([Fact("changes to LIF", row.changes)] if row.changes else [])),
        parameters=tuple(Fact(name, shown(value)) for name, value in row.params.items()),
        recipe=tuple(Fact(of, shown(value)) for of, value in getattr(card, "recipe", {}).items()),
        budgets=tuple(_budgets(task)) if task else (),
        networks=tuple(_networks(task, sitemap)) if task else (),
        references=references(card.citations),
        reported=reported_beside(card.reported, dossier.combinations, registry, pages),
        divergences=tuple(getattr(card, "divergences", ())) + tuple(getattr(card, "notes", ())),
        base=None if row.name == card.name else (card.name, pages[(row.kind, card.name)]),
        variants=tuple(
            (name, pages[(row.kind, name)], variant.title)
            for name, variant in card.variants.items()
            if row.name == card.name and (row.kind, name) in pages
        ),
        places=tuple(_places(dossier, sitemap)),
        settings=tuple(_settings(dossier, sitemap)),
        measured=measured_of(dossier.combinations, registry, sitemap),
        curves=curves_of(dossier.combinations, metric_titles(registry)),
        conformance=tuple(conformance_of(row, dossier.records)),
        failures=tuple(_failure(record, row) for record in failures[:MOST_FAILURES]),
        failures_left_out=max(0, len(failures) - MOST_FAILURES),
        unsupported=tuple(_unsupported(dossier)),
        record_count=len(dossier.records),
    )


def _budgets(task: TaskCard) -> Iterable[tuple[str, str]]:
    for name, budget in task.budgets.items():
        limits = [
            f"first {limit:,} {what} samples only"
            for limit, what in ((budget.train_limit, "training"), (budget.test_limit, "test"))
            if limit is not None
        ]
        epochs = f"{budget.epochs} epoch{'s' if budget.epochs != 1 else ''} of batches of {budget.batch_size}"
        yield name, ", ".join([epochs, f"{budget.optimizer}, learning rate {budget.learning_rate:g}", *limits])


def _networks(task: TaskCard, sitemap: Sitemap) -> Iterable[tuple[str, str | None, str]]:
    for name, params in task.networks.items():
        yield name, sitemap.of_axis("topology", name), shown(params)


def _places(dossier: Dossier, sitemap: Sitemap) -> Iterable[Place]:
    """Yield where the implementation stands among others, in the fullest tables first."""
    having = [(table, row) for table, row in dossier.places if row.values and len(tried(table)) > 1]
    for table, row in sorted(having, key=lambda pair: -len(pair[0].rows))[:MOST_PLACES]:
        yield _place(table, row, sitemap, row_id(table.group, row))


def _settings(dossier: Dossier, sitemap: Sitemap) -> Iterable[Place]:
    """Yield the tables that are measured on this task or network, each with its leader."""
    having = [table for table in dossier.settings if table.rows[0].values and len(tried(table)) > 1]
    for table in sorted(having, key=lambda table: -len(table.rows))[:MOST_PLACES]:
        yield _place(table, table.rows[0], sitemap)


def _place(table: Table, row: TableRow, sitemap: Sitemap, anchor: str = "") -> Place:
    shown = (column.key for column in table.columns if column.key in row.values)
    key = table.board.rank_by if table.board.rank_by in row.values else next(shown)
    value = row.values[key]
    scale = next(column_scale(table, column) for column in table.columns if column.key == key)
    address = sitemap.tables[(table.board.name, table.group)]
    return Place(
        board=table.board.title,
        label=table.group.label,
        machine=where(table, table.group.machine),
        href=f"{address.partition('#')[0]}#{anchor}" if anchor else address,
        rank=rank_text(value),
        rows=sum(key in other.values for other in table.rows),
        figure=f"{value.card.title} {with_interval(value.estimate, scale)} {scale.label}".rstrip(),
        verified=row.verified,
        vectors=row.vectors,
    )


def _failure(record: Record, row: Row) -> FailureView:
    what = combination(record.cell, without=(AXIS_OF_KIND[row.kind],))
    return failure_view(record, f"failure-{slug(record.provenance.machine.name)}-{slug(record.cell_id)}", what)


def _unsupported(dossier: Dossier) -> Iterable[tuple[str, int]]:
    """Yield what the cards rule out, and what only a run could find out."""
    sentences = dossier.impossible + Counter(
        record.reason or "no reason was recorded" for record in dossier.records if record.status == "unsupported"
    )
    return sentences.most_common(MOST_SENTENCES)
