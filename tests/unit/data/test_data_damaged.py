"""Every reader on damaged files: the same content, or a `UserError` that names the file; never anything else.

A file is cut, lengthened, or a byte of it is changed, by hypothesis, from a fixed seed.
"""

from __future__ import annotations

import gzip
import wave
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import layouts
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness.data import cifar10dvs, digits, dvsgesture, fsdd, heidelberg, nmnist
from harness.data.cifar import CIFAR10, read_cifar
from harness.data.fashion_mnist import FASHION_MNIST
from harness.data.idx import read_idx, write_idx
from harness.data.mnist import read_images
from harness.errors import UserError

Arrays = Sequence[np.ndarray]

SHD = replace(heidelberg.SHD, counts={"train": 4, "test": 3})


class Format(NamedTuple):
    """A kind of file: how a right one is written below a folder, and how it is read."""

    write: Callable[[Path], Path]
    read: Callable[[Path], Arrays]
    exact: bool = True
    """Whether a file with bytes too many or too few can be told; else its reader says no word of some."""


def write_idx_file(folder: Path) -> Path:
    path = folder / "a-idx2-ubyte"
    write_idx(path, np.arange(60, dtype=np.uint8).reshape(5, 12))
    return path


def write_idx_gz(folder: Path) -> Path:
    path = write_idx_file(folder)
    zipped = path.with_name(f"{path.name}.gz")
    zipped.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    return zipped


def write_cifar(folder: Path) -> Path:
    layouts.write_cifar10(folder, per_batch=2)
    return folder / "cifar-10-batches-py" / "data_batch_2"


def read_cifar_part(path: Path) -> Arrays:
    return read_cifar(CIFAR10, path.parents[1])[0]


def write_aedat(folder: Path) -> Path:
    layouts.write_aedat2(folder / "a.aedat", np.arange(50) * 641 % 2**15, np.arange(50) * 1_000)
    return folder / "a.aedat"


def write_gesture(folder: Path) -> Path:
    places = np.random.RandomState(0).randint(0, (128, 128, 2), (40, 3))
    np.save(folder / "3.npy", np.column_stack([places, np.arange(40) * 7]).astype(np.float64))
    return folder / "3.npy"


def write_sound(folder: Path) -> Path:
    layouts.write_wave(folder / "0_george_0.wav", np.arange(300) % 99 - 49)
    return folder / "0_george_0.wav"


def write_nmnist(folder: Path) -> Path:
    events = [bytes((i % 34, 33 - i % 34)) + ((i % 2) << 23 | i * 311).to_bytes(3, "big") for i in range(60)]
    (folder / "00001.bin").write_bytes(b"".join(events))
    return folder / "00001.bin"


def write_shd(folder: Path) -> Path:
    for seed, (part, count) in enumerate(SHD.counts.items()):
        layouts.write_spoken(folder / "SHD" / f"shd_{part}.h5", count, 20, seed)
    return folder / "SHD" / "shd_train.h5"


def read_shd(path: Path) -> Arrays:
    root = path.parents[1]
    samples = list(heidelberg.read_part(SHD, root, "train"))
    return [heidelberg.read_labels(SHD, root, "train"), *(column for events in samples for column in events)]


FORMATS = {
    "idx": Format(write_idx_file, lambda path: [read_idx(path)]),
    "idx.gz": Format(write_idx_gz, lambda path: [read_idx(path)]),
    "cifar": Format(write_cifar, read_cifar_part),
    "cifar10dvs": Format(write_aedat, cifar10dvs.read_events, exact=False),  # it ends with any event
    "dvsgesture": Format(write_gesture, dvsgesture.read_events, exact=False),  # NumPy reads no further than announced
    "fsdd": Format(write_sound, lambda path: [fsdd.read_wave(path)]),
    "nmnist": Format(write_nmnist, nmnist.read_events, exact=False),
    "shd": Format(write_shd, read_shd, exact=False),  # what follows in an HDF5 file belongs to nothing
}
IN_BOUNDS: dict[str, Callable[[Arrays], bool]] = {
    "cifar": lambda found: found[1].min() >= 0 and found[1].max() < 10,
    "cifar10dvs": lambda found: within(found, 128, 128),
    "dvsgesture": lambda found: within(found, 128, 128),
    "nmnist": lambda found: within(found, 34, 34),
    "shd": lambda found: (
        found[0].max() < 20 and all(within(found[i : i + 4], 1, 700) for i in range(1, len(found), 4) if found[i].size)
    ),
}


def within(found: Arrays, height: int, width: int) -> bool:
    """Whether these are events of such a sensor, in the order of time."""
    t, x, y, p = (np.asarray(column, dtype=np.int64) for column in found)
    inside = all(0 <= column.min() <= column.max() < high for column, high in ((x, width), (y, height), (p, 2)))
    return inside and bool(t.min() >= 0 and np.all(np.diff(t) >= 0)) and len({len(column) for column in found}) == 1


def outcome(known: Format, path: Path) -> Arrays | None:
    """Return what is read, or None if the reader names the file."""
    try:
        return [np.asarray(array) for array in known.read(path)]
    except UserError as error:
        said = error
    assert str(path) in str(said)
    assert said.hint
    return None


def same(one: Arrays, other: Arrays) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))


steady = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(params=FORMATS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Format, Path, bytes, Arrays]:
    known = FORMATS[request.param]
    path = known.write(tmp_path)
    whole = outcome(known, path)
    assert whole is not None
    return request.param, known, path, path.read_bytes(), whole


@steady
@given(share=st.floats(0, 1, exclude_max=True))
@example(share=0.0)
@example(share=0.999999)
def test_a_cut_file_is_named(case: tuple[str, Format, Path, bytes, Arrays], share: float) -> None:
    name, known, path, content, whole = case
    path.write_bytes(content[: int(share * len(content))])
    found = outcome(known, path)
    if found is not None:
        # Raw events may end anywhere: then what is read is the beginning of what was there, and within bounds.
        assert name in ("cifar10dvs", "nmnist")
        assert IN_BOUNDS[name](found)
        assert same(found, [column[: len(found[0])] for column in whole])


@steady
@given(more=st.binary(min_size=1, max_size=64))
@example(more=b"\0")
@example(more=b"\0" * 64)
def test_a_longer_file_is_named_or_read_as_before(case: tuple[str, Format, Path, bytes, Arrays], more: bytes) -> None:
    name, known, path, content, whole = case
    path.write_bytes(content + more)
    found = outcome(known, path)
    if known.exact:
        # Zeros after a gzip file are padding of tapes, which gzip itself ignores.
        assert found is None or (name == "idx.gz" and not more.strip(b"\0") and same(found, whole))
    elif found is not None:
        assert IN_BOUNDS[name](found)
        if name == "cifar10dvs":  # its events are put in order: only their number tells
            assert len(found[0]) == len(whole[0]) + len(more) // 8
            return
        assert same([column[: len(before)] for column, before in zip(found, whole, strict=True)], whole)


changed_byte = given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), head=st.booleans())


@steady
@changed_byte
def test_a_changed_byte_breaks_no_bounds(
    case: tuple[str, Format, Path, bytes, Arrays], place: float, value: int, head: bool
) -> None:
    stays_in_bounds(case, place, value, head)


@pytest.mark.slow
# NumPy complains, where nobody can catch it, when it lets go of an array whose type a pickle has altered.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@settings(steady, max_examples=1000)
@changed_byte
def test_none_of_many_changed_bytes_breaks_bounds(
    case: tuple[str, Format, Path, bytes, Arrays], place: float, value: int, head: bool
) -> None:
    stays_in_bounds(case, place, value, head)


def stays_in_bounds(case: tuple[str, Format, Path, bytes, Arrays], place: float, value: int, head: bool) -> None:
    name, known, path, content, whole = case
    reach = min(len(content), 256) if head else len(content)  # headers are short, and where most can go wrong
    at = int(place * reach)
    path.write_bytes(content[:at] + bytes([value]) + content[at + 1 :])
    found = outcome(known, path)
    if found is None:
        return
    marks_overflow = name == "nmnist" and value == 240  # in the y of an event: the clock's overflow, which is no event
    # Headers may announce another shape; in a WAVE file chunks that nobody need know may follow a shorter sound.
    if not marks_overflow and name not in ("shd", "idx", "dvsgesture", "fsdd"):
        assert [array.shape for array in found] == [array.shape for array in whole]
    assert sum(array.size for array in found) <= sum(array.size for array in whole)
    assert IN_BOUNDS.get(name, lambda _found: True)(found)


def test_a_folder_in_the_place_of_a_file_is_named(case: tuple[str, Format, Path, bytes, Arrays]) -> None:
    _, known, path, _, _ = case
    path.unlink()
    path.mkdir()
    with pytest.raises(UserError, match=path.name):
        known.read(path)


@pytest.mark.parametrize(
    ("times", "units", "why"),
    [
        ([0.1], [-3], "sensor"),
        ([0.1], [700], "sensor"),
        ([0.1], [3.5], "no whole numbers"),
        ([-0.1], [3], "outside 0"),
        ([np.nan], [3], "outside 0"),
        ([np.inf], [3], "outside 0"),
        ([1e9], [3], "outside 0"),
        ([0.2, 0.1], [3, 3], "before the one before"),
        ([0.1, 0.2], [3], "1 units with 2 times"),
    ],
)
def test_impossible_spikes_are_named_by_reader_and_verdict(
    times: list[float], units: list[float], why: str, tmp_path: Path
) -> None:
    one = replace(heidelberg.SHD, counts={"train": 1, "test": 1})
    (tmp_path / "SHD").mkdir()
    for part in one.counts:
        with h5py.File(tmp_path / "SHD" / f"shd_{part}.h5", "w") as file:
            for name, values in (("times", times), ("units", units)):
                whole = name == "units" and all(float(value).is_integer() for value in values)
                dtype = h5py.vlen_dtype(np.int64 if whole else np.float64)
                file.create_dataset(f"spikes/{name}", (1,), dtype=dtype)[0] = np.array(values)
            file["labels"] = np.array([0])
    with pytest.raises(UserError, match=rf"shd_train\.h5: .*sample 0.*{why}"):
        list(heidelberg.read_part(one, tmp_path, "train"))
    assert not any(verdict.intact for verdict in one.verify(tmp_path))


@pytest.mark.parametrize("labels", [[20], [-1], [0.5], [0, 1], [[0]], []])
def test_impossible_words_are_named_by_reader_and_verdict(labels: list[Any], tmp_path: Path) -> None:
    one = replace(heidelberg.SHD, counts={"train": 1, "test": 1})
    for part in one.counts:
        path = tmp_path / "SHD" / f"shd_{part}.h5"
        layouts.write_spoken(path, 1, 20, seed=0)
        with h5py.File(path, "a") as file:
            del file["labels"]
            file["labels"] = np.array(labels)
    with pytest.raises(UserError, match=r"shd_train\.h5"):
        heidelberg.read_labels(one, tmp_path, "train")
    assert not any(verdict.intact for verdict in one.verify(tmp_path))


def test_a_file_of_fewer_samples_is_named(tmp_path: Path) -> None:
    write_shd(tmp_path)
    more = replace(SHD, counts={"train": 5, "test": 3})
    for read in (heidelberg.read_labels, lambda *given: list(heidelberg.read_part(*given))):
        with pytest.raises(UserError, match=r"shd_train\.h5: .*expected 5"):
            read(more, tmp_path, "train")


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (np.array([[1.0, 2.0, 0.0, -1.0]]), "an event at -1,000"),
        (np.array([[1.0, 2.0, 0.0, np.nan]]), "times are no whole numbers"),
        (np.array([[1.0, 2.0, 0.0, np.inf]]), "times are no whole numbers"),
        (np.array([[1.5, 2.0, 0.0, 1.0]]), "places and polarities are no whole numbers"),
        (np.array([[np.nan, 2.0, 0.0, 1.0]]), "places and polarities are no whole numbers"),
        (np.array([[1.0, 128.0, 0.0, 1.0]]), "off the 128 x 128 sensor"),
        (np.array([[1.0, 2.0, 2.0, 1.0]]), "polarity"),
        (np.zeros((0, 4)), "no events"),
        (np.zeros((3, 5)), r"shape \(3, 5\)"),
        (np.array(["a"]), r"shape \(1,\)"),
        (np.array([["a", "b", "c", "d"]]), "no whole numbers"),
        (np.array([[1 + 2j, 0, 0, 0]]), "no whole numbers"),
    ],
)
@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
def test_impossible_gestures_are_named(table: np.ndarray, why: str, tmp_path: Path) -> None:
    np.save(tmp_path / "1.npy", table)
    with pytest.raises(UserError, match=rf"1\.npy: not a recording of DVS128 Gesture: .*{why}"):
        dvsgesture.read_events(tmp_path / "1.npy")


def test_a_camera_that_delivers_late_is_put_in_order(tmp_path: Path) -> None:
    layouts.write_aedat2(tmp_path / "a.aedat", np.array([2, 4, 6]), np.array([30, 10, 20]))
    events = cifar10dvs.read_events(tmp_path / "a.aedat")
    assert events.t.tolist() == [10, 20, 30]
    assert events.y.tolist() == [125, 124, 126]
    np.save(tmp_path / "1.npy", np.array([[1, 0, 0, 30.0], [2, 0, 1, 10.0]]))
    assert dvsgesture.read_events(tmp_path / "1.npy").x.tolist() == [2, 1]


def test_an_address_of_another_camera_is_named(tmp_path: Path) -> None:
    layouts.write_aedat2(tmp_path / "a.aedat", np.array([1 << 15]), np.array([1]))
    with pytest.raises(UserError, match=r"a\.aedat: .*more than 15 bits"):
        cifar10dvs.read_events(tmp_path / "a.aedat")


@pytest.mark.parametrize(
    ("form", "why"),
    [((2, 2, 8_000), "2 channels"), ((1, 1, 8_000), "8 bits"), ((1, 3, 8_000), "24 bits"), ((1, 2, 44_100), "44100")],
)
def test_another_form_of_sound_is_named(form: tuple[int, int, int], why: str, tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((*form, 0, "NONE", ""))
        file.writeframes(bytes(range(240)))
    with pytest.raises(UserError, match=rf"a\.wav: .*{why}"):
        fsdd.read_wave(tmp_path / "a.wav")


def test_a_label_of_no_class_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    for part in ("train", "t10k"):
        write_idx(folder / f"{part}-images-idx3-ubyte", np.zeros((3, 28, 28), dtype=np.uint8))
        write_idx(folder / f"{part}-labels-idx1-ubyte", np.array([0, 9, 10 * (part == "t10k")], dtype=np.uint8))
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte: a label lies outside 0\.\.9"):
        read_images(FASHION_MNIST, tmp_path)


@pytest.mark.parametrize("content", [b"", b"1,2,3\n", b"300\n", b"words\n", b"\xff\xfe"])
def test_altered_digits_are_named_by_reader_and_verdict(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    altered = tmp_path / "digits.csv.gz"
    monkeypatch.setattr("harness.data.digits._file", lambda: altered)
    for stored in (gzip.compress(content), gzip.compress(content)[:-3]):
        altered.write_bytes(stored)
        with pytest.raises(UserError, match=r"digits\.csv\.gz: not the table"):
            digits.read_digits.__wrapped__()
        (verdict,) = digits.DIGITS.verify(tmp_path)
        assert not verdict.intact
