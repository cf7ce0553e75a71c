"""``spikeboard new``: a file that runs as it is, from its first line to a row among the published ones."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkouts import copy_packages
from checkouts import spikeboard as on_copy

from harness.catalogue.loading import CardFile, load_registry, rows_of
from harness.drafts.draft import KINDS, DraftKind, begin
from harness.errors import UserError
from harness.report.placing import PlacedRow, around, sentence
from reference_impls.card_files import read_literal

ROOT = Path(__file__).resolve().parents[3]
REGISTRY = load_registry()
NEXT = {
    "neuron": "preset new --neuron own-neuron --neuron lif",
    "method": "preset new --neuron if --method own-method --method bptt",
    "task": "budget quick --suite accuracy --task own-task --neuron lif",
}


def spikeboard(folder: Path, *arguments: str, code: int = 0) -> str:
    """Run the command as its script does: with another folder than the current one on the path."""
    command = [sys.executable, "-c", "import sys; sys.path.pop(0); from harness.cli import main; main()", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    environment["SPIKEBOARD_MACHINE"] = "of-a-newcomer"  # whose records are not among the published ones
    said = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert said.returncode == code, said.stdout
    return said.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_a_draft_is_a_whole_card_and_explains_itself(kind: DraftKind, tmp_path: Path) -> None:
    draft = begin(kind, f"my-own-{kind}", REGISTRY, tmp_path)
    text = draft.path.read_text()
    literal = read_literal(draft.path)
    rows = rows_of([CardFile(literal["kind"], draft.path, "m", literal)])
    assert not rows.problems
    assert f"class MyOwn{kind.capitalize()}(" in text
    assert "$" not in text
    assert text.count("#") > 10
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("lif", "already"),
        ("lif-no-decay-input", "already"),
        ("digits", "already"),
        ("accuracy", "already"),
        ("mlp", "already"),
        ("MyLIF", "for example my-lif"),
        ("my_lif", "for example my-lif"),
        ("3d-lif", "for example my-lif"),
        ("../escape", "for example escape"),
        ("a" * 200, "at most 48"),
        ("", "cannot be a name"),
        ("lambda", "meaning of its own"),
        ("base", "meaning of its own"),
        ("lif\n", "for example lif"),
    ],
)
def test_what_cannot_be_a_name_is_refused_and_nothing_written(name: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        begin("neuron", name, REGISTRY, tmp_path)
    assert told in " ".join(map(str, (refused.value, refused.value.hint)))
    assert not list(tmp_path.iterdir())


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    path = begin("neuron", "my-own", REGISTRY, tmp_path).path
    path.write_text("mine")
    with pytest.raises(UserError, match="nothing is overwritten"):
        begin("method", "my-own", REGISTRY, tmp_path)
    assert path.read_text() == "mine"
    (path.parent / "whole_package").mkdir()
    with pytest.raises(UserError, match="there is a package"):
        begin("neuron", "whole-package", REGISTRY, tmp_path)


@pytest.mark.parametrize(("kind", "name"), [("neuron", "state"), ("method", "tensor"), ("task", "split")])
def test_a_class_never_hides_what_its_file_needs(kind: DraftKind, name: str, tmp_path: Path) -> None:
    text = begin(kind, name, REGISTRY, tmp_path).path.read_text()
    assert f"class {name.capitalize()}{kind.capitalize()}(" in text


def test_in_a_clone_it_lies_where_the_projects_own_do(tmp_path: Path) -> None:
    clone = copy_packages(tmp_path)
    (clone / "pyproject.toml").write_text("")
    for kind, folder in (("neuron", "reference_impls/neurons"), ("method", "reference_impls/training")):
        on_copy(clone, "new", kind, f"my-own-{kind}")
        assert (clone / folder / f"my_own_{kind}.py").is_file()
    on_copy(clone, "new", "task", "my-own-task")
    assert (clone / "harness/tasks/my_own_task.py").is_file()
    assert "there is a package" in on_copy(clone, "new", "task", "common", code=2)
    listed = on_copy(clone, "list")
    assert all(f"my-own-{kind}" in listed for kind in KINDS)


def test_from_nothing_to_a_place_among_the_published_rows(tmp_path: Path) -> None:
    """The whole way: write, check, measure, and the row stands in its table."""
    for kind in KINDS:
        said = spikeboard(tmp_path, "new", kind, f"own-{kind}")
        assert f"spikeboard_entries/own_{kind}.py" in said
        assert f"spikeboard check own-{kind} --watch" in said
        assert f"  spikeboard run --{NEXT[kind]}" in said
    listed = spikeboard(tmp_path, "list")
    assert all(f"own-{kind}" in listed for kind in KINDS)
    said = spikeboard(tmp_path, "check", "own-neuron", "own-method", "own-task", "--backend", "eager")
    assert "3 entries pass" in said
    new = ("run", "--preset", "new", "--neuron", "own-neuron", "--neuron", "lif")
    planned = spikeboard(tmp_path, *new, "--dry-run")
    assert all(planned.count(f" {task} ") == 6 for task in ("digits", "digits-rows", "moving-shapes"))
    said = spikeboard(tmp_path, *new, "--task", "digits", "--seed", "0")
    assert "Neuron models: digits, bptt, mlp, quick" in said
    (row,) = (line for line in said.splitlines() if "> own-neuron" in line)
    assert " yes " in row  # its contract was passed on the way
    assert int(re.search(r"rank \d+(?:-\d+)? of the (\d+) that are ranked", said)[1]) > 8  # type: ignore[index]
    assert len(re.findall(r"^ ?\d+  ", said, re.MULTILINE)) > 8  # the published rows stand beside it
    command = next(line for line in said.splitlines() if line.startswith("for a paper: "))
    latex = spikeboard(tmp_path, *command.split()[4:])
    assert "\\begin{table}" in latex
    assert " & own-neuron & yes" in latex
    assert "psn" not in latex


def test_loose_files_are_found_where_the_command_runs_and_nowhere_else(tmp_path: Path) -> None:
    begin("neuron", "my-own", REGISTRY, tmp_path)
    assert "my-own" in spikeboard(tmp_path, "list", "neurons")
    (tmp_path / "below").mkdir()
    assert "my-own" not in spikeboard(tmp_path / "below", "list", "neurons")
    (tmp_path / "spikeboard_entries/_helpers.py").write_text("raise SystemExit")
    (tmp_path / "spikeboard_entries/broken.py").write_text("CARD = ")
    said = spikeboard(tmp_path, "list", "neurons")
    assert "broken.py" in said
    assert "_helpers" not in said


@contextlib.contextmanager
def watching(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    command = [sys.executable, "-u", "-c", "from harness.cli import main; main()", "check", *arguments, "--watch"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(process.stdout))  # type: ignore[arg-type]
        reader.start()
        try:
            yield process, lines
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)
            reader.join()


def said_within(lines: list[str], what: str, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not any(what in line for line in lines):
        assert time.monotonic() < end, "".join(lines)
        time.sleep(0.05)


def test_watching_checks_again_whenever_the_file_is_saved(tmp_path: Path) -> None:
    draft = begin("task", "my-own", REGISTRY, tmp_path)  # a task's check is the fastest, and the same way
    with watching(tmp_path, "my-own") as (process, lines):
        said_within(lines, "1 entry passes")
        draft.path.write_text(draft.path.read_text().replace('"classes": 4', '"classes": 3'))
        said_within(lines, "my_own.py changed")
        said_within(lines, "the card's 3 classes count from 0")
    assert process.returncode == 0


def row(place: int, own: bool = False, machine: str = "there", rank: str = "") -> PlacedRow:
    return PlacedRow(place, f"row-{place}", f"{place}.0", rank, True, (machine,), own)


@pytest.mark.parametrize("mine", [1, 2, 7, 20, 39, 40])
def test_a_long_board_shows_its_best_and_the_neighbours(mine: int) -> None:
    rows = [row(place, own=place == mine) for place in range(1, 41)]
    shown = [line.place if line else None for line in around(rows)]
    assert {1, 2, 3, mine} <= {*shown}
    assert {max(mine - 2, 1), min(mine + 2, 40)} <= {*shown}
    assert len(shown) <= 14
    numbers = [place for place in shown if place]
    assert numbers == sorted(numbers)
    for before, after in itertools.pairwise(numbers):
        between = shown[shown.index(before) + 1 : shown.index(after)]
        assert between == [None] * (after > before + 1)
    assert (shown[-1] is None) == (numbers[-1] < 40)


def test_a_place_is_said_with_what_it_is_worth() -> None:
    rows = [row(1), row(2, own=True, machine="here", rank="1-2"), row(3, rank="1-2")]
    assert sentence(rows) == "row-2: 2 of 3 by its estimate, rank 1-2 of the 2 that are ranked"
