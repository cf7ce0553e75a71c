"""Records become tables: seeds combined, rows in order of estimates, what is not verified not ranked for speed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from simulated import World
from synthetic import GPU, LAPTOP, Factory, record

from harness.catalogue.boards import find_board
from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.errors import UserError
from harness.results.grouping import ANY_MACHINE
from harness.results.predictions import pack
from harness.results.ranking import Rank
from harness.results.record import Machine, Metric, Record, Status
from harness.results.selection import newest
from harness.results.standing import Standing
from harness.results.table import Table
from harness.results.tables import build_tables

REGISTRY = load_registry()
BASE = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick")
PEERS = ("spikingjelly-lif", "snntorch-lif", "norse-lif")


def error(value: float, **axes: object) -> Record:
    metric = Metric(value=value, unit="fraction", direction="lower", n=359, low=value - 0.02, high=value + 0.02)
    return record(replace(BASE, **axes), metrics={"error_fraction": metric})


BASELINE_SECONDS = 0.002


def speed(seconds: float, **axes: object) -> Record:
    """Return a timing: a time, which is shown, and its ratio to the baseline's, which is ranked."""
    figures = {"train_step_seconds": ("seconds", seconds), "train_step_ratio": ("ratio", seconds / BASELINE_SECONDS)}
    metrics = {
        name: Metric(value=value, unit=unit, direction="lower", low=value * 0.99, high=value * 1.01, n=9)
        for name, (unit, value) in figures.items()
    }
    return record(replace(BASE, suite="throughput", threads=2, **axes), metrics=metrics)


def passed(failed_checks: int = 0, machine: Machine = LAPTOP, **axes: object) -> Record:
    return Factory(REGISTRY).conformance(Cell("conformance", dtype="float64", **axes), failed_checks, machine)


GATE = [passed(neuron="lif"), passed(neuron="psn"), passed(neuron="if", method="bptt", topology="mlp")]


def neurons(records: list[Record]) -> Table:
    tables = build_tables(records, REGISTRY, find_board("neurons"))
    assert len(tables) == 1
    return tables[0]


def test_seeds_become_one_figure_with_an_interval() -> None:
    table = neurons([*GATE, *(error(value, seed=seed) for seed, value in enumerate((0.02, 0.03, 0.04)))])
    (row,) = table.rows
    estimate = row.values["accuracy.error_fraction"].estimate
    assert estimate.value == pytest.approx(0.03)
    assert (estimate.n, estimate.covers) == (3, "seeds")
    assert estimate.low is not None
    assert estimate.low < 0.02


def test_the_newest_record_of_a_cell_counts() -> None:
    older = error(0.5)
    newer = older.model_copy(
        update={
            "metrics": error(0.1).metrics,
            "provenance": older.provenance.model_copy(update={"started_at": "2027-01-01T00:00:00+00:00"}),
        }
    )
    for order in ([older, newer], [newer, older]):
        assert neurons(order).rows[0].values["accuracy.error_fraction"].estimate.value == 0.1


SPREAD = (-0.01, 0.0, 0.01)


def seeded(means: dict[str, float], spread: tuple[float, ...] = SPREAD) -> list[Record]:
    return [
        error(mean + offset, neuron=name, seed=seed)
        for name, mean in means.items()
        for seed, offset in enumerate(spread)
    ]


def test_rows_that_nothing_separates_may_hold_the_same_places() -> None:
    rows = neurons(seeded({"lif": 0.05, "psn": 0.055, "if": 0.4})).rows
    ranks = {row.name: row.values["accuracy.error_fraction"].rank for row in rows}
    assert ranks == {"lif": Rank(1, 2, True), "psn": Rank(1, 2, True), "if": Rank(3, 3, False)}
    assert [row.name for row in rows] == ["lif", "psn", "if"]


def test_the_best_and_the_baseline_are_what_the_others_are_compared_with() -> None:
    table = neurons(seeded({"psn": 0.05, "lif": 0.055, "if": 0.4}))
    best, lif, worst = (row.values["accuracy.error_fraction"] for row in table.rows)
    assert best.to_leader is None
    assert lif.to_baseline is None
    assert best.to_baseline is not None
    assert best.to_baseline.value == pytest.approx(-0.005)
    assert worst.to_leader is not None
    assert worst.to_leader.value == pytest.approx(0.35)
    assert worst.to_leader.low is not None
    assert 0 < worst.to_leader.low < 0.35


def test_a_noisy_row_stands_where_its_estimate_puts_it_and_moves_no_other() -> None:
    quiet = seeded({"lif": 0.05, "psn": 0.08, "if": 0.4})
    noisy = seeded({"klif": 0.1}, (-0.09, -0.05, 0.14))
    rows = neurons([*quiet, *noisy]).rows
    assert [row.name for row in rows] == ["lif", "psn", "klif", "if"]
    assert [row.name for row in rows if row.name != "klif"] == [row.name for row in neurons(quiet).rows]


def test_a_row_with_a_failed_seed_is_not_promoted_by_it() -> None:
    whole = seeded({"lif": 0.05, "psn": 0.055, "if": 0.06})
    lucky = [error(0.01, neuron="klif", seed=0), record(replace(BASE, neuron="klif", seed=1), "crashed")]
    first, second, *_ = neurons([*whole, *lucky]).rows
    assert (first.name, first.values["accuracy.error_fraction"].rank) == ("klif", Rank(1, 4, False))
    rank = second.values["accuracy.error_fraction"].rank
    assert (second.name, rank and rank.tied_with_best) == ("lif", True)


NAMES = ("lif", "psn", "if", "klif", "plif", "glif", "clif", "psu")
MISSED = World(2000, hard=0.95, peculiar=0.01, seed_sd=0.01).missed([0.03] * 7 + [0.045], np.random.default_rng(0))
"""Of all but the last row the truth is 3 % of errors, of the last 4.5 %; samples are hard for all rows alike."""


def best_rank_of_the_last(edit: Callable[[Record], Record]) -> int:
    records = [
        edit(classified(run, name, seed)) for name, of in zip(NAMES, MISSED, strict=True) for seed, run in enumerate(of)
    ]
    (rank,) = (row.values["accuracy.error_fraction"].rank for row in neurons(records).rows if row.name == "psu")
    assert rank is not None
    return rank.best


def test_predictions_tell_apart_what_error_counts_cannot() -> None:
    assert best_rank_of_the_last(lambda one: one) == 8
    assert best_rank_of_the_last(lambda one: one.model_copy(update={"predictions": None})) < 4


@pytest.mark.parametrize("fault", ["contradict their figure", "cannot be unpacked"])
def test_predictions_that_were_edited_do_not_count(fault: str) -> None:
    other = classified(~MISSED[0, 0], "lif", 0).predictions
    assert other is not None
    if fault == "cannot be unpacked":
        other = other.model_copy(update={"packed": "edited"})
    assert best_rank_of_the_last(lambda one: one.model_copy(update={"predictions": other})) < 4


def classified(missed: NDArray[np.bool_], neuron: str, seed: int, keep: bool = True) -> Record:
    """Return an accuracy record of a run that `missed` these samples."""
    share, labels = float(missed.mean()), np.zeros(len(missed), int)
    metric = Metric(value=share, unit="fraction", direction="lower", n=len(missed), covers="test samples")
    predictions = pack("split", labels, missed.astype(int), np.ones(len(missed))) if keep else None
    cell = replace(BASE, neuron=neuron, seed=seed)
    return record(cell, metrics={"error_fraction": metric}, predictions=predictions)


def test_speed_is_ranked_among_verified_rows_only() -> None:
    table = neurons([*GATE, speed(2.0), speed(1.0, neuron="psn"), speed(0.1, neuron="klif")])
    ranks = {row.name: row.values["throughput.train_step_ratio"].rank for row in table.rows}
    assert ranks == {"psn": Rank(1, 1, True), "lif": Rank(2, 2, False), "klif": None}
    assert [row.values["throughput.train_step_seconds"].rank for row in table.rows] == [None] * 3, "seconds are shown"
    assert {row.name: row.verified for row in table.rows} == {"psn": True, "lif": True, "klif": False}


def test_a_failed_check_costs_the_mark() -> None:
    table = neurons([passed(1, neuron="lif"), *GATE[1:], speed(1.0)])
    assert not table.rows[0].verified


def test_conformance_elsewhere_does_not_count_here() -> None:
    elsewhere = [passed(machine=GPU, neuron="lif"), passed(machine=GPU, neuron="if", method="bptt", topology="mlp")]
    assert not neurons([*elsewhere, speed(1.0)]).rows[0].verified


def test_a_method_passes_for_every_network_of_its_structure() -> None:
    assert neurons([*GATE, speed(1.0, topology="conv")]).rows[0].verified
    assert not neurons([*GATE, speed(1.0, topology="feedback")]).rows[0].verified


def test_a_peer_is_verified_by_its_own_conformance_and_ranked_by_its_ratio() -> None:
    def figures(neuron: str, ratio: float) -> Record:
        cell = Cell("libraries", neuron=neuron, backend="-")
        known = REGISTRY.suite("libraries").metrics["train_step_ratio"]
        samples = tuple(ratio * (1 + 0.001 * i) for i in range(-4, 5))
        figure = Metric(
            value=ratio,
            unit="ratio",
            direction=known.direction,
            samples=samples,
            n=9,
            low=samples[1],
            high=samples[-2],
            covers="repetitions",
        )
        return record(cell, metrics={"train_step_ratio": figure})

    gate = [passed(neuron=name, backend="-") for name in PEERS[:2]]
    measured = [figures(name, ratio) for name, ratio in zip(PEERS, (1.0, 0.1, 0.01), strict=True)]
    (table,) = build_tables([*gate, *measured], REGISTRY, find_board("libraries"))
    ranks = {row.name: row.values["libraries.train_step_ratio"].rank for row in table.rows}
    assert ranks == {PEERS[1]: Rank(1, 1, True), PEERS[0]: Rank(2, 2, False), PEERS[2]: None}
    assert [row.name for row in table.rows] == list(reversed(PEERS)), "by estimate, also what has no rank"
    assert table.rows[1].title == REGISTRY.peers[PEERS[1]].title
    assert table.group.label == "no task"


def on(machine: Machine, one: Record) -> Record:
    """Return `one` as measured on `machine`."""
    return one.model_copy(update={"provenance": one.provenance.model_copy(update={"machine": machine})})


def test_nothing_is_ranked_across_budgets_or_tasks() -> None:
    records = [error(0.2), error(0.3, budget="smoke"), error(0.4, task="digits-rows")]
    tables = build_tables(records, REGISTRY, find_board("neurons"))
    assert len(tables) == 3
    assert all(len(table.rows) == 1 for table in tables)


def test_no_time_and_no_peak_is_ranked_across_machines() -> None:
    peak = Metric(value=1e6, unit="bytes", direction="lower", n=1)
    bytes_of_psn = record(replace(BASE, suite="memory", neuron="psn"), metrics={"peak_bytes": peak})
    records = [speed(0.01), on(GPU, speed(0.001, neuron="psn")), on(GPU, bytes_of_psn)]
    tables = build_tables(records, REGISTRY, find_board("neurons"))
    assert {(table.group.machine, *(row.name for row in table.rows)) for table in tables} == {
        (LAPTOP.name, "lif"),
        (GPU.name, "psn"),
    }


def test_an_error_stands_in_the_tables_of_every_machine() -> None:
    errors = [error(0.2), on(GPU, error(0.1, neuron="psn"))]
    tables = build_tables([*errors, speed(0.01), on(GPU, speed(0.001))], REGISTRY, find_board("neurons"))
    assert {table.group.machine for table in tables} == {LAPTOP.name, GPU.name}
    for table in tables:
        assert [row.name for row in table.rows] == ["psn", "lif"], "both are ranked by their errors"
        assert all(row.values["accuracy.error_fraction"].rank for row in table.rows)
        timed = {row.name for row in table.rows if "throughput.train_step_seconds" in row.values}
        assert timed == {"lif"}
        time = table.rows[1].values["throughput.train_step_seconds"].record
        assert time.provenance.machine.name == table.group.machine


def test_where_nothing_is_timed_all_machines_share_a_table() -> None:
    (table,) = build_tables([error(0.2), on(GPU, error(0.1, neuron="psn"))], REGISTRY, find_board("neurons"))
    assert table.group.machine == ANY_MACHINE
    assert table.machines() == tuple(sorted((LAPTOP.name, GPU.name)))
    assert table.stands_for(LAPTOP.name)
    assert [row.machines(GPU.name) for row in table.rows] == [(GPU.name,), (LAPTOP.name,)]


@pytest.mark.parametrize(("timed_on", "expected"), [(LAPTOP, 0.2), (GPU, 0.1)])
def test_of_one_seed_the_record_of_the_tables_machine_counts(timed_on: Machine, expected: float) -> None:
    both = [error(0.2), on(GPU, error(0.1)), on(timed_on, speed(0.01))]
    (table,) = build_tables(both, REGISTRY, find_board("neurons"))
    figure = table.rows[0].values["accuracy.error_fraction"]
    assert (figure.estimate.value, len(figure.records)) == (expected, 1)


def test_seeds_of_two_machines_are_one_figure() -> None:
    seeds = [error(0.2, seed=0), on(GPU, error(0.1, seed=1)), on(GPU, error(0.3, seed=2))]
    (table,) = build_tables(seeds, REGISTRY, find_board("neurons"))
    (row,) = table.rows
    assert row.values["accuracy.error_fraction"].estimate.n == 3
    assert set(row.machines("")) == {LAPTOP.name, GPU.name}


def test_a_failure_stands_in_its_row_with_its_reason() -> None:
    crashed = record(replace(BASE, neuron="psn"), "crashed")
    table = neurons([error(0.1), crashed])
    assert [row.name for row in table.rows] == ["lif", "psn"]
    assert table.rows[1].failures["accuracy.error_fraction"].reason == "It ended as crashed."


def test_methods_on_the_networks_they_need_share_a_table() -> None:
    records = [error(0.1, neuron="if"), error(0.2, neuron="if", method="ide", topology="feedback")]
    (table,) = build_tables(records, REGISTRY, find_board("methods"))
    assert {(row.name, row.topology) for row in table.rows} == {("bptt", "mlp"), ("ide", "feedback")}


def test_an_unknown_board_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'neurons'"):
        find_board("neuron")


def test_a_figure_that_no_backend_moves_counts_whichever_has_run_it() -> None:
    fast = passed(neuron="lif", backend="fused-numba")
    both = [error(0.02, seed=0), error(0.03, seed=1, backend="fused-numba")]
    (row,) = neurons([*GATE, fast, *both, speed(0.01), speed(0.001, backend="fused-numba")]).rows
    assert row.verified
    assert row.values["accuracy.error_fraction"].estimate.n == 2
    assert row.values["throughput.train_step_seconds"].estimate.value == pytest.approx(0.01)
    (unproven,) = neurons([*GATE, *both]).rows
    assert not unproven.verified, "one seed was run by a backend that has not shown that it equals eager"


def test_a_seed_that_two_backends_have_run_counts_once() -> None:
    again = error(0.04, seed=0, backend="fused-numba")
    later = again.model_copy(
        update={"provenance": again.provenance.model_copy(update={"started_at": "2026-04-01T12:00:00+00:00"})}
    )
    (row,) = neurons([*GATE, error(0.02, seed=0), later]).rows
    estimate = row.values["accuracy.error_fraction"].estimate
    assert (estimate.n, estimate.value) == (359, 0.04)


def noisy(made: Record) -> Record:
    return made.model_copy(update={"status": "noisy", "reason": "The machine was not quiet."})


def test_a_noisy_timing_is_shown_but_neither_ranked_nor_first() -> None:
    gate = [*GATE, passed(neuron="plif")]
    fast = noisy(speed(0.0001, neuron="if"))
    table = neurons([*gate, fast, speed(0.002), speed(0.001, neuron="psn"), error(0.02, neuron="if")])
    values = {row.name: row.values["throughput.train_step_ratio"] for row in table.rows}
    assert values["if"].standing is Standing.NOISY
    ranks = {name: value.rank for name, value in values.items()}
    assert ranks == {"if": None, "lif": Rank(2, 2, False), "psn": Rank(1, 1, True)}
    assert values["if"].estimate.value == pytest.approx(0.05)
    (row,) = [row for row in table.rows if row.name == "if"]
    assert not {"throughput.train_step_ratio", "throughput.train_step_seconds"} & row.failures.keys()
    seconds = row.values["throughput.train_step_seconds"]
    assert (seconds.standing, seconds.rank, seconds.estimate.value) == (Standing.NOISY, None, 0.0001)


def test_one_noisy_seed_spoils_the_mean() -> None:
    table = neurons([*GATE, speed(0.002), noisy(speed(0.9, seed=1))])
    assert table.rows[0].values["throughput.train_step_seconds"].standing is Standing.NOISY


def test_exact_figures_of_a_noisy_record_stand() -> None:
    saved = Metric(value=4096.0, unit="bytes", direction="lower", exact=True)
    cell = Cell("libraries", neuron="snntorch-lif", backend="-", threads=2)
    ratio = Metric(value=2.0, unit="ratio", direction="lower")
    made = noisy(record(cell, metrics={"saved_bytes": saved, "train_step_ratio": ratio}))
    (table,) = build_tables([made], REGISTRY, find_board("libraries"))
    (row,) = table.rows
    assert row.values["libraries.saved_bytes"].standing is Standing.CURRENT
    assert row.values["libraries.train_step_ratio"].standing is Standing.NOISY


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ("ok", "noisy", "ok"),
        ("noisy", "ok", "ok"),
        ("noisy", "interrupted", "noisy"),
        ("ok", "interrupted", "ok"),
        ("noisy", "crashed", "crashed"),
        ("ok", "crashed", "crashed"),
    ],
)
def test_what_a_later_run_of_the_same_code_replaces(first: Status, second: Status, kept: str) -> None:
    made = speed(0.002)
    later = made.provenance.model_copy(update={"started_at": "2099-01-01T00:00:00+00:00"})
    before = made.model_copy(update={"status": first})
    after = made.model_copy(update={"status": second, "provenance": later})
    for order in ([before, after], [after, before]):
        assert [found.status for found in newest(order)] == [kept]
    changed = after.model_copy(update={"provenance": later.model_copy(update={"code_hash": "f" * 64})})
    assert newest([before, changed]) == [changed]


def test_tuned_rows_stand_in_a_table_of_their_own_that_says_so() -> None:
    records = [
        error(value, neuron=name, recipe=recipe)
        for recipe, value in (("default", 0.2), ("tuned", 0.1))
        for name in ("lif", "psn")
    ]
    tables = build_tables([*GATE, *records], REGISTRY, find_board("neurons"))
    assert {table.group.label for table in tables} == {"digits, bptt, mlp, quick", "digits, bptt, mlp, quick, tuned"}
    for table in tables:
        assert {
            record.cell.recipe for row in table.rows for value in row.values.values() for record in value.records
        } == {dict(table.group.axes)["recipe"]}
        assert all(row.verified for row in table.rows), "the contract holds for all parameters"


def test_the_board_of_conversion_holds_what_has_an_ann() -> None:
    def read(method: str, **figures: float) -> Record:
        metrics = {
            name: Metric(value=value, unit="fraction", direction="lower", n=359) for name, value in figures.items()
        }
        return record(replace(BASE, suite="anytime", neuron="if", method=method), metrics=metrics)

    records = [
        error(0.01, neuron="if", method="bptt"),
        read("cutoff", error_t64_fraction=0.01),
        read("qcfs", error_t64_fraction=0.02, ann_error_fraction=0.02),
        read("hsd", error_t64_fraction=0.03, ann_error_fraction=0.04),
    ]
    (table,) = build_tables(records, REGISTRY, find_board("conversion"))
    assert [row.name for row in table.rows] == ["qcfs", "hsd"]
