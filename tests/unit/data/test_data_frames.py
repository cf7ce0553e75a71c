"""The readers of event cameras with frames, IJRR and MVSEC, on tiny files in the published layouts and broken ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from harness.data import ijrr, mvsec
from harness.data.ijrr import IJRR
from harness.data.mvsec import MVSEC
from harness.errors import UserError

EVENTS = ["0.000100 3 4 1", "0.000200 239 179 0", "0.000200 0 0 1", "1.5 7 8 0"]


def write_ijrr(root: Path, name: str = "boxes") -> Path:
    folder = root / "IJRR" / name
    (folder / "images").mkdir(parents=True)
    (folder / "events.txt").write_text("\n".join(EVENTS) + "\n")
    lines = []
    for index, time in enumerate((0.02, 0.06)):
        picture = np.full((ijrr.HEIGHT, ijrr.WIDTH), 10 * index, dtype=np.uint8)
        picture[index, 5] = 200
        file = f"images/frame_{index:08d}.png"
        Image.fromarray(picture).save(folder / file)
        lines.append(f"{time} {file}")
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    return folder


def write_mvsec(root: Path, name: str = "indoor", **changed: np.ndarray) -> Path:
    folder = root / "MVSEC"
    folder.mkdir(exist_ok=True)
    start = 1.5e9
    data = {
        "events": np.array([[0, 0, start, 1], [345, 259, start + 1e-3, -1], [7, 8, start + 0.5, 1]]),
        "image_raw": np.zeros((2, mvsec.HEIGHT, mvsec.WIDTH), dtype=np.uint8),
        "image_raw_ts": np.array([start + 0.01, start + 0.04]),
    }
    truth = {
        "flow_dist": np.full((2, 2, mvsec.HEIGHT, mvsec.WIDTH), 1.5, dtype=np.float32),
        "flow_dist_ts": np.array([start, start + 0.05]),
    }
    for suffix, tables in ((mvsec.DATA, data), (mvsec.TRUTH, truth)):
        with h5py.File(folder / f"{name}{suffix}", "w") as file:
            for key, values in tables.items():
                file[f"davis/left/{key}"] = changed.get(key, values)
    return folder


def test_ijrr_reads_events_and_frames(tmp_path: Path) -> None:
    folder = write_ijrr(tmp_path)
    assert IJRR.sequences(tmp_path) == (folder,)
    events = ijrr.read_events(folder)
    assert events.t.tolist() == [100, 200, 200, 1_500_000]
    assert (events.x.tolist(), events.y.tolist(), events.p.tolist()) == ([3, 239, 0, 7], [4, 179, 0, 8], [1, 0, 1, 0])
    times, frames = ijrr.read_frames(folder)
    assert times.tolist() == [20_000, 60_000]
    assert frames.shape == (2, 180, 240)
    assert (frames[1, 1, 5], frames[1, 0, 0]) == (200, 10)
    assert [verdict.finding for verdict in IJRR.verify(tmp_path)] == ["4 events, 2 frames"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0.3 240 0 1", "off the 240 x 180 sensor"),
        ("0.3 0 180 1", "off the 240 x 180 sensor"),
        ("0.3 0 0 2", "another polarity"),
        ("0.3 0.5 0 1", "no whole numbers"),
        ("-1 0 0 1", "comes before|us"),
        ("nan 0 0 1", "no number of seconds"),
        ("1e9 0 0 1", "twelve days"),
        ("a b c d", "could not convert"),
    ],
)
def test_ijrr_refuses_events_that_cannot_be(line: str, said: str, tmp_path: Path) -> None:
    folder = write_ijrr(tmp_path)
    (folder / "events.txt").write_text("\n".join([*EVENTS[:2], line]) + "\n")
    with pytest.raises(UserError, match=said) as caught:
        ijrr.read_events(folder)
    assert str(folder / "events.txt") in str(caught.value)
    assert "unpack" in caught.value.hint
    assert not IJRR.verify(tmp_path)[0].intact


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["0.1 images/frame_00000000.png extra"], "other than a time and a file"),
        (["0.1 images/frame_00000000.png", "0.1 images/frame_00000001.png"], "no later"),
        (["0.1 ../../secret.png"], "outside of the sequence"),
        (["0.1 /etc/passwd"], "outside of the sequence"),
        (["0.1 images/none.png"], "No such file"),
        ([], "there is none"),
    ],
)
def test_ijrr_refuses_lists_of_frames_that_cannot_be(lines: list[str], said: str, tmp_path: Path) -> None:
    folder = write_ijrr(tmp_path)
    (folder / "images.txt").write_text("\n".join(lines))
    with pytest.raises(UserError, match=said) as caught:
        ijrr.read_frames(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (np.zeros((10, 240), dtype=np.uint8), "240 x 10 pixels"),
        (np.zeros((180, 240, 3), dtype=np.uint8), "mode RGB"),
    ],
)
def test_ijrr_refuses_pictures_of_another_kind(picture: np.ndarray, said: str, tmp_path: Path) -> None:
    folder = write_ijrr(tmp_path)
    Image.fromarray(picture).save(folder / "images/frame_00000001.png")
    with pytest.raises(UserError, match=said) as caught:
        ijrr.read_frames(folder)
    assert "frame_00000001.png" in str(caught.value)


def test_mvsec_reads_events_frames_and_flow(tmp_path: Path) -> None:
    folder = write_mvsec(tmp_path)
    assert MVSEC.sequences(tmp_path) == ("indoor",)
    events, start = mvsec.read_events(folder, "indoor")
    assert start == 1.5e9
    assert events.t.tolist() == [0, 1000, 500_000]
    assert events.p.tolist() == [1, 0, 1]
    times, frames = mvsec.read_frames(folder, "indoor", start)
    assert times.tolist() == [10_000, 40_000]
    assert frames.shape == (2, 260, 346)
    times, flow = mvsec.read_flow(folder, "indoor", start)
    assert times.tolist() == [0, 50_000]
    assert (flow.dtype, flow.shape, float(flow[1, 0, 3, 4])) == (np.float32, (2, 2, 260, 346), 1.5)
    assert MVSEC.verify(tmp_path)[0].finding == "3 events, 2 frames, 2 flow fields"


def _events(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float64)


@pytest.mark.parametrize(
    ("key", "values", "said"),
    [
        ("events", _events([346, 0, 1.0, 1]), "off the 346 x 260 sensor"),
        ("events", _events([0, 0, 1.0, 0]), "neither -1 nor 1"),
        ("events", _events([0, 0, 2.0, 1], [0, 0, 1.0, 1]), "at -1,000,000|comes before"),
        ("events", _events([0, 0, 1.0, 1], [0, 0, np.nan, 1]), "no list of seconds"),
        ("events", np.zeros((0, 4)), "not \\[events, 4\\]"),
        ("image_raw", np.zeros((2, 260, 300), dtype=np.uint8), "image_raw is uint8"),
        ("image_raw_ts", np.array([1.5e9, 1.5e9]), "no later"),
        ("flow_dist", np.full((2, 2, 260, 346), 1e6, dtype=np.float32), "more than 10000 pixels"),
        ("flow_dist", np.zeros((2, 2, 260, 346), dtype=np.int32), "flow_dist is int32"),
        ("flow_dist_ts", np.array([1.5e9]), "at 1 times"),
    ],
)
def test_mvsec_refuses_what_cannot_be(key: str, values: np.ndarray, said: str, tmp_path: Path) -> None:
    folder = write_mvsec(tmp_path, **{key: values})
    readers: list[Callable[[], object]] = [
        lambda: mvsec.read_events(folder, "indoor"),
        lambda: mvsec.read_frames(folder, "indoor", 1.5e9),
        lambda: mvsec.read_flow(folder, "indoor", 1.5e9),
    ]
    reader = readers[0 if key == "events" else 1 if key.startswith("image") else 2]
    with pytest.raises(UserError, match=said) as caught:
        reader()
    assert str(folder) in str(caught.value)
    assert not MVSEC.verify(tmp_path)[0].intact


def test_mvsec_names_what_a_file_lacks(tmp_path: Path) -> None:
    folder = write_mvsec(tmp_path)
    with h5py.File(folder / f"indoor{mvsec.TRUTH}", "r+") as file:
        del file["davis/left/flow_dist"]
    with pytest.raises(UserError, match=r"it has no davis/left/flow_dist"):
        mvsec.read_flow(folder, "indoor", 0.0)
    (folder / f"indoor{mvsec.DATA}").write_bytes(b"no HDF5")
    with pytest.raises(UserError, match="an MVSEC file with events"):
        mvsec.read_events(folder, "indoor")


@pytest.mark.parametrize("known", [IJRR, MVSEC])
def test_what_is_not_there_is_asked_for(known: ijrr.IJRRSet | mvsec.MVSECSet, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not in") as caught:
        known.sequences(tmp_path)
    assert known.how_to_get in caught.value.hint
