"""Small data sets in exactly the files, folders and formats of the published ones."""

from __future__ import annotations

import struct
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.cifar10dvs import CLASSES
from harness.data.fsdd import SPEAKERS


def _text(text: str) -> bytes:
    """A string as Python 2 pickled it (SHORT_BINSTRING or BINSTRING)."""
    raw = text.encode("latin1")
    return (b"U" + struct.pack("<B", len(raw)) if len(raw) < 256 else b"T" + struct.pack("<i", len(raw))) + raw


def _bytes(raw: bytes) -> bytes:
    return b"T" + struct.pack("<i", len(raw)) + raw


def _integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def _array(array: NDArray[np.uint8]) -> bytes:
    """An array of bytes as NumPy 1 and Python 2 pickled it."""
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + _text("b") + b"tR"
    dtype = (
        b"cnumpy\ndtype\n(" + _text("u1") + b"K\x00K\x01tR(K\x03" + _text("|") + b"NNN" + _integer(-1) * 2 + b"K\x00tb"
    )
    shape = b"(" + b"".join(map(_integer, array.shape)) + b"t"
    return made + b"(K\x01" + shape + dtype + b"I00\n" + _bytes(array.tobytes()) + b"tb"


def write_cifar_batch(path: Path, pixels: NDArray[np.uint8], **labels: Sequence[int]) -> None:
    """Write a batch of CIFAR as its authors did, in Python 2's pickle protocol 2."""
    items = _text("data") + _array(pixels) + _text("batch_label") + _text("a batch")
    for key, values in labels.items():
        items += _text(key) + b"](" + b"".join(map(_integer, values)) + b"e"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x80\x02}(" + items + b"u.")


def write_cifar10(root: Path, per_batch: int = 20) -> None:
    """Write the five training batches and the test batch."""
    random = np.random.RandomState(0)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        pixels = random.randint(0, 256, (per_batch, 3072)).astype(np.uint8)
        write_cifar_batch(root / "cifar-10-batches-py" / name, pixels, labels=list(np.arange(per_batch) % 10))


def write_cifar100(root: Path) -> None:
    """Write the training and the test file, with both kinds of labels."""
    random = np.random.RandomState(1)
    for name, count in (("train", 200), ("test", 100)):
        pixels = random.randint(0, 256, (count, 3072)).astype(np.uint8)
        fine = list(np.arange(count) % 100)
        coarse = [label // 5 for label in fine]
        write_cifar_batch(root / "cifar-100-python" / name, pixels, coarse_labels=coarse, fine_labels=fine)


def write_spoken(path: Path, count: int, classes: int, seed: int) -> None:
    """Write an HDF5 file of SHD or SSC: times are float16 seconds, units uint16, both of variable length."""
    import h5py

    random = np.random.RandomState(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        times = file.create_dataset("spikes/times", (count,), dtype=h5py.vlen_dtype(np.float16))
        units = file.create_dataset("spikes/units", (count,), dtype=h5py.vlen_dtype(np.uint16))
        for index in range(count):
            spikes = random.randint(0, 400)
            times[index] = np.sort(random.random_sample(spikes) * 1.3).astype(np.float16)
            units[index] = random.randint(0, 700, spikes).astype(np.uint16)
        file["labels"] = (np.arange(count) % classes).astype(np.uint16)
        file["extra/speaker"] = (np.arange(count) % 12).astype(np.uint16)
        file["extra/keys"] = np.array([f"word {number}" for number in range(classes)], dtype="S")


def write_aedat2(path: Path, addresses: NDArray[np.integer], microseconds: NDArray[np.integer]) -> None:
    """Write jAER's AEDAT 2.0: lines of text, then big-endian pairs of address and time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = b"#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n# created Tue Jul 05 2016\r\n"
    path.write_bytes(header + np.stack([addresses, microseconds], axis=1).astype(">u4").tobytes())


def write_cifar10dvs(root: Path, per_class: int) -> None:
    """Write so many recordings of each class."""
    random = np.random.RandomState(2)
    for name in CLASSES:
        for number in range(per_class):
            events = random.randint(30, 200)
            addresses = random.randint(0, 2**15, events)
            times = np.sort(random.randint(0, 1_300_000, events))
            write_aedat2(root / "CIFAR10DVS" / name / f"cifar10_{name}_{number}.aedat", addresses, times)


def write_gestures(root: Path, train: Sequence[str], test: Sequence[str]) -> None:
    """Write eleven gestures for each person and light, as tonic cuts them: columns x, y, polarity, milliseconds."""
    random = np.random.RandomState(3)
    for part, people in (("ibmGestureTrain", train), ("ibmGestureTest", test)):
        for person in people:
            folder = root / "DVSGesture" / part / person
            folder.mkdir(parents=True)
            for gesture in range(11):
                events = random.randint(40, 300)
                places = random.randint(0, (128, 128, 2), (events, 3))
                times = np.sort(random.randint(0, 6_000, events))
                np.save(folder / f"{gesture}.npy", np.column_stack([places, times]).astype(np.float64))


def write_wave(path: Path, samples: NDArray[np.integer], rate: int = 8_000) -> None:
    """Write a mono WAV file of 16 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(np.rint(samples).astype("<i2").tobytes())


def write_fsdd(root: Path, takes: int) -> None:
    """Write tones of which pitch and glide tell the digit, and the voice the speaker."""
    random = np.random.RandomState(4)
    for digit in range(10):
        for voice, speaker in enumerate(SPEAKERS):
            for take in range(takes):
                t = np.arange(random.randint(400, 1_500)) / 8_000
                phase = 2 * np.pi * (200 + 150 * digit + 20 * voice + 400 * t) * t
                loud = 8_000 * np.sin(phase) * np.hanning(len(t)) + random.randint(-50, 51, len(t))
                write_wave(root / "fsdd" / "recordings" / f"{digit}_{speaker}_{take}.wav", loud)
