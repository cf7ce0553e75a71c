"""What is published lies in few files, complete, in an order that a person can compare; nothing measured is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from synthetic import GPU, LAPTOP, older, record

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.cli.reporting import publish as publish_verb
from harness.errors import UserError
from harness.results.freshness import Today
from harness.results.packing import BASELINE, publish
from harness.results.record import Metric, Predictions, Record, Series
from harness.results.store import Store, read_stores

TODAY = Today(load_registry())
CELL = Cell("accuracy", "digits", "klif", "bptt", "mlp", budget="quick")
METRIC = {"error_fraction": Metric(value=0.03, unit="fraction", direction="lower", n=359)}
LATER: dict[str, Any] = {"started_at": "2026-03-02T12:00:00+00:00"}


def files(store: Store) -> list[str]:
    return sorted(path.relative_to(store.root).as_posix() for path in store.root.rglob("*") if path.is_file())


def with_code(made: Record, code: str) -> Record:
    return made.model_copy(update={"provenance": made.provenance.model_copy(update={"code_hash": code * 64})})


def test_one_file_for_each_machine_suite_and_task_and_the_baseline_by_itself(tmp_path: Path) -> None:
    store = Store(tmp_path)
    given = [record(replace(CELL, seed=seed), metrics=METRIC) for seed in (2, 0, 1)]
    given += [record(CELL, metrics=METRIC, machine=GPU), record(replace(CELL, task="mnist"), metrics=METRIC)]
    baseline = record(replace(CELL, neuron="lif"), metrics=METRIC)
    assert baseline.cell.label == BASELINE
    packed = publish([*given, baseline], store, TODAY)
    assert (packed.records, packed.files, packed.left_out) == (6, 4, 0)
    assert files(store) == sorted(
        [
            f"{LAPTOP.name}/accuracy/digits.jsonl",
            f"{LAPTOP.name}/accuracy/mnist.jsonl",
            f"{GPU.name}/accuracy/digits.jsonl",
            store.path_of(baseline).relative_to(tmp_path).as_posix(),
        ]
    )
    assert store.path_of(baseline).read_text() == baseline.model_dump_json(indent=1) + "\n"
    found = read_stores([tmp_path])
    assert sorted(found.records, key=str) == sorted([*given, baseline], key=str)
    assert found.problems == ()
    assert [one.cell.seed for one in store.read().records if one.provenance.machine.name == LAPTOP.name][:3] == [
        0,
        1,
        2,
    ]


def test_every_part_of_a_record_comes_back(tmp_path: Path) -> None:
    whole = record(
        CELL,
        metrics={
            "error_fraction": METRIC["error_fraction"].model_copy(
                update={"samples": (0.03, 0.03), "n": 2, "low": 1e-300, "high": 0.04}
            )
        },
        series={"learning": Series(x="epoch", x_unit="epochs", y="loss", y_unit="1", points=((0, 1), (1, 0.25)))},
        details={"empty": {}, "none": None, "text": 'ä \n \u2028 "', "nested": [{"a": [1, 2.5]}]},
        predictions=Predictions(digest="ab", samples=3, packed="AAEC"),
        output_tail=("one", "two"),
    )
    publish([whole], Store(tmp_path), TODAY)
    assert Store(tmp_path).read().records == (whole,)
    assert len(Store(tmp_path).packed(LAPTOP.name, "accuracy", "digits").read_bytes().splitlines()) == 1


def test_what_says_nothing_is_left_out(tmp_path: Path) -> None:
    plain, store = record(CELL, metrics=METRIC), Store(tmp_path)
    before = with_code(record(replace(CELL, seed=1), metrics=METRIC), "a")
    newer = with_code(record(replace(CELL, seed=1), metrics=METRIC, **LATER), "b")
    by_the_cards = record(replace(CELL, seed=2), "unsupported", duration_seconds=0.0)
    found_by_running = record(replace(CELL, seed=3), "unsupported", duration_seconds=1.5)
    interrupted = record(replace(CELL, seed=4), "interrupted")
    failed = record(replace(CELL, seed=5), "timeout")
    packed = publish([plain, before, newer, by_the_cards, found_by_running, interrupted, failed], store, TODAY)
    assert store.read().records == (plain, newer, found_by_running, failed)
    assert packed.left_out == 3


def test_older_code_stays_published_unless_only_current_figures_are_asked_for(tmp_path: Path) -> None:
    store, current = Store(tmp_path), record(replace(CELL, seed=1), metrics=METRIC)
    packed = publish([older(record(CELL, metrics=METRIC)), current], store, TODAY)
    assert (packed.records, packed.older) == (2, 0)
    packed = publish([], store, TODAY, only_current=True)
    assert (packed.records, packed.older, packed.left_out) == (1, 1, 0)
    assert store.read().records == (current,)


@pytest.mark.parametrize("status", ["noisy", "timeout"])
def test_a_later_try_that_came_to_nothing_replaces_no_figure(tmp_path: Path, status: Any) -> None:
    store, done = Store(tmp_path), record(CELL, metrics=METRIC)
    publish([done, record(CELL, status, **LATER)], store, TODAY)
    assert store.read().records == (done,)
    publish([record(CELL, status, **LATER)], store, TODAY)
    assert store.read().records == (done,)
    own = Store(tmp_path / "own")
    own.write(done)
    own.write(record(CELL, status, **LATER))
    assert read_stores([own.root]).records == (done,)


def test_publishing_again_changes_nothing_and_a_new_figure_one_line(tmp_path: Path) -> None:
    store = Store(tmp_path)
    given = [record(replace(CELL, seed=seed), metrics=METRIC) for seed in range(9)]
    publish(given, store, TODAY)
    path = store.packed(LAPTOP.name, "accuracy", "digits")
    state, before = path.stat().st_mtime_ns, path.read_text().splitlines()
    publish(reversed(given), store, TODAY)
    assert path.stat().st_mtime_ns == state
    publish([record(given[4].cell, metrics=METRIC, **LATER)], store, TODAY)
    after = path.read_text().splitlines()
    assert [index for index in range(9) if before[index] != after[index]] == [4]


def test_a_store_is_packed_where_it_lies(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for seed in range(5):
        store.write(record(replace(CELL, seed=seed), metrics=METRIC))
    store.write(record(replace(CELL, seed=5), "unsupported", duration_seconds=0.0))
    (store.root / "notes.json").write_text('{"not": "a record"}')
    (store.root / "README.md").write_text("kept")
    before = store.read().records[:5]
    publish_verb(store.root, store.root)
    assert files(store) == ["README.md", f"{LAPTOP.name}/accuracy/digits.jsonl", "notes.json"]
    assert store.read().records == before
    assert len(store.read().problems) == 1


def test_a_line_that_is_no_record_is_not_thrown_away(tmp_path: Path) -> None:
    store = Store(tmp_path)
    publish([record(CELL, metrics=METRIC)], store, TODAY)
    path = store.packed(LAPTOP.name, "accuracy", "digits")
    path.write_text(path.read_text() + "{ half a reco")
    with pytest.raises(UserError, match="line 2 is not a record"):
        publish([record(replace(CELL, seed=1), metrics=METRIC)], store, TODAY)
    assert path.read_text().endswith("{ half a reco")


def test_a_published_cell_is_done(tmp_path: Path) -> None:
    store, made = Store(tmp_path), record(CELL, metrics=METRIC)
    publish([made], store, TODAY)
    assert store.has(CELL, LAPTOP.name, made.provenance.code_hash)
    assert not store.has(CELL, LAPTOP.name, "0" * 64)
