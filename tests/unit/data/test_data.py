from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness import data
from harness.data.digits import DIGITS, read_digits
from harness.data.environments import Simulator
from harness.errors import UserError
from reference_impls.names import UnknownNameError


def silent(fraction: float, note: str) -> None:
    assert 0 <= fraction <= 1
    assert note


def test_root_is_explicit_then_variable_then_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPIKEBOARD_DATA", str(tmp_path / "variable"))
    assert data.data_root(tmp_path / "explicit") == tmp_path / "explicit"
    assert data.data_root() == tmp_path / "variable"
    monkeypatch.delenv("SPIKEBOARD_DATA")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data.data_root() == tmp_path / ".cache" / "spikeboard" / "data"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # would be another folder for each cell
    assert data.data_root() == tmp_path / ".cache" / "spikeboard" / "data"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert data.data_root() == tmp_path / "xdg" / "spikeboard" / "data"


def test_every_set_says_whether_it_is_there_without_files(tmp_path: Path) -> None:
    presences = {presence.name: presence for presence in data.presences(tmp_path / "nowhere")}
    assert list(presences) == list(data.DATA_SETS)
    for name, presence in presences.items():
        if not isinstance(data.DATA_SETS[name], Simulator):  # which is there where its packages are
            assert presence.present == data.DATA_SETS[name].embedded
        assert presence.present == (not presence.missing)


@pytest.mark.parametrize("name", ["mnist", "nmnist", "nmnist-1100"])
def test_missing_set_says_how_to_get_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        data.DATA_SETS[name].require(tmp_path)
    message = str(caught.value)
    assert f"data set {name!r} is not in {tmp_path}" in message
    assert "spikeboard data fetch" in message
    assert "--data-root or SPIKEBOARD_DATA" in message


def test_misspelt_set_suggests_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'mnist'"):
        data.fetch("minst", tmp_path, silent)


def test_verify_names_every_present_set(tmp_path: Path) -> None:
    found = data.verify(tmp_path)
    simulators = {name for name, known in data.DATA_SETS.items() if isinstance(known, Simulator)}
    assert [name for name in found if name not in simulators] == [
        name for name, known in data.DATA_SETS.items() if known.embedded
    ]
    assert all(verdict.intact for verdicts in found.values() for verdict in verdicts)
    with pytest.raises(UserError, match="'mnist' is not in"):
        data.verify(tmp_path, "mnist")


def test_fetching_what_cannot_be_fetched_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'nmnist-1100' cannot be fetched") as caught:
        data.fetch("nmnist-1100", tmp_path, silent)
    assert "copy Train/<digit>/00001.bin" in caught.value.hint


def test_fetching_an_unwritable_root_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"'mnist' could not be fetched: .*file"):
        data.fetch("mnist", tmp_path / "file" / "root", silent)


def test_digits_equal_those_that_scikit_learn_gives() -> None:
    from sklearn.datasets import load_digits

    theirs = load_digits()
    images, labels = read_digits()
    np.testing.assert_array_equal(images, theirs.images)
    np.testing.assert_array_equal(labels, theirs.target)


def test_altered_digits_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = DIGITS.require(tmp_path)
    altered = tmp_path / "digits.csv.gz"
    altered.write_bytes(gzip.compress(gzip.decompress(where.read_bytes()).replace(b"0,0,5,13", b"0,0,5,14", 1)))
    monkeypatch.setattr("harness.data.digits._file", lambda: altered)
    (verdict,) = DIGITS.verify(tmp_path)
    assert not verdict.intact
    assert verdict.subject == str(altered)


def test_data_needs_neither_torch_nor_scikit_learn() -> None:
    code = (
        "import sys; from pathlib import Path; from harness import data; from harness.data.digits import read_digits; "
        "data.presences(Path('nowhere')); read_digits(); print({'torch', 'sklearn', 'tonic'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
