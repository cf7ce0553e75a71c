from __future__ import annotations

import gzip
import struct
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest

from harness.data.idx import idx_shape, read_idx, write_idx
from harness.data.mnist import MNIST, read_mnist
from harness.errors import UserError

TRAIN, TEST = 12, 5


def silent(fraction: float, note: str) -> None: ...


def write_tiny(folder: Path, zipped: bool = False) -> None:
    """Write an MNIST of 12 + 5 images in the standard layout."""
    folder.mkdir(parents=True)
    random = np.random.RandomState(0)
    for part, count in (("train", TRAIN), ("t10k", TEST)):
        write_idx(folder / f"{part}-images-idx3-ubyte", random.randint(0, 256, (count, 28, 28)).astype(np.uint8))
        write_idx(folder / f"{part}-labels-idx1-ubyte", (np.arange(count) % 10).astype(np.uint8))
    if zipped:
        for path in list(folder.iterdir()):
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()


def test_idx_header_is_big_endian(tmp_path: Path) -> None:
    write_idx(tmp_path / "a", np.arange(6, dtype=np.uint8).reshape(2, 3))
    assert (tmp_path / "a").read_bytes() == struct.pack(">II", 0x00000802, 2) + struct.pack(">I", 3) + bytes(range(6))
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), [[0, 1, 2], [3, 4, 5]])
    assert idx_shape(tmp_path / "a") == (2, 3)


@pytest.mark.parametrize("folder", MNIST.folders)
@pytest.mark.parametrize("zipped", [False, True])
def test_reads_every_layout(folder: str, zipped: bool, tmp_path: Path) -> None:
    write_tiny(tmp_path / folder, zipped)
    presence = MNIST.find(tmp_path)
    assert presence.present
    assert presence.where == tmp_path / folder
    assert presence.samples == {"train": TRAIN, "test": TEST}
    train, test = read_mnist(tmp_path)
    assert train.images.shape == (TRAIN, 28, 28)
    np.testing.assert_array_equal(test.labels, np.arange(TEST))


def test_missing_file_is_named(tmp_path: Path) -> None:
    write_tiny(tmp_path / "MNIST/raw")
    (tmp_path / "MNIST/raw/t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(UserError, match=r"MNIST/raw/t10k-labels-idx1-ubyte\[\.gz\]"):
        read_mnist(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("train-images-idx3-ubyte", b"", "begins with nothing"),
        ("train-images-idx3-ubyte", b"<html>not found</html>", "not with 000008"),
        ("train-labels-idx1-ubyte", b"\0\0\x08\x01\0\0", "ends inside the header"),
        ("t10k-images-idx3-ubyte", struct.pack(">4I", 0x803, 5, 28, 28) + bytes(99), "99 bytes follow a header"),
        ("t10k-images-idx3-ubyte.gz", gzip.compress(bytes(5000), mtime=0)[:-9], "not a whole idx file"),
        ("t10k-labels-idx1-ubyte.gz", b"plain", "not a whole idx file"),
    ],
    # Named, not made of the bytes: two collecting processes must agree on the names.
    ids=["empty", "a-page", "cut-header", "trailing-bytes", "cut-gzip", "not-gzip"],
)
def test_corrupt_file_is_named_by_reader_and_verdict(name: str, content: bytes, why: str, tmp_path: Path) -> None:
    write_tiny(tmp_path / "mnist", zipped=name.endswith(".gz"))
    path = tmp_path / "mnist" / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=why) as caught:
        read_mnist(tmp_path)
    assert str(path) in str(caught.value)
    assert "spikeboard data verify" in caught.value.hint
    bad = {verdict.subject for verdict in MNIST.verify(tmp_path) if not verdict.intact}
    assert str(path) in bad
    assert MNIST.find(tmp_path).present


def test_images_and_labels_must_go_together(tmp_path: Path) -> None:
    write_tiny(tmp_path / "mnist")
    write_idx(tmp_path / "mnist/train-labels-idx1-ubyte", np.zeros(3, dtype=np.uint8))
    with pytest.raises(UserError, match="do not go with labels"):
        read_mnist(tmp_path)


def test_verdict_tells_size_from_content(tmp_path: Path) -> None:
    write_tiny(tmp_path / "mnist")
    write_idx(tmp_path / "mnist/t10k-labels-idx1-ubyte", np.zeros(10_000, dtype=np.uint8))
    findings = {Path(verdict.subject).name: verdict.finding for verdict in MNIST.verify(tmp_path)}
    assert "expected 47,040,016" in findings["train-images-idx3-ubyte"]
    assert "expected ff7bcfd416de" in findings["t10k-labels-idx1-ubyte"]


def test_failed_download_is_a_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    def unreachable(scratch: Path) -> None:
        raise URLError("Name or service not known")

    with pytest.raises(UserError, match=r"'mnist' could not be fetched: .*Name or service not known") as caught:
        replace(MNIST, download=unreachable).fetch(tmp_path, silent)
    assert "--data-root or SPIKEBOARD_DATA" in caught.value.hint
    assert not list(tmp_path.iterdir())


def test_interrupted_download_leaves_nothing(tmp_path: Path) -> None:
    def interrupted(scratch: Path) -> None:
        scratch.mkdir()
        (scratch / "half").write_bytes(b"x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace(MNIST, download=interrupted).fetch(tmp_path, silent)
    assert not list(tmp_path.iterdir())


def test_wrong_download_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    blank = (np.zeros((70_000, 784), dtype=np.uint8), np.full(70_000, "0", dtype=object))
    with pytest.raises(UserError, match="train-images-idx3-ubyte: SHA-256 is"):
        replace(MNIST, download=lambda _: blank).fetch(tmp_path, silent)
    assert not list(tmp_path.iterdir())


def test_download_in_openmls_form_becomes_the_known_files(mnist_root: Path, tmp_path: Path) -> None:
    parts = read_mnist(mnist_root)
    pixels = np.concatenate([part.images for part in parts]).reshape(-1, 784)
    labels = np.concatenate([part.labels for part in parts]).astype(str).astype(object)
    notes = []
    downloaded = replace(MNIST, download=lambda _: (pixels, labels))
    presence = downloaded.fetch(tmp_path, lambda fraction, _: notes.append(fraction))
    assert presence.where == tmp_path / "mnist/MNIST/raw"
    assert presence.samples == {"train": 60_000, "test": 10_000}
    assert all(verdict.intact for verdict in MNIST.verify(tmp_path))
    assert notes == sorted(notes)
    assert notes[-1] == 1.0
    assert [path.name for path in tmp_path.iterdir()] == ["mnist"]


def test_real_files_are_intact(mnist_root: Path) -> None:
    assert all(verdict.intact for verdict in MNIST.verify(mnist_root))
