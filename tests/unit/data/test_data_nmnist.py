from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.data.nmnist import NMNIST, NMNIST_1100, read_events
from harness.errors import UserError

PER_LABEL = {"train": (2, 1, 0, 0, 0, 0, 0, 0, 0, 0), "test": (0, 1, 0, 0, 0, 0, 0, 0, 0, 0)}
TINY = replace(NMNIST_1100, per_label=PER_LABEL)
EVENTS = ((3, 7, 1, 0), (33, 0, 0, 70_000), (0, 33, 1, 2**23 - 1))
"""(x, y, polarity, microseconds); the last time needs all 23 bits."""


def silent(fraction: float, note: str) -> None: ...


def encoded(events: tuple[tuple[int, int, int, int], ...] = EVENTS) -> bytes:
    return b"".join(bytes((x, y)) + ((p << 23) | t).to_bytes(3, "big") for x, y, p, t in events)


def write_tiny(folder: Path) -> None:
    """Write 3 + 1 recordings in the standard layout."""
    for place in ("Train/0/00001", "Train/1/00002", "Train/0/00003", "Test/1/00001"):
        path = folder / f"{place}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded())


@pytest.mark.parametrize("folder", ["nmnist_1100", "NMNIST", "nmnist"])
def test_finds_recordings_in_mnists_order(folder: str, tmp_path: Path) -> None:
    write_tiny(tmp_path / folder)
    found = TINY.recordings(tmp_path)
    assert [(item.part, item.number, item.label) for item in found] == [
        ("train", 1, 0),
        ("train", 2, 1),
        ("train", 3, 0),
        ("test", 1, 1),
    ]
    presence = TINY.find(tmp_path)
    assert presence.where == tmp_path / folder
    assert presence.samples == {"train": 3, "test": 1}


def test_whole_set_holds_the_subset(tmp_path: Path) -> None:
    write_tiny(tmp_path / "NMNIST")
    (tmp_path / "NMNIST/Train/9").mkdir()
    (tmp_path / "NMNIST/Train/9/00004.bin").write_bytes(encoded())
    assert len(TINY.recordings(tmp_path)) == 4


def test_incomplete_set_says_what_is_lacking(tmp_path: Path) -> None:
    write_tiny(tmp_path / "nmnist_1100")
    with pytest.raises(UserError, match="nmnist_1100/Train: 3 of 1,000 recordings"):
        NMNIST_1100.require(tmp_path)
    with pytest.raises(UserError, match="NMNIST/Test: 0 of 10,000 recordings"):
        NMNIST.require(tmp_path)


def test_reads_every_bit_of_an_event(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(encoded())
    events = read_events(tmp_path / "a.bin")
    assert list(zip(events.x, events.y, events.p, events.t, strict=True)) == list(EVENTS)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no events"),
        (encoded()[:-1], "14 bytes are not whole events"),
        (encoded(((34, 0, 0, 0),)), "off the 34 x 34 sensor"),
        (encoded(EVENTS[1:] + EVENTS[:1]), "event 2 comes before the one before it"),
    ],
    ids=["empty", "cut", "off-the-sensor", "backwards"],
)
def test_corrupt_recording_is_named(content: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "00001.bin"
    path.write_bytes(content)
    with pytest.raises(UserError, match=why) as caught:
        read_events(path)
    assert str(path) in str(caught.value)
    assert "spikeboard data verify" in caught.value.hint


def test_verdicts_name_a_cut_file_a_wrong_label_and_a_wrong_content(tmp_path: Path) -> None:
    write_tiny(tmp_path / "nmnist_1100")
    cut = tmp_path / "nmnist_1100/Train/0/00003.bin"
    cut.write_bytes(encoded()[:-2])
    shutil.move(tmp_path / "nmnist_1100/Train/1/00002.bin", tmp_path / "nmnist_1100/Train/0/00002.bin")
    broken, whole, labels, content = TINY.verify(tmp_path)
    assert broken.subject == str(cut)
    assert not whole.intact
    assert "3 of 4 files are whole" in whole.finding
    assert not labels.intact
    assert not content.intact


def test_wrong_download_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    tiny = replace(NMNIST, per_label=PER_LABEL, download=lambda folder, _: write_tiny(folder / "NMNIST"))
    with pytest.raises(UserError, match="'nmnist' could not be fetched: the download is not what was expected"):
        tiny.fetch(tmp_path, silent)
    assert not list(tmp_path.iterdir())


def test_download_does_not_touch_an_incomplete_folder(tmp_path: Path) -> None:
    write_tiny(tmp_path / "NMNIST")
    with pytest.raises(UserError, match="NMNIST is there but incomplete; remove or rename it"):
        NMNIST.fetch(tmp_path, silent)
    assert (tmp_path / "NMNIST/Train/0/00001.bin").is_file()


def test_right_download_is_put_in_place(nmnist_root: Path, tmp_path: Path) -> None:
    """The whole set's road, with the first 1,100 recordings standing for all."""

    def download(folder: Path, progress: object) -> None:
        shutil.copytree(NMNIST_1100.require(nmnist_root), folder / "NMNIST")

    presence = replace(NMNIST, per_label=NMNIST_1100.per_label, download=download).fetch(tmp_path, silent)
    assert presence.where == tmp_path / "NMNIST"
    assert [path.name for path in tmp_path.iterdir()] == ["NMNIST"]
    assert all(verdict.intact for verdict in NMNIST_1100.verify(tmp_path))


def test_real_recordings_are_intact(nmnist_root: Path) -> None:
    assert all(verdict.intact for verdict in NMNIST_1100.verify(nmnist_root))
    first = next(item for item in NMNIST_1100.recordings(nmnist_root))
    assert (first.number, first.label) == (1, 5)
    events = read_events(first.path)
    assert events.t.size == 4681
    assert np.all(np.diff(events.t) >= 0)
