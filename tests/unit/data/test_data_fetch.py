"""Archives are fetched whole or not at all, compared with their digest, and put where a reader looks."""

from __future__ import annotations

import functools
import hashlib
import http.server
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import layouts
import pytest

from harness.data import DATA_SETS, heidelberg
from harness.data.archives import Archive
from harness.data.base import DataFile, DataSet
from harness.data.cifar import CIFAR10
from harness.errors import UserError


def silent(fraction: float, note: str) -> None: ...


def unpacking(write: Callable[[Path], None]) -> Callable[[Archive, Path], None]:
    """An archive that holds what `write` makes below the data root, moved to where it is unpacked."""

    def unpack(archive: Archive, folder: Path) -> None:
        scratch = folder / "scratch"
        scratch.mkdir(parents=True)
        write(scratch)
        for path in list(scratch.iterdir()):
            path.rename(folder / path.name)
        scratch.rmdir()

    return unpack


def test_right_archive_is_put_in_place(tmp_path: Path) -> None:
    layouts.write_cifar10(tmp_path / "made")
    known = replace(
        CIFAR10,
        unpack=unpacking(layouts.write_cifar10),
        files=tuple(
            DataFile(
                file.name,
                "",
                hashlib.md5((tmp_path / "made/cifar-10-batches-py" / file.name).read_bytes()).hexdigest(),
                0,
            )
            for file in CIFAR10.files
        ),
    )
    notes: list[float] = []
    presence = known.fetch(tmp_path / "root", lambda fraction, _: notes.append(fraction))
    assert presence.where == tmp_path / "root/cifar-10-batches-py"
    assert notes == sorted(notes)
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["cifar-10-batches-py"]


@pytest.mark.parametrize("name", ["fashion-mnist", "cifar10", "cifar100", "dvsgesture", "shd", "ssc"])
def test_wrong_or_failed_download_leaves_nothing(name: str, tmp_path: Path) -> None:
    def unreachable(archive: Archive, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "half").write_bytes(b"x")
        raise OSError("Name or service not known")

    for unpack, why in ((unreachable, "Name or service"), (lambda *_: None, f"data set '{name}' is not in")):
        known: DataSet = replace(DATA_SETS[name], unpack=unpack)  # type: ignore[type-var]
        with pytest.raises(UserError, match=why):
            known.fetch(tmp_path, silent)
        assert not list(tmp_path.iterdir())


def test_download_does_not_touch_an_incomplete_folder(tmp_path: Path) -> None:
    (tmp_path / "SHD").mkdir()
    with pytest.raises(UserError, match="SHD is there but incomplete; remove or rename it"):
        heidelberg.SHD.fetch(tmp_path, silent)


@pytest.mark.parametrize("name", ["cifar10dvs", "fsdd"])
def test_what_cannot_be_fetched_says_how_to_get_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"'{name}' cannot be fetched") as caught:
        DATA_SETS[name].fetch(tmp_path, silent)
    assert "http" in caught.value.hint


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address of a server on this machine that gives its files."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None: ...


def test_archives_are_downloaded_unpacked_and_compared_with_their_digest(
    served: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder, url = served
    archives = []
    for seed, part in enumerate(("train", "test")):
        layouts.write_spoken(tmp_path / f"shd_{part}.h5", 10, 20, seed)
        zipped = folder / f"shd_{part}.h5.zip"
        with zipfile.ZipFile(zipped, "w") as file:
            file.write(tmp_path / f"shd_{part}.h5", f"shd_{part}.h5")
        md5 = hashlib.md5(zipped.read_bytes()).hexdigest()
        archives.append(Archive(f"{url}/{zipped.name}", zipped.name, md5, "SHD"))
    known = replace(heidelberg.SHD, counts={"train": 10, "test": 10}, archives=tuple(archives))
    known.fetch(tmp_path / "root", silent)
    assert sorted(path.name for path in (tmp_path / "root/SHD").iterdir()) == ["shd_test.h5", "shd_train.h5"]
    shutil.rmtree(tmp_path / "root")
    altered = replace(known, archives=(replace(archives[0], md5="0" * 32),))
    with pytest.raises(UserError, match=r"'shd' could not be fetched: .*corrupted"):
        altered.fetch(tmp_path / "root", silent)
    assert not list((tmp_path / "root").iterdir())
