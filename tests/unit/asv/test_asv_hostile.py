"""What a stranger's record can do to asv's tree: nothing outside it, and nothing to what is there already."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

pytest.importorskip("asv")

from history import Repository, cell, figure, make_repository, measured_at
from synthetic import LAPTOP, registry

from harness.asv import export as export_module
from harness.asv.commits import commit_dates
from harness.asv.export import export
from harness.asv.points import points_of
from harness.results.record import Machine, Record

NAMES = [
    "../../../../X",
    "/abs/X",
    "X\0Y",
    ".",
    "..",
    "",
    "a" * 5000,
    "CON",
    "a/b",
    "..\\..\\X",
    "\x1b]0;X\x07",
    "实验室甲",
    "машина",
    "nvidia h200",
    "~root",
    "$(touch X)",
]
STEP = figure("throughput", "train_step_seconds", 2e-3)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return make_repository(tmp_path / "far" / "below" / "the" / "top" / "clone", 2)


def exported(repository: Repository, records: list[Record]) -> list[Path]:
    """Export `records` and return every file that is in the tree now."""
    results = repository.root / "results"
    dates = commit_dates(repository.root)
    export(points_of(records, registry(), dates), results, registry(), dates)
    return sorted(path for path in results.rglob("*") if path.is_file())


def on(repository: Repository, machine: Machine, **origin: object) -> Record:
    return measured_at(repository.commits[-1], cell("throughput", "lif"), STEP, machine=machine, **origin)


@pytest.mark.parametrize("name", NAMES)
def test_a_machines_name_makes_a_folder_of_the_tree(repository: Repository, tmp_path: Path, name: str) -> None:
    before = {path for path in tmp_path.rglob("*") if "clone" not in path.parts}
    files = exported(repository, [on(repository, LAPTOP.model_copy(update={"name": name}))])
    assert {path for path in tmp_path.rglob("*") if "clone" not in path.parts} == before
    assert not Path("/abs").exists()
    folders = {path.relative_to(repository.root / "results").parts[0] for path in files if path.name == "machine.json"}
    assert len(folders) == 1
    assert json.loads(next(path for path in files if path.name == "machine.json").read_text())["machine"] in folders


def test_names_that_differ_have_folders_that_differ(repository: Repository) -> None:
    records = [on(repository, LAPTOP.model_copy(update={"name": name})) for name in NAMES]
    files = exported(repository, records)
    assert sum(path.name == "machine.json" for path in files) == len(NAMES)


@pytest.mark.parametrize("version", ["../../X", "2.13.0/../../../X", "\0", "", "9" * 200])
def test_a_version_that_is_none_is_no_point(repository: Repository, version: str) -> None:
    machine = LAPTOP.model_copy(update={"python": version})
    record = on(repository, LAPTOP, packages={"torch": version, "numpy": "2.4.6"})
    for hostile in (record, on(repository, machine)):
        points = points_of([hostile], registry(), commit_dates(repository.root))
        assert not points.values
        assert dict(points.left_out) == {"of a version that is none": 1}


@pytest.mark.parametrize("field", ["cpu", "gpu", "os"])
def test_what_a_machine_says_of_itself_stays_text(repository: Repository, field: str) -> None:
    hostile = LAPTOP.model_copy(update={field: "../../../X\0\x1b]52;c;aGk=\x07" + "x" * 5000})
    files = exported(repository, [on(repository, hostile)])
    described = json.loads(next(path for path in files if path.name == "machine.json").read_text())
    assert all(str(text).isprintable() and len(str(text)) <= 100 for text in described.values())


def test_what_an_export_cannot_write_loses_nothing(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    files = exported(repository, [on(repository, LAPTOP)])
    before = {path: path.read_bytes() for path in files}

    def fail(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(export_module, "_add_benchmarks", fail)
    with pytest.raises(OSError, match="No space"):
        exported(repository, [on(repository, LAPTOP.model_copy(update={"name": "another"}))])
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(path.name for path in repository.root.iterdir()) == [".git", "asv.conf.json", "results"]


def test_an_export_replaces_what_an_earlier_one_wrote(repository: Repository) -> None:
    first = exported(repository, [on(repository, LAPTOP)])
    assert exported(repository, [on(repository, LAPTOP)]) == first, "its own earlier figures are none of asv's"
    other = exported(repository, [on(repository, LAPTOP.model_copy(update={"name": "another"}))])
    assert not [path for path in other if "records-py" in path.name and path.parent.name == LAPTOP.name]


def test_a_figure_that_is_no_number_is_a_gap(repository: Repository) -> None:
    broken = figure("throughput", "train_step_seconds", math.nan)
    record = measured_at(repository.commits[-1], cell("throughput", "lif"), broken)
    points = points_of([record], registry(), commit_dates(repository.root))
    assert list(points.values.values()) == [None]
