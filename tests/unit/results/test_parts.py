"""What is kept between processes is what following the code finds, and of these very sources only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.results import parts
from harness.results.definitions import Code

ROOT = ("reference_impls.neurons.lif", None, frozenset[str]())


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file in which the installed tree's parts are kept, after one was found."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = fresh()
    store = parts._Kept()
    store.add(ROOT, found)
    store.write()
    (file,) = tmp_path.rglob("*.json")
    return file


def fresh() -> parts.Part:
    """Follow the code, as a process does that finds nothing kept."""
    code = Code(dict.fromkeys(parts.PACKAGES, parts.INSTALLED), parts._is_lookup, parts.MOVED)
    return parts.Tree(Path("elsewhere"), code).part(*ROOT)


def test_what_is_kept_is_what_was_found(kept: Path) -> None:
    assert kept.is_file()
    assert parts._Kept().parts == {ROOT: fresh()}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"of": 1}', None])
def test_other_sources_and_broken_files_are_made_anew(kept: Path, content: str | None) -> None:
    of_others = json.dumps(json.loads(kept.read_text()) | {"of": "other sources"})
    kept.write_text(of_others if content is None else content)
    assert parts._Kept().parts == {}


def test_nothing_is_kept_of_sources_that_changed_meanwhile(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = parts._Kept()
    kept.unlink()
    monkeypatch.setattr(parts, "_sources", lambda: "changed")
    store.write()
    assert not kept.exists()
