"""The overall boards: one row for each neuron or method over all tasks, ranked where its figures are complete.

The estimate is the interquartile mean of errors relative to the baseline's, seed by seed (``aggregates``); whether two
rows differ is asked as everywhere (``ranking``), of the mean over settings of their differences. A setting counts where
at least half of the rows have it. A row that lacks one of these, whatever the reason, is shown with the reason and with
what it did elsewhere, and holds no rank: a failure never raises a row, and never lowers another. Must not print.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from harness.catalogue.boards import BOARDS
from harness.catalogue.boards.model import Board, Column
from harness.results.evidence import observed, rule_of
from harness.results.overall.aggregates import LEAST_ROWS, Agreement, Runs, agreement, improvement, relative
from harness.results.overall.joint import joint_ranks
from harness.results.overall.settings import Bundle, Setting, bundles
from harness.results.ranking import Rank
from harness.results.stats import Estimate
from harness.results.table import Table, Value

__all__ = [
    "OVERALL",
    "OverallRow",
    "OverallTable",
    "Score",
    "build_overall",
    "counting",
    "ranked_over",
    "relative_to_baseline",
    "view_bundle",
]

OVERALL: tuple[str, ...] = ("neurons", "methods")
"""Boards that there is an overall one of."""
LEAST_SETTINGS = 2
WANTED_APART = 1 / 3
"""Of all pairs of ranked rows: what a board that decides should tell apart."""
MOST_MORE = 32
"""Times the seeds there are, beyond which nobody will go."""


@dataclass(frozen=True, slots=True)
class Score:
    """What a row did in one setting."""

    value: Value
    """Error, with its difference to the baseline by the rules of that task's table."""
    relative: float
    """Of the baseline's error, mean by mean over the seeds that both have; nan where they share none."""
    apart: bool
    """Whether the board of that task tells it from the baseline at a family-wise 95 %."""
    better: bool
    tied_with_best: bool


@dataclass(frozen=True, slots=True)
class OverallRow:
    """A neuron or a method over all settings."""

    name: str
    title: str
    scores: Mapping[Setting, Score]
    missing: Mapping[Setting, str]
    """Why it has no figure, by setting; those that do not count are among them."""
    relative: Estimate
    """Interquartile mean over the settings that count and that it has."""
    improvement: Estimate
    """Probability that a run of it beats one of the baseline's; a half for the baseline itself."""
    rank: Rank | None
    """None where it lacks a setting that counts."""


@dataclass(frozen=True, slots=True)
class OverallTable:
    """All rows over all settings of one bundle."""

    board: Board
    bundle: Bundle
    settings: tuple[Setting, ...]
    """All that have a baseline."""
    counting: tuple[Setting, ...]
    """Those that the rank is over."""
    rows: tuple[OverallRow, ...]
    """Ranked ones in the order of their estimates, then the others."""
    agreement: tuple[Agreement, ...]
    told_apart: Mapping[Setting, tuple[int, int]]
    """Of each setting's own table: pairs that are told apart, and all."""
    pairs_apart: tuple[int, int]
    """The same of this table's ranks."""
    seeds_needed: int | None
    """Seeds of each row that would tell `WANTED_APART` of the pairs apart, were the differences seen true; None
    where they are told apart already, or where not even `MOST_MORE` times the seeds would do it."""


def build_overall(tables: Iterable[Table], name: str) -> list[OverallTable]:
    """Return the overall tables of the board `name` that `tables` can fill, the fullest first.

    There is none where fewer than two settings count: one task is no overall.
    """
    board = next(board for board in BOARDS if board.name == name)
    found = (view_bundle(bundle) for bundle in bundles(tables, board))
    return [table for table in found if len(table.counting) >= LEAST_SETTINGS]


def view_bundle(bundle: Bundle) -> OverallTable:
    """Return all that can be said of a bundle, however few settings it has."""
    chosen = counting(bundle)
    complete = [name for name in bundle.rows if all(name in bundle.values[setting] for setting in chosen)]
    ranks = ranked_over(bundle, chosen, complete) if chosen else {}
    rows = [_row(bundle, chosen, name, ranks.get(name)) for name in _named(bundle)]
    ordered = sorted(rows, key=lambda row: (row.rank is None, -len(row.scores), row.relative.value, row.name))
    ordered.sort(key=lambda row: (row.rank is None, row.relative.value if row.rank else 0.0))
    return OverallTable(
        board=bundle.board,
        bundle=bundle,
        settings=tuple(bundle.values),
        counting=chosen,
        rows=tuple(ordered),
        agreement=tuple(_agreements(bundle)),
        told_apart={setting: _apart(_ranks_of(bundle, setting)) for setting in bundle.values},
        pairs_apart=_apart([row.rank for row in ordered if row.rank]),
        seeds_needed=_seeds_needed(bundle, chosen, complete, list(ranks.values())),
    )


def counting(bundle: Bundle) -> tuple[Setting, ...]:
    """Return the settings that at least half of the rows have, of those with any figure."""
    return tuple(setting for setting, rows in bundle.values.items() if 2 * len(rows) >= len(bundle.rows))


def ranked_over(
    bundle: Bundle, settings: Sequence[Setting], names: Collection[str], more_seeds: int = 1
) -> dict[str, Rank]:
    """Rank the rows `names`, which all have all of `settings`, by their estimates and paired differences over these.

    Over a single setting it is the rank among `names` by the rules of that task's own table. `more_seeds` asks what it
    would be with so many times the seeds (see `joint_ranks`).
    """
    order = [name for name in bundle.rows if name in names]
    if not order or not settings:
        return {}
    if len(settings) == 1:  # as on the task's own board: in the order of the errors themselves
        estimates = [bundle.values[settings[0]][name].estimate.value for name in order]
    else:
        estimates = [relative(_runs(bundle, settings, name)).value for name in order]
    column = _column(bundle.board)
    seen, rule = [], None
    for setting in settings:
        values = [bundle.values[setting][name] for name in order]
        figures = [record.metrics[column.metric] for value in values for record in value.records]
        rule = rule_of(values[0].card, bundle.board, figures)
        seen.append([observed(value.records, column.metric, rule.scale) for value in values])
    assert rule is not None
    return dict(zip(order, joint_ranks(seen, estimates, rule, more_seeds), strict=True))


def relative_to_baseline(bundle: Bundle, settings: Sequence[Setting], name: str) -> Estimate:
    """Return a row's errors as a share of the baseline's over `settings`; 1 without an interval for the baseline."""
    runs = _runs(bundle, settings, name)
    if name == bundle.board.baseline:
        return Estimate(1.0)
    return relative(runs) if runs else Estimate(math.nan)


def _column(board: Board) -> Column:
    return next(column for column in board.columns if column.key == board.rank_by)


def _named(bundle: Bundle) -> tuple[str, ...]:
    """Return every row that was tried in a setting: one that failed everywhere is shown as well."""
    tried = {
        name
        for reasons in bundle.missing.values()
        for name, reason in reasons.items()
        if not reason.startswith("unsupported")
    }
    return tuple(sorted({*bundle.rows, *tried}))


def _row(bundle: Bundle, chosen: Sequence[Setting], name: str, rank: Rank | None) -> OverallRow:
    has = [setting for setting in bundle.values if name in bundle.values[setting]]
    over = [setting for setting in chosen if setting in has] or has
    runs = _runs(bundle, over, name)
    own = name == bundle.board.baseline
    return OverallRow(
        name=name,
        title=bundle.titles[name],
        scores={setting: _score(bundle, setting, name) for setting in has},
        missing={
            setting: bundle.missing[setting].get(name, "not measured")
            for setting in bundle.values
            if setting not in has
        },
        relative=relative_to_baseline(bundle, over, name),
        improvement=Estimate(0.5) if own else improvement(runs) if runs else Estimate(math.nan),
        rank=rank,
    )


def _runs(bundle: Bundle, settings: Sequence[Setting], name: str) -> list[Runs]:
    """Return what `name` and the baseline gave on the seeds that both have, setting by setting.

    Errors are kept half a sample off 0, so that a perfect baseline can be divided by.
    """
    import numpy as np

    metric, found = _column(bundle.board).metric, []
    for setting in settings:
        mine, theirs = (_errors(bundle.values[setting][row], metric) for row in (name, bundle.board.baseline))
        seeds = sorted(mine.keys() & theirs.keys())
        if seeds:
            found.append(Runs(np.array([mine[s] for s in seeds]), np.array([theirs[s] for s in seeds])))
    return found


def _errors(value: Value, metric: str) -> dict[int, float]:
    figures = {record.cell.seed: record.metrics[metric] for record in value.records}
    return {seed: (figure.value * figure.n + 0.5) / (figure.n + 1) for seed, figure in figures.items()}


def _score(bundle: Bundle, setting: Setting, name: str) -> Score:
    value = bundle.values[setting][name]
    runs = _runs(bundle, [setting], name)
    to_baseline = value.to_baseline
    low, high = (to_baseline.low, to_baseline.high) if to_baseline else (None, None)
    apart = low is not None and high is not None and (low > 0 or high < 0)
    return Score(
        value=value,
        relative=float(runs[0].row.mean() / runs[0].baseline.mean()) if runs else math.nan,
        apart=apart,
        better=to_baseline is not None and to_baseline.value < 0,
        tied_with_best=value.rank is not None and value.rank.tied_with_best,
    )


def _ranks_of(bundle: Bundle, setting: Setting) -> list[Rank]:
    return [value.rank for value in bundle.values[setting].values() if value.rank is not None]


def _apart(ranks: Sequence[Rank]) -> tuple[int, int]:
    """Return how many pairs of ranked rows are told apart, and how many pairs there are."""
    count = len(ranks)
    return sum(max(count - rank.worst, 0) for rank in ranks), count * (count - 1) // 2


def _seeds_needed(
    bundle: Bundle, chosen: Sequence[Setting], complete: Sequence[str], ranks: Sequence[Rank]
) -> int | None:
    apart, pairs = _apart(ranks)
    if not pairs or apart >= WANTED_APART * pairs:
        return None
    seeds = min(len(bundle.values[setting][name].records) for setting in chosen for name in complete)
    more = 2
    while more <= MOST_MORE and seeds > 1:
        if _apart(list(ranked_over(bundle, chosen, complete, more).values()))[0] >= WANTED_APART * pairs:
            return seeds * more
        more *= 2
    return None


def _agreements(bundle: Bundle) -> Iterable[Agreement]:
    for first, second in combinations(bundle.values, 2):
        one, other = bundle.values[first], bundle.values[second]
        common = sorted(one.keys() & other.keys())
        if len(common) < LEAST_ROWS:
            continue
        tau = agreement([one[name].estimate.value for name in common], [other[name].estimate.value for name in common])
        if tau is not None:
            yield Agreement(first.label, second.label, tau)
