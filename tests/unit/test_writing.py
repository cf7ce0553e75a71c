"""Files appear whole, with the mode that the umask asks for, or not at all; folders are tried before they are used."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from synthetic import record

from harness.catalogue.cell import Cell
from harness.errors import UserError
from harness.results.store import Store
from harness.writing import require_writable, write_whole

CELL = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick")


@pytest.fixture
def _umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_umask")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600), (0, 0o666)])
def test_a_record_has_the_mode_that_the_umask_asks_for(umask: int, mode: int, tmp_path: Path) -> None:
    os.umask(umask)
    path = Store(tmp_path / "store").write(record(CELL))
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert stat.S_IMODE(path.parent.stat().st_mode) == mode | (mode & 0o444) >> 2
    assert Store(tmp_path / "store").read().records == (record(CELL),)


def test_a_file_is_replaced_as_a_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "folder" / ("n" * 250)
    write_whole(path, "one")
    write_whole(path, "two µ")
    assert path.read_text(encoding="utf-8") == "two µ"
    assert list(path.parent.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "half of it \ud800")

    def refused(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    require_writable(tmp_path / "new", "the folder", "take another")
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize(
    ("number", "why"), [(28, "No space left on device"), (30, "Read-only file system"), (122, "Disk quota exceeded")]
)
def test_a_folder_that_cannot_is_named(number: int, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(source: object, target: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(UserError, match=f"the folder {tmp_path} cannot be written: {why}") as caught:
        require_writable(tmp_path, "the folder", "take another")
    assert caught.value.hint == "take another"


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match="cannot be written"):
            Store(folder).require_writable([CELL], "laptop")
