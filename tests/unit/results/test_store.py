"""Records are written atomically, found by what was measured, and read without trust."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import GPU, LAPTOP, record

from harness.catalogue.cell import Cell
from harness.cli.reporting import publish
from harness.results.record import Metric, Record
from harness.results.store import Store, read_stores

CELL = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick")
METRIC = {"error_fraction": Metric(value=0.03, unit="fraction", direction="lower", n=359)}


def test_the_id_of_a_cell_never_changes() -> None:
    assert CELL.id == "9783fe2dddff"
    assert Cell(**{name: getattr(CELL, name) for name in Cell.__dataclass_fields__}).id == CELL.id


@pytest.mark.parametrize(("axis", "value"), [("seed", 1), ("threads", 2), ("dtype", "float64"), ("budget", "smoke")])
def test_every_axis_makes_another_cell(axis: str, value: object) -> None:
    assert replace(CELL, **{axis: value}).id != CELL.id


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    store, written = Store(tmp_path), record(CELL, metrics=METRIC)
    path = store.write(written)
    assert path == store.path(CELL, LAPTOP.name, written.provenance.code_hash)
    assert store.read().records == (written,)
    assert [found.name for found in tmp_path.rglob("*") if found.is_file()] == [path.name]


def test_a_failure_is_recorded_but_not_done_and_gives_way(tmp_path: Path) -> None:
    store, code = Store(tmp_path), record(CELL).provenance.code_hash
    store.write(record(CELL, "timeout"))
    assert not store.has(CELL, LAPTOP.name, code)
    assert [found.status for found in store.read().records] == ["timeout"]
    store.write(record(CELL, metrics=METRIC))
    assert store.has(CELL, LAPTOP.name, code)
    assert [found.status for found in store.read().records] == ["ok"]


def statuses(store: Store) -> list[str]:
    return sorted(found.status for found in store.read().records)


def test_noisy_figures_are_kept_but_not_done_and_replace_nothing_that_is(tmp_path: Path) -> None:
    store, code = Store(tmp_path), record(CELL).provenance.code_hash
    store.write(record(CELL, "crashed"))
    store.write(record(CELL, "noisy", metrics=METRIC))
    assert statuses(store) == ["noisy"]
    assert not store.has(CELL, LAPTOP.name, code)
    assert store.read().records[0].metrics == METRIC
    # An attempt that gives nothing does not cost the figures that there are.
    store.write(record(CELL, "interrupted"))
    assert statuses(store) == ["interrupted", "noisy"]
    store.write(record(CELL, metrics=METRIC))
    assert statuses(store) == ["ok"]
    store.write(record(CELL, "noisy", metrics=METRIC))
    assert statuses(store) == ["noisy", "ok"]
    assert store.has(CELL, LAPTOP.name, code)


@pytest.mark.parametrize(
    "change",
    [
        {"details": {"interval_as_narrow_as_asked": False}},
        {"status": "crashed", "reason": "It was killed."},
        {"metrics": {"error_fraction": METRIC["error_fraction"].model_copy(update={"value": -1.0})}},
        {"cell_id": "0" * 12},
    ],
    ids=["noisy of before there was a status", "failed", "impossible", "of another cell"],
)
def test_a_name_alone_makes_no_cell_done(tmp_path: Path, change: dict[str, object]) -> None:
    store, good = Store(tmp_path), record(CELL, metrics=METRIC)
    path = store.write(good)
    path.write_text(good.model_copy(update=change).model_dump_json())
    assert not store.has(CELL, LAPTOP.name, good.provenance.code_hash)


@pytest.mark.parametrize("content", [b"", b'{"cell": ', b"[]", b"\x00" * 4096])
def test_a_file_that_was_cut_off_is_measured_again(tmp_path: Path, content: bytes) -> None:
    store, good = Store(tmp_path), record(CELL, metrics=METRIC)
    path = store.write(good)
    path.write_bytes(content)
    assert not store.has(CELL, LAPTOP.name, good.provenance.code_hash)
    store.write(good)
    assert store.has(CELL, LAPTOP.name, good.provenance.code_hash)


@pytest.mark.parametrize(("narrow", "status"), [(False, "noisy"), (True, "ok"), (None, "ok")])
def test_a_timing_that_missed_its_interval_before_there_was_a_status_is_read_as_noisy(
    tmp_path: Path, narrow: bool | None, status: str
) -> None:
    store = Store(tmp_path)
    details = {} if narrow is None else {"interval_as_narrow_as_asked": narrow}
    path = store.write(record(CELL, metrics=METRIC).model_copy(update={"details": details}))
    assert json.loads(path.read_text())["status"] == "ok"
    (found,) = store.read().records
    assert found.status == status
    assert found.is_done() == (status == "ok")
    assert (found.reason is not None) == (status == "noisy")


def test_machines_and_code_keep_records_apart(tmp_path: Path) -> None:
    store, here = Store(tmp_path), record(CELL, metrics=METRIC)
    there = record(CELL, metrics=METRIC, machine=GPU)
    newer = here.model_copy(
        update={"provenance": here.provenance.model_copy(update={"code_hash": "0" * 64, "commit": "f" * 40})}
    )
    for each in (here, there, newer):
        store.write(each)
    assert len(store.read().records) == 3


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{ not json", "is not a record"),
        (b"", "is not a record"),
        (b"[1, 2]", "is not a record"),
        (b'{"schema_version": 1}', "is not a record"),
        (b"\xff\xfe\x00", "is not a record"),
    ],
)
def test_a_broken_or_foreign_file_is_named_and_skipped(tmp_path: Path, content: bytes, problem: str) -> None:
    store = Store(tmp_path)
    store.write(record(CELL, metrics=METRIC))
    broken = tmp_path / "amd" / "notes.json"
    broken.parent.mkdir()
    broken.write_bytes(content)
    contents = store.read()
    assert len(contents.records) == 1
    assert contents.problems[0].path == broken
    assert problem in str(contents.problems[0])


def edited(path: Path, **changes: object) -> None:
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | changes))


def test_an_edited_record_is_named_and_skipped(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = store.write(record(CELL, metrics=METRIC))
    edited(path, cell=json.loads(path.read_text())["cell"] | {"seed": 7})
    assert store.read().records == ()
    assert "edited or is foreign" in str(store.read().problems[0])


def test_a_record_of_another_schema_is_named_and_skipped(tmp_path: Path) -> None:
    store = Store(tmp_path)
    edited(store.write(record(CELL, metrics=METRIC)), schema_version=99)
    assert "schema version 99" in str(store.read().problems[0])


def test_unknown_fields_are_not_swallowed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    edited(store.write(record(CELL, metrics=METRIC)), surprise=1)
    assert "surprise" in str(store.read().problems[0])


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    assert "cannot be read" in str(Store(tmp_path).read().problems[0])


def test_of_two_stores_the_later_wins(tmp_path: Path) -> None:
    published, own = Store(tmp_path / "published"), Store(tmp_path / "own")
    published.write(record(CELL, metrics=METRIC))
    better: Record = record(
        CELL, metrics={"error_fraction": METRIC["error_fraction"].model_copy(update={"value": 0.01})}
    )
    own.write(better)
    (found,) = read_stores([published.root, own.root]).records
    assert found.metrics["error_fraction"].value == 0.01


def test_names_cannot_leave_the_store(tmp_path: Path) -> None:
    hostile = replace(CELL, neuron="../../etc/passwd", task="..", suite="a/b")
    path = Store(tmp_path).path(hostile, "../machine", "0" * 64)
    assert tmp_path in path.resolve().parents


def test_an_interrupted_cell_is_not_published(tmp_path: Path) -> None:
    own, others = Store(tmp_path / "own"), Store(tmp_path / "published")
    finished = record(CELL, metrics=METRIC)
    own.write(finished)
    own.write(record(CELL, "interrupted", started_at="2026-03-02T12:00:00+00:00"))
    own.write(record(replace(CELL, seed=1), "interrupted"))
    publish(own.root, others.root)
    assert others.read().records == (finished,)
