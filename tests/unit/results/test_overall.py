"""Rows over several tasks: the known truth of simulated tables, and nothing hidden by a rank."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import trim_mean
from simulated import ODDS, World, observed_errors
from synthetic import Factory, error_metric, older, record

from harness.catalogue.boards import find_board
from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.results.overall.aggregates import Runs, agreement, improvement, interquartile_mean, relative
from harness.results.overall.board import OverallTable, build_overall
from harness.results.overall.joint import joint_ranks
from harness.results.overall.settings import Setting
from harness.results.ranking import Rank
from harness.results.record import Record
from harness.results.tables import build_tables

REGISTRY = load_registry()
CARD = REGISTRY.suite("accuracy").metrics["error_fraction"]
BASE = Cell("accuracy", "fsdd", "lif", "bptt", "mlp", budget="standard")
TASKS = ("fsdd", "smnist-rows", "delayed-xor")
SAMPLES = 1000
GATE = [Factory(REGISTRY).conformance(Cell("conformance", neuron=name, dtype="float64")) for name in ("lif", "psn")]


def runs(errors: Iterable[int], **axes: object) -> list[Record]:
    """Return a record a seed, with so many errors of a thousand."""
    return [
        record(replace(BASE, seed=seed, **axes), metrics={"error_fraction": error_metric(wrong, CARD, SAMPLES)})
        for seed, wrong in enumerate(errors)
    ]


def overall(records: Iterable[Record], name: str = "neurons") -> OverallTable:
    (table,) = build_overall(build_tables(records, REGISTRY, find_board(name)), name)
    return table


def everywhere(neuron: str, errors: Iterable[int], tasks: Iterable[str] = TASKS) -> list[Record]:
    errors = list(errors)
    return [one for task in tasks for one in runs(errors, neuron=neuron, task=task)]


LIF, BETTER, LIKE = (200, 204, 196, 200, 202), (100, 103, 98, 101, 97), (203, 201, 198, 199, 200)


def test_the_interquartile_mean_is_that_of_scipy_where_nothing_is_cut_in_part() -> None:
    values = np.random.default_rng(2).lognormal(size=(3, 24))
    found = interquartile_mean(values, np.full(24, 1 / 24))
    assert found == pytest.approx(trim_mean(values, 0.25, axis=-1))


def test_values_at_the_cuts_count_in_part_and_weights_count() -> None:
    assert interquartile_mean(np.array([1.0, 2.0]), np.ones(2)) == pytest.approx(1.5)
    # Of three, the middle one wholly and a quarter of each neighbour.
    assert interquartile_mean(np.array([3.0, 0.0, 30.0]), np.ones(3)) == pytest.approx((0 / 4 + 3 + 30 / 4) / 1.5)
    # A value of weight two is as good as two of weight one.
    twice = interquartile_mean(np.array([1.0, 5.0, 9.0]), np.array([1.0, 2.0, 1.0]))
    assert twice == pytest.approx(interquartile_mean(np.array([1.0, 5.0, 5.0, 9.0]), np.ones(4)))


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    luck, inside, better = np.random.default_rng(3), 0, 0
    base, ratio, spread = np.array([0.1, 0.2, 0.3, 0.15]), np.array([0.6, 0.8, 1.0, 1.1]), 0.1
    made = lambda seeds: [  # noqa: E731
        Runs(b * r * np.exp(luck.normal(0, spread, seeds)), b * np.exp(luck.normal(0, spread, seeds)))
        for b, r in zip(base, ratio, strict=True)
    ]
    many = made(40_000)
    truth = float(
        interquartile_mean(np.concatenate([one.row / one.baseline.mean() for one in many]), np.ones(4 * 40_000))
    )
    wins = float(np.mean([(one.row < one.baseline).mean() for one in many]))
    for _ in range(60):
        few = made(8)
        share, chance = relative(few), improvement(few)
        assert share.low is not None
        assert share.high is not None
        assert chance.low is not None
        assert chance.high is not None
        inside += share.low <= truth <= share.high
        better += chance.low <= wins <= chance.high
    assert inside >= 0.86 * 60
    assert better >= 0.86 * 60


def test_a_single_seed_has_no_interval_and_equal_runs_count_as_half() -> None:
    one = [Runs(np.array([0.1]), np.array([0.2]))]
    assert (relative(one).value, relative(one).low) == (pytest.approx(0.5), None)
    same = [Runs(np.array([0.1, 0.2]), np.array([0.1, 0.2]))]
    assert improvement(same).value == pytest.approx(0.5)


def test_equals_are_seldom_told_apart_and_more_tasks_tell_more_apart() -> None:
    luck, world = np.random.default_rng(4), World(samples=400, seeds=5, seed_sd=0.05, spread_of_sd=0.4)

    def ranks(levels: tuple[float, ...], factors: np.ndarray) -> list[Rank]:
        missed = [world.missed(level * factors, luck) for level in levels]
        seen = [[observed_errors(row) for row in one] for one in missed]
        shares = np.mean([one.mean((1, 2)) / level for one, level in zip(missed, levels, strict=True)], axis=0)
        estimates = list(shares) if len(levels) > 1 else [row.share for row in seen[0]]
        return joint_ranks(seen, estimates, ODDS)

    alike, differing = np.ones(8), np.linspace(0.7, 1.3, 8)
    false = sum(any(rank.worst < 8 for rank in ranks((0.1, 0.2, 0.05), alike)) for _ in range(40))
    assert false <= 6  # 2 of 40 are to be expected; 7 would come once in a hundred runs of this test
    apart = [
        np.mean([sum(8 - rank.worst for rank in ranks(levels, differing)) for _ in range(6)])
        for levels in ((0.1,), (0.1, 0.2, 0.05, 0.15))
    ]
    assert apart[1] > 1.3 * apart[0]


def test_more_seeds_would_tell_more_apart_and_it_is_said_how_many() -> None:
    luck = np.random.default_rng(6)
    rows = {
        name: luck.normal(level, 60, 4).round().astype(int)
        for name, level in (("lif", 200), ("if", 250), ("glif", 300), ("plif", 350))
    }
    few = overall([one for name, errors in rows.items() for one in everywhere(name, errors.tolist())])
    apart, pairs = few.pairs_apart
    assert apart < pairs / 3
    assert few.seeds_needed in (8, 16, 32, 64, 128)
    clear = overall([*everywhere("lif", LIF), *everywhere("psn", BETTER), *everywhere("if", LIKE)])
    assert clear.seeds_needed is None
    from harness.report.overall_sheet import notes_of

    assert any(f"about {few.seeds_needed} seeds" in note for note in notes_of(few))
    assert not any("seeds of each row" in note for note in notes_of(clear))


def test_over_one_task_the_ranks_are_those_of_its_table() -> None:
    records = [*GATE, *runs(LIF), *runs(BETTER, neuron="psn"), *runs(LIKE, neuron="if")]
    (table,) = build_tables(records, REGISTRY, find_board("neurons"))
    from harness.results.overall.board import ranked_over, view_bundle
    from harness.results.overall.settings import bundles

    (bundle,) = bundles([table], find_board("neurons"))
    own = {row.name: row.values["accuracy.error_fraction"].rank for row in table.rows}
    assert ranked_over(bundle, tuple(bundle.values), list(own)) == own
    assert view_bundle(bundle).counting == (Setting("fsdd", "mlp"),)
    assert build_overall([table], "neurons") == []  # one task is no overall


def test_errors_are_relative_to_the_baseline_and_a_better_row_comes_first() -> None:
    table = overall([*everywhere("lif", LIF), *everywhere("psn", BETTER), *everywhere("if", LIKE)])
    first, *others = table.rows
    assert first.name == "psn"
    assert first.rank == Rank(1, 1, tied_with_best=True)
    assert first.relative.value == pytest.approx(0.5, abs=0.02)
    assert first.improvement.value == 1.0
    assert {row.name: row.rank and (row.rank.best, row.rank.worst) for row in others} == {"lif": (2, 3), "if": (2, 3)}
    assert all(score.apart and score.better for score in first.scores.values())
    assert table.pairs_apart == (2, 3)
    lif = next(row for row in others if row.name == "lif")
    assert (lif.relative.value, lif.improvement.value) == (1.0, 0.5)


@pytest.mark.parametrize("status", ["timeout", "diverged", "oom"])
def test_a_failed_task_is_shown_with_its_reason_and_takes_the_rank(status: str) -> None:
    failed = [
        record(replace(BASE, task="fsdd", neuron="psn", seed=seed), status, reason="It grew too large.")  # type: ignore[arg-type]
        for seed in range(5)
    ]
    records = [*everywhere("lif", LIF), *everywhere("if", LIKE), *everywhere("glif", LIKE), *failed]
    records += everywhere("psn", BETTER, TASKS[1:])
    table = overall(records)
    assert table.counting == tuple(Setting(task, "mlp") for task in sorted(TASKS))
    *ranked, last = table.rows
    assert (last.name, last.rank) == ("psn", None)
    assert last.missing == {Setting("fsdd", "mlp"): f"{status}: It grew too large."}
    assert last.relative.value == pytest.approx(0.5, abs=0.02)  # what it did elsewhere is not hidden either
    assert all(row.rank is not None for row in ranked)


def test_a_row_that_was_not_measured_somewhere_holds_no_rank_and_changes_none() -> None:
    complete = [*everywhere("lif", LIF), *everywhere("if", LIKE), *everywhere("glif", BETTER)]
    alone, beside = overall(complete), overall([*complete, *everywhere("psn", BETTER, TASKS[:1])])
    assert [(row.name, row.rank) for row in beside.rows[:3]] == [(row.name, row.rank) for row in alone.rows]
    assert beside.rows[3].rank is None
    assert set(beside.rows[3].missing.values()) == {"not measured"}


def test_a_task_that_few_rows_have_is_shown_and_does_not_count() -> None:
    records = [one for name in ("lif", "if", "glif", "plif", "klif") for one in everywhere(name, LIKE)]
    table = overall([*records, *everywhere("lif", LIF, ["digits"]), *everywhere("psn", BETTER, ["digits"])])
    assert Setting("digits", "mlp") in table.settings
    assert Setting("digits", "mlp") not in table.counting
    assert next(row for row in table.rows if row.name == "psn").rank is None


def test_older_figures_and_other_budgets_do_not_mix() -> None:
    current = [*everywhere("lif", LIF), *everywhere("psn", BETTER)]
    table = overall([*current, *(older(one) for one in everywhere("if", LIKE))])
    stale = next(row for row in table.rows if row.name == "if")
    assert stale.rank is None
    assert set(stale.missing.values()) == {"older"}
    quick = [
        one for task in TASKS for name in ("lif", "psn") for one in runs(LIF, neuron=name, task=task, budget="quick")
    ]
    found = build_overall(build_tables([*current, *quick], REGISTRY, find_board("neurons")), "neurons")
    assert sorted(one.bundle.label for one in found) == ["quick", "standard"]


def test_methods_are_compared_with_bptt_on_the_same_network_and_neuron() -> None:
    def method(name: str, errors: Iterable[int], **axes: object) -> list[Record]:
        return [one for task in TASKS for one in runs(errors, neuron="if", method=name, task=task, **axes)]

    records = [*method("bptt", LIF), *method("sltt", LIKE), *method("bptt", BETTER, topology="feedback")]
    records += method("ide", BETTER, topology="feedback")
    table = overall(records, "methods")
    ide = next(row for row in table.rows if row.name == "ide")
    assert {score.relative for score in ide.scores.values()} == {1.0}
    assert all(setting.neuron == "if" for setting in table.settings)


def test_tasks_agree_as_far_as_they_order_rows_alike() -> None:
    luck = np.random.default_rng(5)
    assert agreement([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6]) is not None
    assert agreement([1.0] * 8, list(range(8))) is None
    inside = 0
    for _ in range(200):  # a correlation of 0.6 is a tau of 2/pi arcsin(0.6)
        one, other = luck.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], size=30).T
        tau = agreement(list(one), list(other))
        assert tau is not None
        assert tau.low is not None
        assert tau.high is not None
        inside += tau.low <= 2 / np.pi * np.arcsin(0.6) <= tau.high
    assert inside >= 0.9 * 200
