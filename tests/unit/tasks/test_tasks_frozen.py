"""The encodings are frozen: what a network sees of small data sets is pinned, for every task that reads them.

A digest that changes means that the task has become another one: raise its version, and only then the digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import layouts
import numpy as np
import pytest
import torch
from torch import Tensor

from harness.catalogue.loading import load_registry
from harness.data import cifar10dvs, dvsgesture, fsdd, heidelberg
from harness.data.idx import write_idx
from harness.errors import UserError
from harness.tasks import moving_shapes, shd, ssc
from harness.tasks.common import audio, spoken
from harness.tasks.common import fsdd as fsdd_task
from harness.tasks.common.base import Split, Task
from reference_impls.discovery import load_class

REGISTRY = load_registry()


def task(name: str) -> Task:
    row = REGISTRY.tasks[name]
    built: Task = load_class(row.module, Task)(REGISTRY.task(name), **row.params)
    return built


def digest(x: Tensor) -> str:
    """Of values in steps of 1/4096, so that the last bit of a logarithm does not matter."""
    return hashlib.sha256((x.double() * 4096).round().numpy().astype("<i4").tobytes()).hexdigest()[:16]


def seen(name: str, root: Path | None) -> tuple[Split, str, str]:
    """The split, its digest, and that of the first 8 encoded training and test samples."""
    built = task(name)
    split = built.load(root, seed=0)
    samples = [built.encode(part.inputs[:8]) for part in (split.train, split.test)]
    for x in samples:
        assert x.shape[0] == built.card.T
        assert x.shape[2:] == built.card.sample_shape
        assert x.dtype == torch.float32
    return split, split.digest[:16], digest(torch.cat(samples, dim=1))


def sizes(split: Split) -> tuple[int, int, int]:
    return len(split.train), len(split.validation), len(split.test)


@pytest.fixture(autouse=True)
def _cache_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write_digits(root: Path, folder: str, seed: int) -> None:
    random = np.random.RandomState(seed)
    (root / folder).mkdir(parents=True)
    for part, count in (("train", 100), ("t10k", 20)):
        images = random.randint(0, 256, (count, 28, 28)).astype(np.uint8)
        write_idx(root / folder / f"{part}-images-idx3-ubyte", images)
        write_idx(root / folder / f"{part}-labels-idx1-ubyte", (np.arange(count) % 10).astype(np.uint8))


def write_mnist(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_digits(root, "MNIST/raw", 0)


def write_fashion(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_digits(root, "FashionMNIST/raw", 1)


def write_cifar10(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layouts.write_cifar10(root)


def write_cifar100(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layouts.write_cifar100(root)


def write_cifar10dvs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10dvs, "CIFAR10DVS", replace(cifar10dvs.CIFAR10DVS, per_class=10))
    layouts.write_cifar10dvs(root, per_class=10)


def write_gestures(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dvsgesture, "DVSGESTURE", replace(dvsgesture.DVSGESTURE, counts={"train": 22, "test": 11}))
    layouts.write_gestures(root, ["user02_led", "user10_lab"], ["user25_natural"])


def write_fsdd(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fsdd_task, "FSDD", replace(fsdd.FSDD, takes=6))
    layouts.write_fsdd(root, takes=6)


def write_shd(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"train": 60, "test": 20}
    monkeypatch.setattr(shd, "SHD", replace(heidelberg.SHD, counts=counts))
    for seed, (part, count) in enumerate(counts.items()):
        layouts.write_spoken(root / "SHD" / f"shd_{part}.h5", count, 20, seed)


def write_ssc(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"train": 70, "valid": 35, "test": 40}
    monkeypatch.setattr(ssc, "SSC", replace(heidelberg.SSC, counts=counts))
    for seed, (part, count) in enumerate(counts.items()):
        layouts.write_spoken(root / "SSC" / f"ssc_{part}.h5", count, 35, seed)


def few_shapes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving_shapes, "COUNT", 400)


def nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None: ...


Write = Callable[[Path, pytest.MonkeyPatch], None]
FROZEN: dict[str, tuple[Write, tuple[int, int, int], str, str]] = {
    "adding": (nothing, (3600, 400, 1000), "3ae518412de46c27", "823896dfed2c3ae2"),
    "adding-30": (nothing, (3600, 400, 1000), "25f577c724bcfd69", "62f1f8c08cbe2ecc"),
    "cifar10": (write_cifar10, (90, 10, 20), "70c3a0ec85a64519", "ac1b8768db54771e"),
    "cifar100": (write_cifar100, (180, 20, 100), "48e303e5aa034e5d", "b1b1313e50a720b0"),
    "cifar10dvs": (write_cifar10dvs, (81, 9, 10), "d3e0935a0bd5997c", "0ca3dd6b48dbd6c9"),
    "cifar10dvs-by-time": (write_cifar10dvs, (81, 9, 10), "d3e0935a0bd5997c", "266502fbe6ae455e"),
    "delayed-xor": (nothing, (3600, 400, 1000), "14c355407d6e22f3", "25abb9116d7e4e5b"),
    "delayed-xor-0": (nothing, (3600, 400, 1000), "14c355407d6e22f3", "3e3da3a7ab82dc85"),
    "delayed-xor-30": (nothing, (3600, 400, 1000), "14c355407d6e22f3", "22623b52d11bd1d7"),
    "dvsgesture": (write_gestures, (20, 2, 11), "0db1a9cfcacf6614", "8e8f264d63f3541f"),
    "dvsgesture-by-time": (write_gestures, (20, 2, 11), "0db1a9cfcacf6614", "c75da4ef648a4d5a"),
    "fashion-mnist": (write_fashion, (90, 10, 20), "70c3a0ec85a64519", "defff25897bfcc26"),
    "fsdd": (write_fsdd, (54, 6, 300), "da0fd2418316d5d9", "8386c95076b32dca"),
    "fsdd-speakers": (write_fsdd, (270, 30, 60), "32cc361b998c1bfb", "48d3f9a424ccf1ae"),
    "fsdd-rate": (write_fsdd, (54, 6, 300), "da0fd2418316d5d9", "0e12e9ae0aca282a"),
    "fsdd-rate-speakers": (write_fsdd, (270, 30, 60), "32cc361b998c1bfb", "6cb6c08043e750a7"),
    "localisation": (nothing, (3600, 400, 1000), "c3d95719ad57bcf6", "2753dd7d838db3a8"),
    "localisation-400": (nothing, (3600, 400, 1000), "e1ae761ddfdb4e20", "741ec1c8ed593e23"),
    "moving-shapes": (few_shapes, (288, 32, 80), "a35b762b9f86e206", "8915a35dc2025020"),
    "psmnist": (write_mnist, (90, 10, 20), "70c3a0ec85a64519", "17e75a3a1c29acfd"),
    "shd": (write_shd, (54, 6, 20), "b4949e3eed3e1a22", "1ac665a9f53438cb"),
    "smnist": (write_mnist, (90, 10, 20), "70c3a0ec85a64519", "d0f0d2e4a5abc7ab"),
    "smnist-49": (write_mnist, (90, 10, 20), "70c3a0ec85a64519", "b1e399a93aa34922"),
    "smnist-rows": (write_mnist, (90, 10, 20), "70c3a0ec85a64519", "a1b81337246495d9"),
    "ssc": (write_ssc, (70, 35, 40), "63311edcc6801df5", "568575c4fb769f29"),
}


@pytest.mark.parametrize("name", FROZEN)
def test_split_and_encoding_of_a_small_set_are_pinned(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, expected, split_digest, encoded_digest = FROZEN[name]
    write(tmp_path, monkeypatch)
    split, *found = seen(name, tmp_path)
    assert sizes(split) == expected
    assert found == [split_digest, encoded_digest]
    again, *_ = seen(name, tmp_path)  # from what was remembered
    assert torch.equal(again.test.inputs, split.test.inputs)


@pytest.mark.parametrize("name", [name for name in FROZEN if REGISTRY.task(name).data not in ("generated", "mnist")])
def test_missing_data_name_the_set(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"data set '{REGISTRY.task(name).data}' is not in"):
        task(name).load(tmp_path, seed=0)


def test_sequences_are_the_image_in_their_orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path, monkeypatch)
    images = task("mnist").load(tmp_path, 0).train.inputs[:5, 0]
    pixels, permuted, few, rows = (
        task(name).encode(task(name).load(tmp_path, 0).train.inputs[:5])
        for name in ("smnist", "psmnist", "smnist-49", "smnist-rows")
    )
    means = torch.nn.functional.avg_pool2d(images.double(), 4).floor() / 255
    assert torch.equal(few[:, :, 0], means.flatten(1).T.float())
    assert torch.equal(pixels[:, :, 0], images.flatten(1).T / 255)
    assert torch.equal(rows, images.transpose(0, 1) / 255)
    order = np.random.RandomState(0).permutation(784)
    assert order[:4].tolist() == PERMUTATION
    assert torch.equal(permuted, pixels[order])


PERMUTATION = [693, 85, 647, 392]
"""The first of psmnist's pixels: what publishing the seed promises."""


def test_each_seed_leaves_another_speaker_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_fsdd(tmp_path, monkeypatch)
    recordings = replace(fsdd.FSDD, takes=6).recordings(tmp_path)
    spoken = task("fsdd-speakers")
    tested = []
    for seed in range(6):
        split = spoken.load(tmp_path, seed)
        theirs = [
            fsdd_task.frames_of(audio.level_crossings(fsdd.read_wave(item.path)), 40, 64).tobytes()
            for item in recordings
            if item.speaker == fsdd.SPEAKERS[seed]
        ]
        assert sorted(frames.numpy().tobytes() for frames in split.test.inputs) == sorted(theirs)
        tested.append(split.digest)
    assert len(set(tested)) == 6
    assert spoken.load(tmp_path, 8).digest == tested[2]


def test_crossings_count_the_levels_between_windows() -> None:
    """A tone that grows by e per window in amplitude, so by e squared in energy, crosses two levels a window."""
    t = np.arange(4_000) / 8_000
    tone = np.exp(np.minimum(t / 0.01, 20) - 20) * np.sin(2 * np.pi * 1_000 * t)
    events = audio.level_crossings((30_000 * tone).astype(np.int16))
    edges = audio.mel_edges()
    band = int(np.flatnonzero((edges[:-2] < 1_000) & (edges[2:] > 1_000))[0])
    rising = (events.x == band) & (events.t >= 130_000) & (events.t < 170_000)
    assert set(events.p[rising]) == {1}
    assert np.bincount(events.t[rising] // 10_000)[13:].tolist() == [2] * 4
    assert np.all(events.t % 10_000 == 0)


def test_short_sound_is_padded_and_loudness_does_not_matter() -> None:
    samples = np.random.RandomState(0).randint(-200, 201, 100).astype(np.int16)
    assert audio.level_crossings(samples).t.size == 0
    longer = np.tile(samples, 20)
    for hear in (audio.level_crossings, lambda sound: audio.hair_cells([sound], 1.0)[0]):
        quiet, loud = hear(longer), hear(longer * 100)
        assert all(np.array_equal(a, b) for a, b in zip(quiet, loud, strict=True))
        assert quiet.t.size > 0


def test_hair_cells_follow_their_definition_and_do_not_hear_each_other() -> None:
    from scipy.signal import butter, sosfilt

    random = np.random.RandomState(0)
    sounds = [random.randint(-9_000, 9_001, size).astype(np.int16) for size in (900, 1_500)]
    together = audio.hair_cells(sounds, 0.15)
    for sound, events in zip(sounds, together, strict=True):
        heard = sound[:1_200] / np.abs(sound).max()
        expected = []
        for band, (low, high) in enumerate(zip(audio.mel_edges(), audio.mel_edges()[2:], strict=False)):
            passed = sosfilt(butter(2, [low, high], "bandpass", fs=8_000, output="sos"), heard)
            v = 0.0
            for index, current in enumerate(0.3 * np.sqrt(np.maximum(passed, 0))):
                v = np.exp(-1 / 80) * v + current
                if v >= 1:
                    v -= 1
                    expected.append((index * 125, band))
        assert sorted(zip(events.t.tolist(), events.x.tolist(), strict=True)) == sorted(expected)
        assert set(events.p) == {1}


def test_channels_are_grouped_and_what_follows_the_cut_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shd(tmp_path, monkeypatch)
    frames, labels = spoken.load_frames(shd.SHD, tmp_path, "train", 100)
    assert labels.tolist() == list(range(20)) * 3
    for found, events in zip(frames, heidelberg.read_part(shd.SHD, tmp_path, "train"), strict=True):
        heard = events.t < 1_000_000
        assert found.sum() == heard.sum()
        np.testing.assert_array_equal(found.sum(0), np.bincount(events.x[heard] // 5, minlength=140))
        np.testing.assert_array_equal(found.sum(1), np.bincount(events.t[heard] // 10_000, minlength=100))
    assert frames.max() > 1


def test_counts_become_logarithms() -> None:
    built = task("cifar10dvs")
    counts = torch.tensor([0, 1, 255], dtype=torch.uint8).expand(2, 10, 2, 48, 3)
    x = built.encode(counts)
    torch.testing.assert_close(x[0, 0, 0, 0], torch.tensor([0, 1 / 8, 1.0]))


@pytest.mark.parametrize(
    ("name", "split_digest", "encoded_digest"),
    [("fsdd", "9702f3d87f922aba", "447e29a9c1af9f34"), ("fsdd-speakers", "90964856d7a487b4", "2aa87bcc767a6bde")],
)
def test_real_speech_is_pinned(name: str, split_digest: str, encoded_digest: str, fsdd_root: Path) -> None:
    split, *found = seen(name, fsdd_root)
    assert sizes(split) == {"fsdd": (2430, 270, 300), "fsdd-speakers": (2250, 250, 500)}[name]
    assert found == [split_digest, encoded_digest]


@pytest.mark.parametrize(
    ("hear", "events", "expected"),
    [
        (lambda sounds: map(audio.level_crossings, sounds), 51741, "596bfed8ee3141fc"),
        (lambda sounds: audio.hair_cells(sounds, 0.8), 53184, "6806e043fb0543c1"),
    ],
    ids=["level crossings", "hair cells"],
)
def test_events_of_real_speech_are_pinned(
    hear: Callable[..., list[audio.Events]], events: int, expected: str, fsdd_root: Path
) -> None:
    """Take 0 of all digits by all speakers, (recording, microsecond, band, polarity) in order."""
    sounds = [fsdd.read_wave(item.path) for item in fsdd.FSDD.recordings(fsdd_root) if item.take == 0]
    columns = [
        np.column_stack([np.full(len(one.t), number), one.t, one.x, one.p]) for number, one in enumerate(hear(sounds))
    ]
    rows = np.concatenate(columns)
    rows = rows[np.lexsort(rows.T[::-1])]
    assert len(rows) == events
    assert hashlib.sha256(rows.astype("<i4").tobytes()).hexdigest()[:16] == expected


@pytest.mark.parametrize(
    ("name", "encoded_digest"),
    [
        ("smnist", "4e5d996cbc75fc26"),
        ("psmnist", "9d10f4f5a112dfb0"),
        ("smnist-49", "24df00798497b5b2"),
        ("smnist-rows", "24c3c59555a5f732"),
    ],
)
def test_real_mnist_sequences_are_pinned(name: str, encoded_digest: str, mnist_root: Path) -> None:
    _, split_digest, found = seen(name, mnist_root)
    assert split_digest == "7e290ee8aa724054"  # that of mnist
    assert found == encoded_digest
