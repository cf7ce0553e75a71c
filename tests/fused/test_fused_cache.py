"""What is executed is what was printed: altered files, links and folders of others are not used."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from reference_impls.backends import UnsupportedError
from reference_impls.backends.fused import cache
from reference_impls.backends.fused.cache import CACHE_VARIABLE, kept_source

TEXT = "x = 1\n"


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The two folders of a user who has set none: at home, and below the one for temporary files."""
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return home / ".cache/spikeboard/kernels", temporary / f"spikeboard-{os.getuid()}" / "kernels"


def test_a_folder_of_kernels_is_its_users_alone(folders: tuple[Path, Path]) -> None:
    previous = os.umask(0)
    try:
        path = kept_source(TEXT, ".py")
    finally:
        os.umask(previous)
    assert path.parent == folders[0]
    assert path.read_text() == TEXT
    for place in (path.parent, path.parent / "__pycache__"):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir() if one.is_file()] == [path.name]


@pytest.mark.parametrize("altered", ["x = 2\n", "", TEXT + "import os\n"])
def test_an_altered_file_is_written_anew(folders: tuple[Path, Path], altered: str) -> None:
    path = kept_source(TEXT, ".py")
    path.write_text(altered)
    assert kept_source(TEXT, ".py") == path
    assert path.read_text() == TEXT


def test_a_link_in_the_place_of_a_file_is_replaced(folders: tuple[Path, Path], tmp_path: Path) -> None:
    path = kept_source(TEXT, ".py")
    target = tmp_path / "elsewhere.py"
    target.write_text(TEXT)
    path.unlink()
    path.symlink_to(target)
    assert not kept_source(TEXT, ".py").is_symlink()
    assert target.read_text() == TEXT


def test_a_file_of_somebody_else_is_replaced(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = kept_source(TEXT, ".py")
    inode = path.stat().st_ino
    ours = cache._is_ours
    monkeypatch.setattr(cache, "_is_ours", lambda state: state.st_ino != inode and ours(state))
    kept_source(TEXT, ".py")
    assert path.stat().st_ino != inode


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o720])
@pytest.mark.parametrize("place", ["", "__pycache__"])
def test_a_folder_that_others_can_write_to_is_not_used(folders: tuple[Path, Path], mode: int, place: str) -> None:
    planted = kept_source(TEXT, ".py")
    (folders[0] / place).chmod(mode)
    used = kept_source(TEXT, ".py")
    assert used != planted
    assert used.parent == folders[1]
    (folders[1] / place).chmod(mode)
    with pytest.raises(UnsupportedError, match="others can write to it"):
        kept_source(TEXT, ".py")


def test_a_folder_of_somebody_else_is_not_used(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    kept_source(TEXT, ".py")
    inode = folders[0].stat().st_ino
    ours = cache._is_ours
    monkeypatch.setattr(cache, "_is_ours", lambda state: state.st_ino != inode and ours(state))
    assert kept_source(TEXT, ".py").parent == folders[1]


def test_a_link_of_somebody_else_to_a_folder_of_ours_is_not_used(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "ours"
    target.mkdir(mode=0o700)
    folders[0].parent.mkdir(parents=True)
    folders[0].symlink_to(target)
    assert kept_source(TEXT, ".py").parent == folders[0], "a link of one's own is one's own affair"
    inode = folders[0].lstat().st_ino
    ours = cache._is_ours
    monkeypatch.setattr(cache, "_is_ours", lambda state: state.st_ino != inode and ours(state))
    assert kept_source(TEXT, ".py").parent == folders[1]


def test_a_folder_that_was_given_is_the_only_one(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = tmp_path / "given"
    given.mkdir(mode=0o755)
    monkeypatch.setenv(CACHE_VARIABLE, str(given))
    assert kept_source(TEXT, ".py").parent == given
    given.chmod(0o777)
    with pytest.raises(UnsupportedError, match=CACHE_VARIABLE):
        kept_source(TEXT, ".py")
    assert stat.S_IMODE(given.stat().st_mode) == 0o777, "a user's folder is not changed"
