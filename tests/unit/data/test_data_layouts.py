"""Every reader on small files in the published layout, and on broken ones."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import layouts
import numpy as np
import pytest

from harness.data import DATA_SETS, cifar10dvs, dvsgesture, fsdd, heidelberg
from harness.data.cifar import CIFAR10, CIFAR100, read_cifar
from harness.data.events import Events, shrunk
from harness.data.fashion_mnist import FASHION_MNIST
from harness.data.idx import write_idx
from harness.data.mnist import read_images
from harness.errors import UserError

GESTURES = replace(dvsgesture.DVSGESTURE, counts={"train": 22, "test": 11})
IMAGES = replace(cifar10dvs.CIFAR10DVS, per_class=10)
SPOKEN = replace(fsdd.FSDD, takes=6)
SHD = replace(heidelberg.SHD, counts={"train": 40, "test": 20})
NEW = ["fashion-mnist", "cifar10", "cifar100", "cifar10dvs", "dvsgesture", "fsdd", "shd", "ssc"]


@pytest.mark.parametrize("name", NEW)
def test_missing_set_says_what_is_lacking_and_how_to_get_it(name: str, tmp_path: Path) -> None:
    known = DATA_SETS[name]
    if known is FASHION_MNIST:
        known = replace(FASHION_MNIST, installed=())
    with pytest.raises(UserError, match=f"data set '{name}' is not in") as caught:
        known.require(tmp_path)
    assert known.find(tmp_path).missing
    assert known.how_to_get in caught.value.hint
    assert "--data-root or SPIKEBOARD_DATA" in caught.value.hint


def test_cifar10_reads_what_python_2_wrote(tmp_path: Path) -> None:
    layouts.write_cifar10(tmp_path)
    train, test = read_cifar(CIFAR10, tmp_path)
    assert train.images.shape == (100, 3, 32, 32)
    assert test.labels.tolist() == list(range(10)) * 2
    # The first image of the stream: 1024 red, then 1024 green, then 1024 blue, row by row.
    stream = np.random.RandomState(0).randint(0, 256, (20, 3072)).astype(np.uint8)
    np.testing.assert_array_equal(train.images[0, 1, 2], stream[0, 1024 + 64 : 1024 + 96])


def test_cifar100_reads_the_fine_labels(tmp_path: Path) -> None:
    layouts.write_cifar100(tmp_path)
    train, test = read_cifar(CIFAR100, tmp_path)
    assert (len(train.labels), len(test.labels)) == (200, 100)
    assert test.labels.tolist() == list(range(100))


class Harmful:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, ("must-not-appear",)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (pickle.dumps({"data": Harmful(), "labels": [1]}, protocol=2), "it refers to posix.mkdir"),
        (pickle.dumps({"data": [1], "labels": [1]}, protocol=2), "int64 of shape"),
        (pickle.dumps({"labels": [1]}, protocol=2), "'data'"),
        (b"<html>not found</html>", "not a batch of CIFAR-10"),
        (b"", "Ran out of input"),
    ],
)
def test_broken_or_harmful_pickle_is_refused(
    content: bytes, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    layouts.write_cifar10(tmp_path)
    path = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    path.write_bytes(content)
    with pytest.raises(UserError, match=why) as caught:
        read_cifar(CIFAR10, tmp_path)
    assert str(path) in str(caught.value)
    assert not (tmp_path / "must-not-appear").exists()


def test_label_outside_is_refused(tmp_path: Path) -> None:
    layouts.write_cifar10(tmp_path)
    layouts.write_cifar_batch(
        tmp_path / "cifar-10-batches-py" / "test_batch", np.zeros((1, 3072), dtype=np.uint8), labels=[10]
    )
    with pytest.raises(UserError, match=r"a label lies outside 0\.\.9"):
        read_cifar(CIFAR10, tmp_path)


def test_cifar_digests_are_compared(tmp_path: Path) -> None:
    layouts.write_cifar10(tmp_path)
    verdicts = CIFAR10.verify(tmp_path)
    assert len(verdicts) == 6
    assert not any(verdict.intact for verdict in verdicts)
    assert "expected 40351d587109b95175f43aff81a1287e" in verdicts[-1].finding


def write_fashion(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", 30), ("t10k", 10)):
        images = np.random.RandomState(5).randint(0, 256, (count, 28, 28)).astype(np.uint8)
        write_idx(folder / f"{part}-images-idx3-ubyte", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte", (np.arange(count) % 10).astype(np.uint8))


def test_fashion_mnist_has_mnists_form_and_is_judged_by_its_digests(tmp_path: Path) -> None:
    folder = tmp_path / "FashionMNIST" / "raw"
    write_fashion(folder)
    train, test = read_images(FASHION_MNIST, tmp_path)
    assert (train.images.shape, test.labels.shape) == ((30, 28, 28), (10,))
    assert all("expected" in verdict.finding for verdict in FASHION_MNIST.verify(tmp_path))
    assert not any(verdict.intact for verdict in FASHION_MNIST.verify(tmp_path))
    sized = tuple(replace(file, size_bytes=(folder / file.name).stat().st_size) for file in FASHION_MNIST.files)
    verdicts = replace(FASHION_MNIST, files=sized).verify(tmp_path)
    assert all("SHA-256 is" in verdict.finding and not verdict.intact for verdict in verdicts)
    small = tuple(replace(file, sha256=hashlib.sha256((folder / file.name).read_bytes()).hexdigest()) for file in sized)
    assert all(verdict.intact for verdict in replace(FASHION_MNIST, files=small).verify(tmp_path))


def test_what_a_package_of_the_system_installed_is_found_last(tmp_path: Path) -> None:
    known = replace(FASHION_MNIST, installed=(tmp_path / "usr",))
    assert known.find(tmp_path / "root").missing
    write_fashion(tmp_path / "usr")
    assert known.find(tmp_path / "root").where == tmp_path / "usr"
    assert len(read_images(known, tmp_path / "root")[0].labels) == 30
    write_fashion(tmp_path / "root" / "fashion-mnist")
    assert known.find(tmp_path / "root").where == tmp_path / "root" / "fashion-mnist"
    assert FASHION_MNIST.installed == (Path("/usr/share/datasets/fashion-mnist"),)
    assert "apt install dataset-fashion-mnist" in FASHION_MNIST.how_to_get


def test_real_fashion_mnist_is_intact(fashion_root: Path) -> None:
    assert all(verdict.intact for verdict in FASHION_MNIST.verify(fashion_root))
    train, test = read_images(FASHION_MNIST, fashion_root)
    assert np.bincount(train.labels).tolist() == [6_000] * 10
    assert np.bincount(test.labels).tolist() == [1_000] * 10
    assert test.labels[:10].tolist() == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]


def test_spoken_spikes_are_read_in_microseconds_and_the_files_order(tmp_path: Path) -> None:
    layouts.write_spoken(tmp_path / "SHD" / "shd_train.h5", 40, 20, seed=0)
    layouts.write_spoken(tmp_path / "SHD" / "shd_test.h5", 20, 20, seed=1)
    assert SHD.find(tmp_path).samples == {"train": 40, "test": 20}
    samples = list(heidelberg.read_part(SHD, tmp_path, "train"))
    assert len(samples) == 40
    assert heidelberg.read_labels(SHD, tmp_path, "train").tolist() == list(range(20)) * 2
    random = np.random.RandomState(0)
    count = random.randint(0, 400)
    seconds = np.sort(random.random_sample(count) * 1.3).astype(np.float16).astype(np.float64)
    np.testing.assert_array_equal(samples[0].t, np.rint(seconds * 1e6))
    np.testing.assert_array_equal(samples[0].x, random.randint(0, 700, count))
    assert max(events.t.max(initial=0) for events in samples) > 1_000_000
    assert all(verdict.intact for verdict in SHD.verify(tmp_path))
    assert not all(verdict.intact for verdict in heidelberg.SHD.verify(tmp_path))


def test_tonic_reads_the_same_spikes(tmp_path: Path) -> None:
    """tonic's class wants the archive beside the file; an empty one will do."""
    from tonic.datasets import SHD as TONIC

    for seed, part in enumerate(("train", "test")):
        layouts.write_spoken(tmp_path / "SHD" / f"shd_{part}.h5", 10, 20, seed)
        (tmp_path / "SHD" / f"shd_{part}.h5.zip").touch()
    ten = replace(SHD, counts={"train": 10, "test": 10})
    for train, part in ((True, "train"), (False, "test")):
        theirs = TONIC(str(tmp_path), train=train)
        for ours, (events, _) in zip(heidelberg.read_part(ten, tmp_path, part), theirs, strict=False):
            np.testing.assert_array_equal(ours.x, events["x"])
            np.testing.assert_array_equal(ours.p, events["p"])
            assert np.all(np.abs(ours.t - events["t"]) <= 1)  # tonic rounds down


def test_broken_spoken_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "SHD" / "shd_train.h5"
    layouts.write_spoken(tmp_path / "SHD" / "shd_test.h5", 20, 20, seed=1)
    path.write_bytes(b"no HDF5")
    for read in (heidelberg.read_labels, lambda *given: list(heidelberg.read_part(*given))):
        with pytest.raises(UserError, match=r"shd_train\.h5: not a file of Spiking Heidelberg Digits"):
            read(SHD, tmp_path, "train")
    assert [verdict.intact for verdict in SHD.verify(tmp_path)] == [False, True]
    layouts.write_spoken(path, 40, 30, seed=0)
    with pytest.raises(UserError, match=r"labels lie outside 0\.\.19"):
        heidelberg.read_labels(SHD, tmp_path, "train")


def test_cifar10dvs_is_upright_and_on_is_1(tmp_path: Path) -> None:
    """jAER's address: bit 0 is 0 for ON, bits 1-7 and 8-14 the pixel, counted from the far corner."""
    path = tmp_path / "a.aedat"
    layouts.write_aedat2(path, np.array([(127 << 8) | (127 << 1) | 0, (3 << 8) | (5 << 1) | 1]), np.array([7, 2**31]))
    events = cifar10dvs.read_events(path)
    assert [column.tolist() for column in events] == [[7, 2**31], [0, 124], [0, 122], [1, 0]]


def test_cifar10dvs_lists_classes_and_holds_out_the_last_tenth(tmp_path: Path) -> None:
    layouts.write_cifar10dvs(tmp_path, per_class=10)
    recordings = IMAGES.recordings(tmp_path)
    assert len(recordings) == 100
    assert [item.number for item in recordings if item.part == "test"] == [9] * 10
    assert [item.label for item in recordings[::10]] == list(range(10))
    assert all(verdict.intact for verdict in IMAGES.verify(tmp_path))
    recordings[3].path.write_bytes(recordings[3].path.read_bytes()[:-3])
    broken, whole = IMAGES.verify(tmp_path)
    assert broken.subject == str(recordings[3].path)
    assert not whole.intact
    recordings[4].path.unlink()
    with pytest.raises(UserError, match="airplane: 9 of 10 recordings"):
        IMAGES.require(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"no header", b"#!AER-DAT3.1\r\n12345678", b"#!AER-DAT2.0\r\n1234567", b"#!AER-DAT2.0"]
)
def test_broken_aedat_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.aedat").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.aedat: not a recording of CIFAR10-DVS"):
        cifar10dvs.read_events(tmp_path / "a.aedat")


def test_gestures_are_read_in_microseconds(tmp_path: Path) -> None:
    layouts.write_gestures(tmp_path, ["user02_led", "user10_lab"], ["user25_natural"])
    recordings = GESTURES.recordings(tmp_path)
    assert [(item.part, item.number) for item in recordings[::11]] == [("train", 2), ("train", 10), ("test", 25)]
    assert [item.label for item in recordings[:11]] == list(range(11))
    table = np.load(recordings[10].path)
    events = dvsgesture.read_events(recordings[10].path)
    np.testing.assert_array_equal(np.column_stack([events.x, events.y, events.p, events.t]), table * [1, 1, 1, 1000])
    assert all(verdict.intact for verdict in GESTURES.verify(tmp_path))
    np.save(recordings[0].path, table + 100)
    (tmp_path / "DVSGesture/ibmGestureTest/user25_natural").rename(tmp_path / "DVSGesture/ibmGestureTest/user02_led")
    broken, whole, people = GESTURES.verify(tmp_path)
    assert "off the 128 x 128 sensor" in broken.finding
    assert not whole.intact
    assert not people.intact


def test_shrinking_keeps_every_event() -> None:
    x = np.arange(128)
    small = shrunk(Events(x, x, x[::-1], x % 2), 128, 48)
    assert np.bincount(small.x).tolist() == np.bincount(small.y).tolist()
    assert set(np.bincount(small.x)) == {2, 3}
    assert (small.x.size, small.x.max()) == (128, 47)


def test_fsdd_is_listed_and_read(tmp_path: Path) -> None:
    layouts.write_fsdd(tmp_path, takes=6)
    assert SPOKEN.find(tmp_path).samples == {"train": 60, "test": 300}
    recordings = SPOKEN.recordings(tmp_path)
    assert (recordings[7].digit, recordings[7].speaker, recordings[7].take) == (0, "jackson", 1)
    assert fsdd.read_wave(recordings[0].path).dtype == np.int16
    whole, digest = SPOKEN.verify(tmp_path)
    assert whole.intact
    assert not digest.intact
    recordings[0].path.unlink()
    with pytest.raises(UserError, match="359 of 360 recordings"):
        SPOKEN.require(tmp_path)


@pytest.mark.parametrize(
    ("samples", "rate", "why"), [([1, 2], 16_000, "16000 Hz"), ([], 8_000, "silence"), ([0, 0], 8_000, "silence")]
)
def test_other_sounds_are_named(samples: list[int], rate: int, why: str, tmp_path: Path) -> None:
    layouts.write_wave(tmp_path / "a.wav", np.array(samples, dtype=np.int16), rate)
    with pytest.raises(UserError, match=why):
        fsdd.read_wave(tmp_path / "a.wav")
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(UserError, match=r"a\.wav: not a recording of FSDD"):
        fsdd.read_wave(tmp_path / "a.wav")


def test_real_fsdd_is_intact(fsdd_root: Path) -> None:
    assert all(verdict.intact for verdict in fsdd.FSDD.verify(fsdd_root))
