"""``spikeboard compare --format md``: the note for a pull request says what fails, is worse, better and new."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from command import spikeboard
from synthetic import record

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.errors import UserError
from harness.report import change_notes
from harness.report.change_notes import MARK, MOST_LETTERS, note_of
from harness.results.allowances import NoiseOf, no_noise
from harness.results.comparison import CellChange, compare
from harness.results.record import Metric, Record
from harness.results.steps import Noise
from harness.results.store import Store

CELL = Cell("throughput", "digits", "lif", "bptt", "mlp", budget="quick", threads=2)
LIMIT = 0.05
PAGE = "https://example.org/board/"
HOSTILE = "see https://evil.example, www.evil.example, @everyone #12 <img src=x> [a](javascript:b) `c` a|b <!-- d -->"


def timed(seconds: float, **axes: object) -> Record:
    metric = Metric(value=seconds, unit="seconds", direction="lower", low=seconds * 0.99, high=seconds * 1.01, n=9)
    return record(replace(CELL, **axes), metrics={"train_step_seconds": metric})


BEFORE = [
    *(timed(1.0), timed(1.0, neuron="if"), timed(1.0, neuron="psn"), timed(1.0, neuron="klif")),
    *(timed(1.0, neuron="plif"), record(replace(CELL, neuron="alif"), "crashed", reason="It died.")),
]
AFTER = [
    *(timed(1.0), timed(2.0, neuron="if"), timed(0.5, neuron="psn")),
    record(replace(CELL, neuron="klif"), "crashed", reason=HOSTILE),
    *(timed(1.0, neuron="clif"), record(replace(CELL, neuron="glif"), "oom", reason="Out of memory.")),
    record(replace(CELL, neuron="alif"), "crashed", reason="It died."),
]


def changes(before: list[Record], after: list[Record], noise_of: NoiseOf = no_noise) -> list[CellChange]:
    return compare(before, after, load_registry(), LIMIT, noise_of)


def sections(note: str) -> dict[str, list[str]]:
    """Return the rows of each table, without its heading."""
    found = {}
    for part in note.split("\n### ")[1:]:
        title, *lines = part.splitlines()
        found[title] = [line for line in lines if line.startswith("|")][2:]
    return found


def test_everything_stands_in_its_section() -> None:
    note = note_of(changes(BEFORE, AFTER), LIMIT, PAGE)
    assert note.startswith(f"{MARK}\n")
    found = sections(note)
    assert list(found) == ["Fails now (1)", "Worse (1)", "No longer measured (1)", "Better (1)", "New (2)"]
    (worse,), (better,) = found["Worse (1)"], found["Better (1)"]
    assert "if+bptt" in worse
    assert "+100.0%" in worse
    assert "psn+bptt" in better
    assert "-50.0%" in better
    assert "plif+bptt" in found["No longer measured (1)"][0]
    new = found["New (2)"]
    assert any("clif" in line and "| ok | runs |" in line for line in new)
    assert any("glif" in line and "| oom | Out of memory. |" in line for line in new)
    assert (
        "**Benchmark: 8 cells: 1 fails now, 1 worse, 1 no longer measured, 1 better, 2 new, 1 the same, "
        "1 failing as before**" in note
    )
    assert f"({PAGE})" in note
    assert BEFORE[0].provenance.machine.name in note


def test_where_nothing_has_changed_the_note_says_so() -> None:
    note = note_of(changes([timed(1.0)], [timed(1.0)]), LIMIT)
    assert "**Benchmark: 1 cell: 1 the same**" in note
    assert sections(note) == {}
    assert "](" not in note


def test_the_note_says_by_what_each_figure_was_judged() -> None:
    """With a mark in the tables that there are, and one sentence: noise is known of two neurons of three."""

    def noise_of(_machine: str, cell: Cell, _version: int, _metric: str) -> Noise | None:
        return {"if": Noise(0.002, 20), "psn": Noise(0.02, 20)}.get(cell.neuron)

    size = Metric(value=1000.0, unit="bytes", direction="lower", exact=True)
    exact = [record(replace(CELL, suite="memory"), metrics={"saved_bytes": size})] * 2
    items = changes(BEFORE[:3] + exact[:1], [timed(1.5), *AFTER[1:3], *exact[1:]], noise_of)
    allowed = {item.cell.neuron: item.metrics[0].allowed for item in items if item.cell.suite == CELL.suite}
    assert allowed["lif"] is None
    assert allowed["if"] is not None
    assert allowed["psn"] is not None
    note = note_of(items, LIMIT)
    assert (
        f" Figures judged: 2 by measured noise (†), which allows {allowed['if']:.1%} to {allowed['psn']:.1%}, "
        "1 by their intervals and a threshold of 5%, 1 exactly.\n" in note
    )
    found = sections(note)
    assert {line.split("+bptt")[0].rpartition(" ")[2]: "%† |" in line for line in found["Worse (2)"]} == {
        "if": True,
        "lif": False,
    }
    assert "-50.0%† |" in found["Better (1)"][0]


def test_without_measured_noise_the_note_says_so_and_marks_nothing() -> None:
    note = note_of(changes(BEFORE, AFTER), 0.025)
    assert (
        "Figures judged: 3 by their intervals and a threshold of 2.5%, none by measured noise (`spikeboard calibrate`)."
        in note
    )
    assert "†" not in note
    assert "Figures judged" not in note_of(changes([], []), LIMIT)


def test_what_strangers_wrote_does_nothing() -> None:
    (row,) = sections(note_of(changes(BEFORE, AFTER), LIMIT))["Fails now (1)"]
    assert "evil.example" in row, "it is shown"
    harmless = row.replace("<!-- -->", "\0")
    assert not re.search(r"https?://|www\.|@\w|#\d|<[a-z!/]|\]\(|`", harmless)
    assert len(re.findall(r"(?<!\\)\|", row)) == 5, "four columns"


def test_a_note_is_never_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = "why " * 200
    many = [(timed(1.0, seed=0, task=f"task-{n}"), n) for n in range(60)]
    after = [record(one.cell, "crashed", reason=reason) for one, _ in many]
    note = note_of(changes([one for one, _ in many], after), LIMIT)
    assert len(note) < MOST_LETTERS
    (rows,) = sections(note).values()
    assert len(rows) == 25
    assert "and 35 more" in note
    monkeypatch.setattr(change_notes, "MOST_LETTERS", 5000)
    short = note_of(changes([one for one, _ in many], after), LIMIT)
    assert len(short) < 5000
    assert "and 50 more" in short


@pytest.mark.parametrize("page", ["javascript:alert(1)", "https://a b", "https://a)[x](https://b", "page.html"])
def test_what_is_no_address_is_not_linked(page: str) -> None:
    with pytest.raises(UserError, match="no address"):
        note_of((), LIMIT, page)


def test_the_command_writes_the_note_and_says_the_rest_aside(tmp_path: Path) -> None:
    for name, records in (("before", BEFORE), ("after", AFTER)):
        for one in records:
            Store(tmp_path / name).write(one)
    said = spikeboard(
        tmp_path,
        *("compare", "before", "after", "--format", "md", "--page", PAGE, "--output", "made/note.md"),
        code=1,
    )
    note = (tmp_path / "made" / "note.md").read_text()
    assert note == note_of(changes(BEFORE, AFTER), LIMIT, PAGE)
    assert MARK not in said
    assert "8 cells: " in said
    partly = spikeboard(tmp_path, "compare", "before", "after", "--format", "md", "--partial", code=1)
    assert "No longer measured" not in partly
    for wrong, words in (
        (["--output", "x"], "add --format"),
        (["--page", PAGE], "add --format md"),
        (["--format", "md", "--page", "x"], "no address"),
    ):
        assert words in spikeboard(tmp_path, "compare", "before", "after", *wrong, code=2)
