"""The index answers as the files would, follows every change of theirs, and is never in the way."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
import synthetic

from harness.catalogue.boards import BOARDS, find_board
from harness.catalogue.cell import Cell
from harness.errors import UserError
from harness.results import index as index_module
from harness.results.index import Index, history_in, select
from harness.results.queries import Wanted, wanted_by
from harness.results.record import Predictions, Record
from harness.results.store import Store, read_stores
from harness.results.tables import build_tables

ROWS = synthetic.registry()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, in which even a small store has its index."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(index_module, "KEPT_FROM_BYTES", 0)
    return tmp_path / "cache" / "spikeboard" / "indices"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.write_store(tmp_path_factory.mktemp("measured") / "store", synthetic.everything(ROWS))


@pytest.fixture
def store(tmp_path: Path, cache: Path) -> Store:
    made = Store(tmp_path / "store")
    for seed in range(3):
        made.write(one(seed))
    return made


def one(seed: int, value: float = 0.1, suite: str = "accuracy") -> Record:
    card = ROWS.suite("accuracy").metrics["error_fraction"]
    cell = Cell(suite, "digits", "lif", "bptt", "mlp", budget="quick", seed=seed)
    details = {"per_class": [seed, 2.5, None, "ä"]}
    series = {"learning": synthetic.Series(x="epoch", x_unit="epochs", y="loss", y_unit="1", points=((0, 1), (1, 0.5)))}
    metrics = {"error_fraction": synthetic.metric(value, card, 0.01), "best": synthetic.metric(0.5, card)}
    said = Predictions(digest="ab", samples=3, packed="AAEC")
    return synthetic.record(cell, metrics=metrics, details=details, series=series, predictions=said)


def values(store: Store) -> list[float]:
    return sorted(record.metrics["error_fraction"].value for record in select([store.root]).records)


def test_it_answers_as_the_files_would(measured: Path, cache: Path) -> None:
    whole = read_stores([measured])
    for _ in range(2):  # made, then found
        found = select([measured])
        assert found == whole
        assert [record.model_dump_json() for record in found.records] == [
            record.model_dump_json() for record in whole.records
        ]
    assert len(list(cache.iterdir())) == 1
    assert {record.series_axes() for record in found.records} == {record.series_axes() for record in whole.records}


def test_a_record_of_it_is_a_record_in_every_part(store: Store) -> None:
    whole, found = store.read().records[0], select([store.root]).records[0]
    assert found.metrics["error_fraction"] == whole.metrics["error_fraction"]
    assert "error_fraction" in found.metrics
    assert "error_fractio" not in found.metrics
    with pytest.raises(KeyError):
        found.metrics["nothing"]
    assert dict(found.metrics) == dict(whole.metrics)
    assert found.details["per_class"] == whole.details["per_class"]
    assert found.series["learning"].points == ((0, 1), (1, 0.5))
    assert found.predictions is not None
    assert (found.predictions.digest, found.predictions.samples, found.predictions.packed) == ("ab", 3, "AAEC")
    assert select([store.root]).records[0].predictions == whole.predictions
    assert hash(select([store.root]).records[0].predictions) == hash(whole.predictions)
    assert select([store.root]).records[0].model_dump_json() == whole.model_dump_json()
    assert found.provenance.command == whole.provenance.command
    assert found.provenance == whole.provenance
    assert found.model_copy(update={"status": "crashed"}).provenance == whole.provenance
    with pytest.raises(AttributeError):
        getattr(found.provenance, "nothing")  # noqa: B009


@pytest.mark.parametrize("board", [board.name for board in BOARDS])
def test_a_table_needs_no_other_records_than_those_it_asks_for(measured: Path, board: str) -> None:
    whole = build_tables(read_stores([measured]).records, ROWS, find_board(board))
    asked = select([measured], wanted_by([find_board(board)], {}, None)).records
    assert build_tables(asked, ROWS, find_board(board)) == whole
    assert len(asked) < len(read_stores([measured]).records)
    machine = synthetic.GPU.name
    only = select([measured], wanted_by([find_board(board)], {"task": "digits"}, machine)).records
    expected = [
        table
        for table in whole
        if table.group.machine == machine and dict(table.group.axes).get("task", "digits") == "digits"
    ]
    tables = build_tables(only, ROWS, find_board(board))
    assert [table for table in tables if dict(table.group.axes).get("task", "digits") == "digits"] == expected


def test_a_cell_is_found_by_the_beginning_of_its_id(store: Store) -> None:
    wanted = one(1)
    assert select([store.root], [Wanted(cell_id=wanted.cell_id[:6])]).records == (wanted,)
    assert select([store.root], [Wanted(cell_id="%")]).records == ()
    assert select([store.root], []).records == ()


def test_only_what_changed_is_read_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert values(store) == [0.1, 0.1, 0.1]
    read: list[str] = []
    scan = index_module.scan
    monkeypatch.setattr(index_module, "scan", lambda path: read.append(path.name) or scan(path))
    assert values(store) == [0.1, 0.1, 0.1]
    assert read == []
    changed = store.write(one(1, 0.2))
    added = store.write(one(7, 0.3))
    assert values(store) == [0.1, 0.1, 0.2, 0.3]
    assert sorted(read) == sorted([changed.name, added.name])
    changed.unlink()
    assert values(store) == [0.1, 0.1, 0.3]
    added.write_text("{ not json")
    contents = select([store.root])
    assert [problem.path for problem in contents.problems] == [added]
    assert len(contents.records) == 2


def test_a_change_that_keeps_size_and_time_is_seen(store: Store) -> None:
    path = store.write(one(1, 0.25))
    state = path.stat()
    assert values(store) == [0.1, 0.1, 0.25]
    store.write(one(1, 0.75))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert path.stat().st_size == state.st_size
    assert values(store) == [0.1, 0.1, 0.75]


@pytest.mark.parametrize("content", [b"", b"no database" * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_broken_index_is_made_anew(store: Store, cache: Path, content: bytes) -> None:
    assert values(store) == [0.1, 0.1, 0.1]
    [kept] = cache.iterdir()
    kept.write_bytes(content)
    assert values(store) == [0.1, 0.1, 0.1]
    assert sqlite3.connect(kept).execute("SELECT count(*) FROM records").fetchone() == (3,)


def test_an_index_that_breaks_in_the_middle_is_made_anew(store: Store, cache: Path) -> None:
    assert values(store) == [0.1, 0.1, 0.1]
    [kept] = cache.iterdir()
    with sqlite3.connect(kept) as database:
        database.execute("DROP TABLE texts")
    assert values(store) == [0.1, 0.1, 0.1]


def test_an_index_of_another_version_is_made_anew(store: Store, cache: Path) -> None:
    assert values(store) == [0.1, 0.1, 0.1]
    [kept] = cache.iterdir()
    with sqlite3.connect(kept) as database:
        database.execute("PRAGMA user_version = 1")
        database.execute("UPDATE records SET status = 'crashed'")
    assert {record.status for record in select([store.root]).records} == {"ok"}


@pytest.mark.parametrize("where", ["a file in the way", "no home"])
def test_without_a_place_for_it_everything_works_all_the_same(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    if where == "no home":
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    else:
        (tmp_path / "cache").write_text("a file")
    assert values(store) == [0.1, 0.1, 0.1]


def test_a_small_store_leaves_nothing_in_the_cache(store: Store, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "KEPT_FROM_BYTES", 4 << 20)
    assert values(store) == [0.1, 0.1, 0.1]
    assert not cache.exists()


def test_a_file_that_changes_under_a_record_is_said(store: Store) -> None:
    found = select([store.root]).records[0]
    for path in store.root.rglob("*.json"):
        path.write_text("{}")
    with pytest.raises(UserError, match="changed while it was read"):
        found.details["per_class"]


def test_processes_share_an_index(store: Store, cache: Path) -> None:
    for seed in range(20):
        store.write(one(seed))
    with multiprocessing.get_context("fork").Pool(4) as pool:
        found = pool.map(values, [store] * 8)
    assert found == [[0.1] * 20] * 8


def test_durations_are_those_of_what_ended_well(store: Store, tmp_path: Path) -> None:
    store.write(one(8).model_copy(update={"status": "timeout"}))
    other = Store(tmp_path / "other")
    other.write(one(9))
    took = history_in([store.root, other.root, store.root])
    assert sorted((cell.seed, seconds) for cell, seconds in took("accuracy", "digits", "quick")) == [
        (seed, 3.25) for seed in (0, 1, 2, 9)
    ]
    assert list(took("accuracy", "digits", "smoke")) == []
    assert list(Index(store.root).took("spikes", "digits", "quick")) == []


def test_packed_records_are_found_and_done(tmp_path: Path, cache: Path) -> None:
    store = Store(tmp_path / "store")
    lines = [one(seed).model_dump_json() for seed in range(3)]
    failed = replace(one(3).cell, seed=3)
    crashed = one(3).model_copy(update={"status": "crashed", "reason": "It crashed."}).model_dump_json()
    packed = store.packed(synthetic.LAPTOP.name, "accuracy", "digits")
    packed.parent.mkdir(parents=True)
    packed.write_text("\n".join([lines[0], "", "{ broken", lines[1], crashed, lines[2]]))
    contents = select([store.root])
    assert (
        contents.records
        == store.read().records
        == (one(0), one(1), one(3).model_copy(update={"status": "crashed", "reason": "It crashed."}), one(2))
    )
    assert [dict(record.details) for record in contents.records] == [dict(r.details) for r in store.read().records]
    assert [str(problem) for problem in contents.problems] == [str(problem) for problem in store.read().problems]
    assert "line 3 is not a record" in contents.problems[0].reason
    code = one(0).provenance.code_hash
    assert [store.has(one(seed).cell, synthetic.LAPTOP.name, code) for seed in range(3)] == [True] * 3
    assert not store.has(failed, synthetic.LAPTOP.name, code)
    assert not store.has(one(0).cell, synthetic.LAPTOP.name, "0" * 64)
    assert not store.has(one(0).cell, synthetic.GPU.name, code)
