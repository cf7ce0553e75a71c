"""What was measured is not lost when its store takes no more, and nothing more is measured for it then."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import misbehaving
import pytest
from misbehaving import job, registry_with_suites
from synthetic import record

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.errors import UserError
from harness.execute.outbox import Outbox
from harness.execute.pool import LocalPool
from harness.results.record import Record
from harness.results.store import Store
from reference_impls.discovery import discover

CELLS = [Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick", seed=seed) for seed in range(3)]


@dataclass(frozen=True)
class Filling(Store):
    """A store with room for so many records, until there is room again."""

    room: int = 0
    again: bool = False

    def write(self, record: Record) -> Path:
        if len(list(self.root.rglob("*.json"))) >= self.room and not (self.root / "room").exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(record)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def rescued(error: UserError) -> Store:
    found = re.search(r"they are in (\S+)", str(error))
    assert found is not None
    return Store(Path(found[1]))


def test_what_found_no_room_is_put_elsewhere(tmp_path: Path, elsewhere: Path) -> None:
    store = Filling(tmp_path / "store", room=1)
    outbox = Outbox(store)
    for cell in CELLS:
        outbox.put(record(cell))
    assert [held.cell for held in outbox.held] == CELLS[1:]
    with pytest.raises(
        UserError, match=r"2 records could not be written into .*store: No space left on device"
    ) as said:
        outbox.close()
    other = rescued(said.value)
    assert elsewhere in other.root.parents
    assert {found.cell for found in (*store.read().records, *other.read().records)} == set(CELLS)
    assert f"spikeboard publish --from {other.root} --to {store.root}" in said.value.hint


def test_when_there_is_room_again_everything_is_in_its_place(tmp_path: Path, elsewhere: Path) -> None:
    store = Filling(tmp_path / "store", room=1)
    outbox = Outbox(store)
    outbox.put(record(CELLS[0]))
    outbox.put(record(CELLS[1]))
    (store.root / "room").touch()
    outbox.put(record(CELLS[2]))
    assert outbox.held == []
    outbox.close()
    assert {found.cell for found in store.read().records} == set(CELLS)
    assert list(elsewhere.iterdir()) == []


def test_if_there_is_no_room_anywhere_it_says_so(tmp_path: Path, elsewhere: Path) -> None:
    outbox = Outbox(Filling(tmp_path / "store"))
    outbox.put(record(CELLS[0]))
    elsewhere.rmdir()
    with pytest.raises(UserError, match=r"1 records could not be written .*; nor elsewhere"):
        outbox.close()


@pytest.fixture
def _misbehaving(tmp_path: Path) -> Iterator[None]:
    misbehaving.install(tmp_path)
    sys.path.insert(0, str(tmp_path))
    for known in (discover, load_registry):
        known.cache_clear()
    yield
    sys.path.remove(str(tmp_path))
    for known in (discover, load_registry):
        known.cache_clear()


@pytest.mark.usefixtures("_misbehaving")
def test_a_store_that_fills_up_ends_the_run_and_loses_nothing(tmp_path: Path) -> None:
    store = Filling(tmp_path / "store", room=1)
    jobs = [job("well-behaved", seed=seed) for seed in range(4)]
    with (
        LocalPool(store, slots=1, registry=registry_with_suites()) as pool,
        pytest.raises(UserError, match="1 records could not be written") as said,
    ):
        pool.run(jobs)
    kept, other = store.read().records, rescued(said.value).read().records
    assert [found.cell.seed for found in (*kept, *other)] == [0, 1]
    assert {found.status for found in (*kept, *other)} == {"ok"}


@pytest.mark.usefixtures("_misbehaving")
def test_a_store_that_cannot_be_written_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "store").touch()
    started: list[object] = []
    with LocalPool(Store(tmp_path / "store"), slots=1, registry=registry_with_suites()) as pool:
        pool.start = lambda job: started.append(job)  # type: ignore[method-assign,assign,return-value]
        with pytest.raises(UserError, match=r"the folder of records .*store.* cannot be written"):
            pool.run([job("well-behaved")])
    assert started == []
