"""What cannot be submitted is refused, every reason at once; what can be is a folder in which everything holds."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from command import spikeboard
from submitted import changed, checked, failing, some

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.errors import UserError
from harness.results.record import Record
from harness.results.store import Store
from harness.submissions import making
from harness.submissions.manifest import Manifest
from harness.submissions.repository import changed_since, knows_commit, project_branch, uncommitted

REGISTRY = load_registry()


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not committed in the checkout of whoever runs the tests is not what they ask about."""
    monkeypatch.setattr(making, "uncommitted", lambda *_: [])
    monkeypatch.setattr(making, "project_branch", lambda *_: None)


def everything(_: Cell) -> bool:
    return True


def nothing(_: Cell) -> bool:
    return False


def make(records: Sequence[Record], target: Path, wanted: Any = everything) -> making.Made:
    return making.make(records, wanted, REGISTRY, target)


def refused(records: Sequence[Record], target: Path, wanted: Any = everything) -> str:
    with pytest.raises(UserError, match="cannot be submitted") as found:
        make(records, target, wanted)
    assert not target.exists()
    return str(found.value)


def of(suite: str, **fields: Any) -> list[Record]:
    """Return all records, those of `suite` with other fields of their provenance."""
    return [
        changed(one, lambda data: data["provenance"].update(fields)) if one.cell.suite == suite else one
        for one in some()
    ]


def test_what_can_be_submitted_holds(tmp_path: Path) -> None:
    made = make(some(), tmp_path / "made")
    assert made.records == len(some())
    report = checked(tmp_path / "made")
    assert failing(report) == set()
    assert "spikeboard verify-submission made" in (tmp_path / "made" / "README.md").read_text(encoding="utf-8")


def test_the_gate_goes_with_what_stands_behind_it(tmp_path: Path) -> None:
    def wanted(cell: Cell) -> bool:
        return cell.suite == "spikes"

    make(some(), tmp_path / "made", wanted)
    suites = [one.cell.suite for one in Store(tmp_path / "made" / "records").read().records]
    assert {*suites} == {"spikes", "conformance"}


def test_nothing_is_no_submission(tmp_path: Path) -> None:
    assert "no records: of what was asked for nothing has been measured" in refused((), tmp_path / "made")
    assert "no records" in refused(some(), tmp_path / "made", nothing)


def test_records_of_older_code_are_refused(tmp_path: Path) -> None:
    said = refused(of("spikes", code_hash="0" * 64, inputs={"neuron": "0" * 12}), tmp_path / "made")
    assert "stale records (another " in said
    assert "neuron" in said
    assert "(spikes, digits, lif+bptt+mlp+eager+s0)" in said


def test_records_with_uncommitted_changes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "uncommitted changes while it was measured: cell" in refused(of("memory", dirty=True), tmp_path / "made")
    monkeypatch.setattr(making, "uncommitted", lambda *_: ["harness/x.py"])
    assert "uncommitted changes: harness/x.py; commit them" in refused(some(), tmp_path / "made")


def test_a_broken_contract_is_refused_and_so_is_none(tmp_path: Path) -> None:
    def broken(data: dict[str, Any]) -> None:
        data["details"]["checks"][0]["passed"] = False
        data["metrics"]["failed_checks"]["value"] = 1.0
        data["metrics"]["passed_checks"]["value"] -= 1

    failed = [changed(one, broken) if one.cell.suite == "conformance" else one for one in some()]
    assert "failed conformance: cell" in refused(failed, tmp_path / "made")
    without = [one for one in some() if one.cell.suite != "conformance"]
    said = refused(without, tmp_path / "made")
    assert "no passed conformance of its neuron and training method beside it: cell" in said
    assert "spikeboard run --suite conformance --neuron lif" in said


def test_every_reason_is_named_at_once(tmp_path: Path) -> None:
    records = [*of("spikes", dirty=True, code_hash="0" * 64, inputs={})]
    said = refused([one for one in records if one.cell.suite != "conformance"], tmp_path / "made")
    assert all(reason in said for reason in ("uncommitted changes while", "stale records", "no passed conformance"))


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "mine").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        make(some(), tmp_path / "made")
    with pytest.raises(UserError, match="is a file"):
        make(some(), tmp_path / "made" / "mine")
    assert (tmp_path / "made" / "mine").read_text() == "mine"


def test_git_says_what_is_new_changed_and_not_committed(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *words], check=True, capture_output=True)

    git("init", "-b", "main")
    (tmp_path / "a.py").write_text("1")
    git("add", ".")
    git("commit", "-m", "one")
    git("update-ref", "refs/remotes/origin/main", "HEAD")
    (tmp_path / "ä.py").write_text("2")
    git("add", ".")
    git("commit", "-m", "two")
    base = project_branch(tmp_path)
    assert base is not None
    assert changed_since(tmp_path, base) == {"ä.py"}
    assert project_branch(tmp_path, "no-such-branch") is None
    assert knows_commit(tmp_path, base) is True
    assert knows_commit(tmp_path, "0" * 40) is False
    assert uncommitted(tmp_path, ".") == []
    (tmp_path / "a.py").write_text("3")
    (tmp_path / "new.py").write_text("4")
    assert uncommitted(tmp_path, ".") == ["a.py", "new.py"]


def test_the_commands(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for record in some():
        store.write(record)
    said = spikeboard(tmp_path, "submit", "--store", "store", "--neuron", "lif", "--suite", "memory", "--to", "made")
    assert "made: " in said
    assert "verify-submission made" in said
    said = spikeboard(tmp_path, "verify-submission", "made")
    assert "0 do not hold" in said
    assert "exact figures" in said
    markdown = spikeboard(tmp_path, "verify-submission", "made", "--format", "md", "--mark")
    assert "| check | verdict | |" in markdown
    assert (tmp_path / "made.json").is_file()
    (tmp_path / "made" / "README.md").write_text("other")
    said = spikeboard(tmp_path, "verify-submission", "made", code=1)
    assert "README.md is not the file that is listed" in said
    assert "digests" in said
    assert "unknown format 'xml'" in spikeboard(tmp_path, "verify-submission", "made", "--format", "xml", code=2)
    said = spikeboard(tmp_path, "submit", "--store", "store", "--task", "digits-events", "--to", "none", code=2)
    assert "no records" in said


def test_the_manifest_is_of_its_schema(tmp_path: Path) -> None:
    make(some(), tmp_path / "made")
    text = (tmp_path / "made" / "manifest.json").read_bytes()
    assert Manifest.model_validate_json(text, strict=True).records == len(some())
