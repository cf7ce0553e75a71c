"""What somebody else put into a store: no plain file, too large, in another's place, or a second of its kind."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import LAPTOP, record

from harness.catalogue.cell import Cell
from harness.errors import UserError
from harness.results import reading
from harness.results.record import Metric, Record
from harness.results.store import Store, read_stores

CELL = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick")


def measured(value: float = 0.03, cell: Cell = CELL) -> Record:
    return record(cell, metrics={"error_fraction": Metric(value=value, unit="fraction", direction="lower", n=359)})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.write(measured())
    return made


def test_a_pipe_is_named_and_not_waited_for(store: Store) -> None:
    os.mkfifo(store.root / "pipe.json")
    contents = store.read()
    assert contents.records == (measured(),)
    assert "no regular file" in str(contents.problems[0])


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/tty"])
def test_a_link_to_a_device_is_named_and_not_opened(store: Store, device: str) -> None:
    (store.root / "device.json").symlink_to(device)
    assert "no regular file" in str(store.read().problems[0])


@pytest.mark.parametrize("target", ["nowhere", "loop.json", "."])
def test_a_link_to_nothing_is_named(store: Store, target: str) -> None:
    (store.root / "loop.json").symlink_to(target)
    contents = store.read()
    assert contents.records == (measured(),)
    assert "cannot be read" in str(contents.problems[0])


def test_a_sparse_file_of_20_gigabytes_is_named_and_not_read(store: Store) -> None:
    with (store.root / "large.json").open("wb") as file:
        file.truncate(20 * 10**9)
    assert "20,000,000,000 bytes" in str(store.read().problems[0])


def test_the_largest_record_is_read_and_one_byte_more_is_not(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    size = next(store.root.rglob("*.json")).stat().st_size
    monkeypatch.setattr(reading, "LARGEST_RECORD_BYTES", size)
    assert store.read().records == (measured(),)
    monkeypatch.setattr(reading, "LARGEST_RECORD_BYTES", size - 1)
    assert store.read().records == ()


def test_a_name_that_no_encoding_has_can_be_said(store: Store) -> None:
    path = os.path.join(os.fsencode(store.root), b"\xff\x1b]0;title\x07.json")
    with open(path, "w") as file:
        file.write("{}")
    (problem,) = store.read().problems
    assert str(problem).isprintable()
    str(problem).encode("utf-8")


def test_a_record_in_anothers_place_is_named_and_kept(store: Store) -> None:
    other = measured(cell=replace(CELL, seed=1))
    right = store.write(other)
    wrong = store.root / "moved.json"
    right.rename(wrong)
    contents = store.read()
    assert sorted(one.cell.seed for one in contents.records) == [0, 1]
    (problem,) = contents.problems
    assert problem.path == wrong
    assert right.name in problem.reason


def test_a_store_may_be_read_from_any_of_its_folders(store: Store) -> None:
    for root in (store.root.parent, store.root / LAPTOP.name, store.root / LAPTOP.name / "accuracy"):
        contents = Store(root).read()
        assert contents.records == (measured(),)
        assert contents.problems == ()


@pytest.mark.parametrize("name", ["0.json", "zzz.json", "other-machine/accuracy/digits/{}"])
def test_of_two_records_of_one_run_the_one_in_its_place_counts(store: Store, name: str) -> None:
    path = next(store.root.rglob("*.json"))
    forged = store.root / name.format(path.name)
    forged.parent.mkdir(parents=True, exist_ok=True)
    forged.write_text(path.read_text().replace("0.03", "0.0", 1))
    for contents in (store.read(), read_stores([store.root])):
        assert contents.records == (measured(),)
        assert any(problem.path == forged and "second record" in problem.reason for problem in contents.problems)


def test_of_two_records_out_of_place_the_first_by_name_counts(store: Store) -> None:
    path = next(store.root.rglob("*.json"))
    first, second = store.root / "a.json", store.root / "b.json"
    shutil.move(path, second)
    first.write_text(second.read_text().replace("0.03", "0.0", 1))
    contents = store.read()
    assert [one.metrics["error_fraction"].value for one in contents.records] == [0.0]
    assert [problem.path for problem in contents.problems if "second" in problem.reason] == [second]


def test_a_failure_beside_the_figure_of_the_same_code_is_no_second_record(store: Store) -> None:
    store.write(record(CELL, "crashed"))
    contents = store.read()
    assert {one.status for one in contents.records} == {"ok", "crashed"}
    assert contents.problems == ()
    assert [one.status for one in read_stores([store.root]).records] == ["ok"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_what_is_impossible_is_not_written_over_what_is_not(store: Store, value: float) -> None:
    path = next(store.root.rglob("*.json"))
    before = path.read_bytes()
    with pytest.raises(UserError, match="error_fraction"):
        store.write(measured(value))
    assert path.read_bytes() == before
