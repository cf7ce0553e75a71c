"""Records become ranked tables, one for each board and each group of what must be equal.

Seeds are combined, rows stand in the order of their estimates, and what has not passed conformance is shown but not
ranked; ``ranking`` decides what differs. Formats live in ``report``; nothing here prints.
"""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.catalogue.boards import BOARDS
from harness.catalogue.boards.model import Board, Column
from harness.catalogue.cards import Registry
from harness.catalogue.cell import NOT_APPLICABLE
from harness.results.evidence import is_share, observed, rule_of
from harness.results.freshness import Today
from harness.results.grouping import Group, grouped, one_a_seed
from harness.results.marks import NOBODY, Submitted
from harness.results.ranking import Place, places
from harness.results.record import MEASURED, Metric, Record
from harness.results.selection import preferred, unmixed
from harness.results.standing import Standing
from harness.results.stats import Estimate, estimate
from harness.results.table import Table, TableRow, Value
from harness.results.unreached import Unreached, missed_target, ranked_below
from harness.results.vectors import AuthorsVectors
from harness.results.verification import Verification

__all__ = ["build_tables", "combined_over_seeds"]


def build_tables(
    records: Iterable[Record], registry: Registry, board: Board | None = None, strangers: Submitted = NOBODY
) -> list[Table]:
    """Build every table of `board` (None: of all boards) that `records` can fill, the fullest first.

    Of several records of one cell on one machine a current one counts, then the newest. Seeds are combined into one
    figure, current ones never with older ones. Records of `strangers` stand beside them where there are none of one's
    own; what of them was not measured again here is ranked nowhere and verifies nothing.
    """
    own = list(records)
    beside = strangers.beside(own) if strangers.records else strangers
    elsewhere = {key: known.freshness for key, known in beside.marks.items()}
    today = Today(registry, elsewhere=elsewhere)
    latest = preferred([*own, *beside.records], today)
    believed = [record for record in latest if not beside.claims(record)]
    verified = Verification(believed, registry, today)
    vectors = AuthorsVectors(believed, registry, today)
    known = _Known(registry, verified, beside)
    tables = []
    for wanted in BOARDS if board is None else (board,):
        groups = grouped(latest, wanted, {column.suite for column in wanted.columns}, registry)
        found = [_table(wanted, group, members, known) for group, members in groups.items()]
        found = [_with_vectors(table, vectors) for table in found]
        tables.extend(sorted(found, key=lambda table: (-len(table.rows), table.group.label, table.group.machine)))
    return tables


def _with_vectors(table: Table, vectors: AuthorsVectors) -> Table:
    axis, machine, shared = table.board.axis, table.group.machine, dict(table.group.axes)
    marked = (replace(row, vectors=vectors.of(machine, axis, row.name, shared)) for row in table.rows)
    return replace(table, rows=tuple(marked))


@dataclass(frozen=True, slots=True)
class _Known:
    """What rows are made with."""

    registry: Registry
    verified: Verification
    strangers: Submitted


def _table(board: Board, group: Group, records: Sequence[Record], known: _Known) -> Table:
    by_row: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        # Where networks are the rows, no further one tells them apart.
        network = NOT_APPLICABLE if board.axis == "topology" else record.cell.topology
        by_row[(getattr(record.cell, board.axis), network)].append(record)
    unranked = [_row(board, key, members, known, group.machine) for key, members in by_row.items()]
    ranks = {column.key: _places(column, board, unranked) for column in board.columns}
    below = {column.key: _below(column, unranked, len(ranks[column.key])) for column in board.columns}
    ranked = [
        replace(
            row,
            values={key: _placed(value, ranks[key].get(_identity(row))) for key, value in row.values.items()},
            unreached={key: below[key].get(_identity(row), one) for key, one in row.unreached.items()},
        )
        for row in unranked
    ]
    having = {key for row in ranked for key in (*row.values, *row.unreached)}
    columns = tuple(column for column in board.columns if column.key in having)
    cards = {column.key: known.registry.suite(column.suite).metrics[column.metric] for column in columns}
    return Table(board, group, columns, tuple(sorted(ranked, key=lambda row: _order(row, board))), cards)


def _row(board: Board, key: tuple[str, str], records: Sequence[Record], known: _Known, machine: str) -> TableRow:
    name, topology = key
    registry, verified = known.registry, known.verified
    cards = {
        "neuron": registry.cell_neurons,
        "method": registry.methods,
        "task": registry.tasks,
        "topology": registry.topologies,
    }.get(board.axis, {})
    values: dict[str, Value] = {}
    unreached: dict[str, Unreached] = {}
    failures: dict[str, Record] = {}
    by_suite: dict[str, list[Record]] = {column.suite: [] for column in board.columns}
    for record in records:
        by_suite[record.cell.suite].append(record)
    counting = {
        suite: one_a_seed(unmixed(known.strangers.unmixed(several), verified.today), machine)
        for suite, several in by_suite.items()
    }
    used = [record for several in counting.values() for record in several]
    for column in board.columns:
        of_suite = counting[column.suite]
        measured = [record for record in of_suite if record.status in MEASURED and column.metric in record.metrics]
        if measured:
            values[column.key] = _value(column, measured, known)
        missed = [one for one in of_suite if missed_target(one, column.metric, verified.today.is_current(one))]
        if missed and not measured:
            unreached[column.key] = Unreached(missed[-1], _standing_of(missed[-1], known))
        lacking = [record for record in of_suite if record.status not in MEASURED] or (missed if measured else of_suite)
        if lacking:
            failures[column.key] = lacking[-1]
    return TableRow(
        name=name,
        title=cards[name].title if name in cards else name,
        verified=all(verified.of(record) for record in unmixed(used, verified.today)),
        topology=topology,
        values=values,
        failures=failures,
        unreached=unreached,
        changes=cards[name].changes if name in cards else "",
    )


def _standing_of(missed: Record, known: _Known) -> Standing:
    """Return the standing of a training that ended before its target."""
    if not known.verified.today.is_current(missed):
        return Standing.OLDER
    mark = known.strangers.mark([missed], next(iter(missed.metrics), ""))
    return Standing.CURRENT if mark is None else mark.standing


def _value(column: Column, records: Sequence[Record], known: _Known) -> Value:
    card = known.registry.suite(column.suite).metrics[column.metric]
    combined = combined_over_seeds([record.metrics[column.metric] for record in records])
    mark, whose = known.strangers.mark(records, column.metric), known.strangers.of(records[0])
    made = functools.partial(
        Value, combined, card, tuple(records), mark=mark, submission=whose.submission if whose else ""
    )
    age = known.verified.today.of_record(records[0])  # they are not mixed: if one is current, all are
    if not age.is_current:
        return made(Standing.OLDER, str(age))
    if not card.exact and any(record.status == "noisy" for record in records):
        return made(Standing.NOISY)
    return made(Standing.CURRENT if mark is None else mark.standing)


def combined_over_seeds(metrics: Sequence[Metric]) -> Estimate:
    """Return the mean over seeds with its interval, or a single figure with the interval it came with.

    A fraction of n test samples moves in steps of 1/n; seeds that agree to the last step are not certain.
    """
    first = metrics[0]
    if len(metrics) == 1:
        return Estimate(first.value, first.low, first.high, first.n, first.covers)
    resolution = 1 / first.n if is_share(first) else 0.0
    return estimate([metric.value for metric in metrics], "seeds", resolution)


def _identity(row: TableRow) -> tuple[str, str]:
    return row.name, row.topology


def _places(column: Column, board: Board, table_rows: Iterable[TableRow]) -> dict[tuple[str, str], Place]:
    """Rank the rows of a column that may be ranked, if it ranks at all."""
    if not column.ranked:
        return {}
    values = {
        _identity(row): value
        for row in table_rows
        if (value := row.values.get(column.key)) is not None
        and value.standing.ranked
        and (row.verified or not column.needs_verification)
        and value.card.direction != "none"
        and math.isfinite(value.estimate.value)
    }
    if not values:
        return {}
    card = next(iter(values.values())).card
    figures = [record.metrics[column.metric] for value in values.values() for record in value.records]
    rule = rule_of(card, board, figures)
    index = {identity: i for i, identity in enumerate(values)}
    found = places(
        [value.estimate.value for value in values.values()],
        [observed(value.records, column.metric, rule.scale) for value in values.values()],
        [index.get((board.baseline, topology)) for _, topology in values],
        rule,
    )
    return dict(zip(values, found, strict=True))


def _below(column: Column, table_rows: Iterable[TableRow], reached: int) -> dict[tuple[str, str], Unreached]:
    """Rank the rows of a column that did not reach its target, as far as they may be ranked."""
    known = {
        _identity(row): one
        for row in table_rows
        if (one := row.unreached.get(column.key)) is not None
        and one.standing.ranked
        and (row.verified or not column.needs_verification)
    }
    return ranked_below(reached, known)


def _placed(value: Value, place: Place | None) -> Value:
    if place is None:
        return value
    return replace(value, rank=place.rank, to_leader=place.to_leader, to_baseline=place.to_baseline)


def _order(row: TableRow, board: Board) -> tuple[bool, float, str, str]:
    """Sort by the estimate, whatever is known of its noise; what has none comes last."""
    value = row.values.get(board.rank_by)
    if value is None:
        return True, math.inf, row.name, row.topology
    sign = -1 if value.card.direction == "higher" else 1
    return False, sign * value.estimate.value, row.name, row.topology
