"""The tasks on data sets that are files, on tiny files everywhere and on the real ones where they are present."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.catalogue.loading import load_registry
from harness.data import idx, nmnist
from harness.data.events import Events
from harness.data.mnist import read_mnist
from harness.data.nmnist import NMNIST_1100
from harness.errors import UserError
from harness.tasks.common import cache
from harness.tasks.common import recordings as recordings_of_tasks
from harness.tasks.common.base import Split, Task
from reference_impls.discovery import load_class

REGISTRY = load_registry()


def task(name: str) -> Task:
    built: Task = load_class(REGISTRY.tasks[name].module, Task)(REGISTRY.task(name), **REGISTRY.tasks[name].params)
    return built


def sizes(split: Split) -> tuple[int, int, int]:
    return len(split.train.labels), len(split.validation.labels), len(split.test.labels)


def test_digits_tasks_share_one_pinned_split() -> None:
    splits = {name: task(name).load(None, seed=0) for name in ("digits", "digits-rows", "digits-events")}
    for split in splits.values():
        assert sizes(split) == (1294, 144, 359)
        assert split.digest == "c3c04d881775a921102508ed6fb1e45564ac7bfed5e0b7202a0b165b4bb2fa5f"
        per_class = torch.bincount(split.test.labels).tolist()
        assert max(per_class) - min(per_class) <= 3
    assert task("digits").load(None, seed=7).digest == splits["digits"].digest


def test_digits_tasks_show_the_same_image() -> None:
    direct, rows, events = (task(name) for name in ("digits", "digits-rows", "digits-events"))
    image = direct.encode(direct.load(None, 0).train.inputs[:4])[0, :, 0]
    assert image.max() == 1
    assert torch.equal(rows.encode(rows.load(None, 0).train.inputs[:4]).transpose(0, 1), image)
    frames = events.encode(events.load(None, 0).train.inputs[:4])
    assert set(frames.unique().tolist()) == {0.0, 1.0}
    assert torch.all(frames.flatten(2).sum(2) > 0)


def write_tiny_mnist(root: Path) -> None:
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for part, count in (("train", 100), ("t10k", 20)):
        images = np.arange(count, dtype=np.uint8)[:, None, None] * np.ones((1, 28, 28), dtype=np.uint8)
        idx.write_idx(folder / f"{part}-images-idx3-ubyte", images)
        idx.write_idx(folder / f"{part}-labels-idx1-ubyte", (np.arange(count) % 10).astype(np.uint8))


def test_mnist_keeps_the_official_test_part(tmp_path: Path) -> None:
    write_tiny_mnist(tmp_path)
    split = task("mnist").load(tmp_path, seed=0)
    assert sizes(split) == (90, 10, 20)
    for part in split[:3]:
        # The tiny images say their own index, and their label is its last digit.
        assert torch.equal(part.inputs[:, 0, 0, 0].long() % 10, part.labels)
    assert sorted(split.test.inputs[:, 0, 0, 0].tolist()) == list(range(20))
    x = task("mnist").encode(split.train.inputs)
    assert torch.equal(x[0, :, 0, 3, 4], split.train.inputs[:, 0, 3, 4] / 255)


@pytest.mark.parametrize("name", ["mnist", "nmnist", "nmnist-1100"])
def test_missing_data_name_the_set(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"data set '{name}' is not in"):
        task(name).load(tmp_path, seed=0)


def test_mnist_split_is_pinned(mnist_root: Path) -> None:
    split = task("mnist").load(mnist_root, seed=0)
    assert sizes(split) == (54_000, 6_000, 10_000)
    assert split.digest == "7e290ee8aa724054be824aeb6b00f45243b937afcc5c445dc014a47bc33bf97c"
    official = torch.from_numpy(np.bincount(read_mnist(mnist_root)[0].labels))
    for part in (split.validation, split.train):
        share = len(part.labels) / 60_000
        assert torch.all((torch.bincount(part.labels) - official * share).abs() <= 1.5)


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _cache_elsewhere(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(own_cache))
    monkeypatch.setattr("tempfile.tempdir", str(own_cache))  # where frames go if the cache cannot be written


FOLD_DIGESTS = [
    "22115f2b06774f86c0a737b1a6bda7a2f23171f851560bce38a253d43d53ce9a",
    "a41c782814fc08bb26bb23c025205e587d629ced102009b3e22e83e8dc1335fb",
    "18421156c8d1fe476942b7c6a2915f31c439eb1727304a36ee994156da464fd7",
    "a53e61f5bbe77c338b0ddf0cca717fb4a503f463e5de990e84622b4657f0792a",
    "e3e9690bf9572ce848b11c688b430df1d0d39f787c16c8330d64c39ceae9071a",
]


def test_five_seeds_test_every_recording_once(nmnist_root: Path) -> None:
    folds = [task("nmnist-1100").load(nmnist_root, seed) for seed in range(5)]
    assert {sizes(split) for split in folds} == {(792, 88, 220)}
    assert [split.digest for split in folds] == FOLD_DIGESTS
    assert task("nmnist-1100").load(nmnist_root, 7).digest == FOLD_DIGESTS[2]
    tested = {recording.numpy().tobytes() for split in folds for recording in split.test.inputs}
    assert len(tested) == 1100
    for split in folds:
        per_class = torch.bincount(split.test.labels)
        assert per_class.min() >= 17
        assert set(split.train.inputs.unique().tolist()) == {0, 1}


def test_whole_nmnist_task_keeps_the_official_parts(nmnist_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The road of the whole set, with the first 1,100 recordings standing for all."""
    monkeypatch.setattr("harness.tasks.nmnist.NMNIST", NMNIST_1100)
    split = task("nmnist").load(nmnist_root, seed=0)
    assert sizes(split) == (900, 100, 100)
    assert torch.bincount(split.test.labels).tolist() == list(NMNIST_1100.per_label["test"])


def test_frames_are_remembered_until_something_that_decides_them_changes(nmnist_root: Path) -> None:
    recordings = NMNIST_1100.recordings(nmnist_root)[:20]

    def load(read: Callable[[Path], Events], T: int = 3) -> np.ndarray:
        return recordings_of_tasks.load_frames("a", recordings, read, "by-time", (T, 34, 34), (nmnist.__file__,))[0]

    def forbidden(path: Path) -> Events:
        pytest.fail(f"read {path} again")

    first = load(nmnist.read_events)
    np.testing.assert_array_equal(load(forbidden), first)
    with pytest.raises(pytest.fail.Exception, match="again"):
        load(forbidden, T=4)


def test_framing_is_part_of_what_is_remembered(nmnist_root: Path) -> None:
    by_time, by_number = (task(name).load(nmnist_root, 0) for name in ("nmnist-1100", "nmnist-1100-by-number"))
    assert by_time.digest == by_number.digest
    assert not torch.equal(by_time.train.inputs, by_number.train.inputs)
    assert set(by_number.train.inputs.unique().tolist()) == {0, 1}


@pytest.mark.parametrize("most", [1, 255])
def test_broken_or_unwritable_cache_costs_only_time(most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    frames = np.random.RandomState(0).randint(0, most + 1, (5, 3, 7)).astype(np.uint8)

    def remembered(make: Callable[[], np.ndarray] = lambda: frames, T: int = 3) -> None:
        np.testing.assert_array_equal(cache.remembered("a", [T], [__file__], make), frames)

    remembered()
    remembered(make=lambda: pytest.fail("made again"))
    with pytest.raises(pytest.fail.Exception, match="made again"):
        remembered(make=lambda: pytest.fail("made again"), T=4)
    (stored,) = (tmp_path / "spikeboard" / "frames").glob("a-*.npz")
    for content in (b"", b"no archive", stored.read_bytes()[:-40]):
        stored.write_bytes(content)
        remembered()
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    remembered()
    remembered(make=lambda: pytest.fail("made again"))  # it was kept among temporary files
    monkeypatch.setattr("tempfile.tempdir", str(blocked))
    remembered()
