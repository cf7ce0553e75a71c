"""Records get the fingerprint of their own commit where it can be proved, and are left alone where it cannot."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from checkouts import copy_packages
from synthetic import older, record
from typer.testing import CliRunner

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.cli import app
from harness.results.fingerprint import RULED_BY, fingerprint
from harness.results.freshness import Today
from harness.results.migration import migrate, restated
from harness.results.packing import publish
from harness.results.record import Record
from harness.results.store import Store
from reference_impls.requirements import installed_version

REGISTRY = load_registry()
LIF = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick")
PSN = replace(LIF, neuron="psn")
INSTALLED = {name: f"{installed_version(name)}+cpu" for name in RULED_BY}


@dataclass(frozen=True)
class History:
    """Two commits: at the first LIF computed something else, and PSN's card had other keys; the second is today's."""

    first: str
    second: str


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, History]:
    folder = copy_packages(tmp_path_factory.mktemp("repository"))
    git(folder, "init", "-q", "-b", "main")
    path = folder / "reference_impls/neurons/lif.py"
    today = path.read_text()
    path.write_text(today.replace("s = self.fire(h)", "s = self.fire(h) * 1.0"))
    foreign = folder / "reference_impls/neurons/psn.py"
    psn = foreign.read_text()
    foreign.write_text(
        psn.replace('    "version": ', '    "reported": [{"odd": 1}],\n    "key of its time": 1,\n    "version": ', 1)
    )
    first = commit(folder)
    path.write_text(today)
    foreign.write_text(psn)
    return folder, History(first, commit(folder))


@pytest.fixture
def commits(history: tuple[Path, History], monkeypatch: pytest.MonkeyPatch) -> History:
    monkeypatch.chdir(history[0])
    return history[1]


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "sources")
    return git(folder, "rev-parse", "HEAD")


def before(cell: Cell, commit: str | None, **changes: Any) -> Record:
    """Return a record from before inputs were named, measured at `commit`."""
    made = older(
        record(cell, changes.pop("status", "ok"), started_at=changes.pop("started_at", "2026-01-01T00:00:00+00:00"))
    )
    update = {"commit": commit, "dirty": None if commit is None else False, "packages": INSTALLED, **changes}
    return made.model_copy(update={"provenance": made.provenance.model_copy(update=update)})


def test_what_its_commit_had_the_same_is_current_again(commits: History) -> None:
    (item,) = restated([before(PSN, commits.first)], REGISTRY)
    assert item.finding == "current"
    assert item.after is not None
    assert item.after.provenance.code_hash == fingerprint(PSN, REGISTRY).code_hash
    assert item.after.metrics == item.before.metrics


def test_what_has_changed_since_is_stale_and_says_what(commits: History) -> None:
    (item,) = restated([before(LIF, commits.first)], REGISTRY)
    assert item.finding == "older"
    assert item.after is not None
    assert Today(REGISTRY).of_record(item.after).changed == ("neuron",)


def test_versions_are_those_that_the_record_names(commits: History) -> None:
    (item,) = restated([before(PSN, commits.second, packages={**INSTALLED, "torch": "2.9.0"})], REGISTRY)
    assert item.after is not None
    assert Today(REGISTRY).of_record(item.after).changed == ("packages",)


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"commit": None}, "no commit"),
        ({"dirty": True}, "uncommitted changes"),
        ({"dirty": None}, "uncommitted changes"),
        ({"commit": "0" * 40}, "commit not here"),
        ({"inputs": {"neuron": "0"}, "dirty": True}, "uncommitted changes"),
        ({"status": "unsupported"}, "no figure"),
    ],
)
def test_where_nothing_can_be_proved_a_record_is_left_as_it_is(
    commits: History, changes: dict[str, Any], finding: str
) -> None:
    (item,) = restated([before(PSN, changes.pop("commit", commits.second), **changes)], REGISTRY)
    assert item.after is None
    assert item.finding == finding


def test_inputs_that_were_named_in_another_way_are_named_in_todays(commits: History) -> None:
    (item,) = restated([before(PSN, commits.first, inputs={"neuron": "0"})], REGISTRY)
    assert item.finding == "current"
    assert item.after is not None
    assert item.after.provenance.inputs == dict(fingerprint(PSN, REGISTRY).inputs)


@pytest.mark.parametrize(("cell", "named_by"), [(PSN, "second"), (LIF, "first")])
def test_inputs_that_were_named_in_todays_way_stay(commits: History, cell: Cell, named_by: str) -> None:
    (once,) = restated([before(cell, getattr(commits, named_by))], REGISTRY)
    assert once.after is not None
    (again,) = restated([once.after], REGISTRY)
    assert (again.after, again.finding) == (None, "had its inputs")


def test_targets_are_those_of_the_commit(commits: History) -> None:
    timed = replace(LIF, suite="time_to_target", threads=2)
    assert "budget" in fingerprint(timed, REGISTRY).inputs
    (item,) = restated([before(timed, commits.second)], REGISTRY)
    assert item.finding == "current"


@pytest.mark.parametrize("name", ["--output={}", "-o{}", "--remote={}", "HEAD --output={}", "--exec=touch {}"])
def test_what_a_record_calls_its_commit_is_no_option_of_git(commits: History, tmp_path: Path, name: str) -> None:
    """``git archive --output=FILE`` writes any file."""
    target = tmp_path / "written"
    (item,) = restated([before(PSN, name.format(target))], REGISTRY)
    assert item.finding == "commit not here"
    assert not target.exists()


def test_a_row_that_the_commit_did_not_have_is_left_alone(commits: History) -> None:
    (item,) = restated([before(replace(PSN, neuron="unheard-of"), commits.second)], REGISTRY)
    assert item.finding == "row unknown"


def test_a_store_is_rewritten_and_loses_nothing(commits: History, tmp_path: Path) -> None:
    store = Store(tmp_path)
    early = before(PSN, commits.first)
    late = before(PSN, commits.second, started_at="2026-02-01T00:00:00+00:00", code_hash="ab" * 32)
    kept = before(LIF, None)
    for one in (early, late, kept):
        store.write(one)
    assert migrate(store, REGISTRY) == {"current": 2, "no commit": 1}
    after = store.read().records
    assert len(after) == 3
    today = fingerprint(PSN, REGISTRY).code_hash
    (current,) = [one for one in after if one.provenance.code_hash == today]
    assert current.provenance.started_at == "2026-02-01T00:00:00+00:00"
    assert early in after
    assert kept in after
    assert migrate(store, REGISTRY)["had its inputs"] == 1


def test_what_is_published_and_packed_is_rewritten_in_place(commits: History, tmp_path: Path) -> None:
    store = Store(tmp_path)
    given = [before(PSN, commits.first), before(replace(PSN, seed=1), None), before(LIF, commits.first)]
    publish(given, store, Today(REGISTRY))
    files = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert migrate(store, REGISTRY) == {"current": 1, "older": 1, "no commit": 1}
    assert {path.name for path in tmp_path.rglob("*.jsonl")} == {name for name in files if name.endswith("l")}
    after = {one.cell: one for one in store.read().records}
    assert store.read().problems == ()
    assert Today(REGISTRY).is_current(after[PSN])
    assert Today(REGISTRY).of_record(after[LIF]).changed == ("neuron",)
    assert after[replace(PSN, seed=1)] == given[1]


def test_the_command_says_what_became_of_them(commits: History, tmp_path: Path) -> None:
    store = Store(tmp_path)
    for one in (before(PSN, commits.first), before(LIF, commits.first), before(PSN, None, code_hash="ab" * 32)):
        store.write(one)
    said = CliRunner().invoke(app, ["migrate", "--store", str(tmp_path)])
    assert said.exit_code == 0, said.output
    for line in ("3 records", "fingerprint of its commit: current", "fingerprint of its commit: older", "no commit"):
        assert line in said.output
    inputs = [json.loads(path.read_text())["provenance"]["inputs"] for path in tmp_path.rglob("*.json")]
    assert sum(item is not None for item in inputs) == 2
