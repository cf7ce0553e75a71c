"""What boards show of strangers' records: the mark is worked out from what was checked, and no record can claim one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from submitted import changed, checked, published, resealed, some, submission

from harness.catalogue.boards import find_board
from harness.catalogue.loading import load_registry
from harness.report.formats import FORMATS, to_text
from harness.report.site import build_site
from harness.results.asked import tables_of
from harness.results.marks import Mark, Submitted
from harness.results.record import Record
from harness.results.standing import Standing
from harness.results.table import Table, TableRow
from harness.results.tables import build_tables
from harness.submissions.again import Again, compared
from harness.submissions.marks import marks_file, read_submissions, write_marks

REGISTRY = load_registry()
NEURONS = find_board("neurons")
OTHER = "somebodys-4c"
"""A machine of which the project has no record."""


def elsewhere(record: Record) -> Record:
    """Return `record` as measured on another machine."""
    return changed(record, lambda data: data["provenance"]["machine"].update(name=OTHER, cpu="Somebody's"))


MEASURED = [
    one
    for one in some()
    if one.cell.suite in ("accuracy", "throughput")
    and (one.cell.topology, one.cell.backend, one.cell.recipe, one.cell.budget) == ("mlp", "eager", "default", "quick")
]
STRANGE = [elsewhere(one) for one in (*MEASURED, *(one for one in some() if one.cell.suite == "conformance"))]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    submission(tmp_path / "submissions" / "somebody", STRANGE)
    return tmp_path / "submissions"


def table_of(strangers: Submitted, own: Iterable[Record] = ()) -> Table:
    found = build_tables(own, REGISTRY, NEURONS, strangers)
    [table] = [one for one in found if one.stands_for(OTHER) and dict(one.group.axes)["task"] == "digits"]
    return table


def row_of(table: Table, name: str = "lif") -> TableRow:
    [row] = [one for one in table.rows if one.name == name]
    return row


def marked(root: Path, again: Sequence[Again] = ()) -> Submitted:
    report = checked(root / "somebody")
    assert not report.failed, [one for one in report.lines if one.causes]
    write_marks(root / "somebody", replace(report, again=tuple(again)))
    return read_submissions(root, REGISTRY)


def test_as_they_come_they_are_reported_and_ranked_nowhere(root: Path) -> None:
    strangers = read_submissions(root, REGISTRY)
    assert strangers.problems == ()
    assert len(strangers.records) == len(STRANGE)
    row = row_of(table_of(strangers))
    assert row.mark is Mark.REPORTED
    assert not row.verified
    assert not row.vectors
    for value in row.values.values():
        assert (value.mark, value.standing, value.rank) == (Mark.REPORTED, Standing.REPORTED, None)
        assert value.submission == "somebody"


def test_what_was_checked_is_checked_until_a_byte_changes(root: Path) -> None:
    strangers = marked(root)
    row = row_of(table_of(strangers))
    assert row.mark is Mark.CHECKED
    assert not row.verified, "the contract is the stranger's word"
    assert {value.standing for value in row.values.values()} == {Standing.CHECKED}
    (root / "somebody" / "README.md").write_text("other words")
    assert read_submissions(root, REGISTRY).records == (), "it is no whole submission any more"
    resealed(root / "somebody")
    assert row_of(table_of(read_submissions(root, REGISTRY))).mark is Mark.REPORTED


def test_what_was_measured_again_is_ranked_and_nothing_else_of_it(root: Path) -> None:
    own_figures = [compared(one, one) for one in STRANGE if one.cell.suite in ("accuracy", "conformance")]
    row = row_of(table_of(marked(root, own_figures)))
    error, time = row.values["accuracy.error_fraction"], row.values["throughput.train_step_seconds"]
    assert row.verified, "its contract was asked again here"
    assert (error.mark, error.standing) == (Mark.REPRODUCED, Standing.CURRENT)
    assert error.rank is not None
    assert (time.mark, time.standing, time.rank) == (Mark.CHECKED, Standing.CHECKED, None)
    assert row.mark is Mark.CHECKED, "a row is worth what its least figure is"


def test_marks_of_two_runs_add_up_and_those_of_other_content_go(root: Path) -> None:
    first, second = (compared(one, one) for one in STRANGE[:2])
    marked(root, [first])
    found = marked(root, [second])
    assert sum(bool(one.figures) for one in found.marks.values()) == 2
    resealed(root / "somebody", records=len(STRANGE))
    (root / "somebody" / "README.md").write_text("other")
    resealed(root / "somebody")
    assert sum(bool(one.figures) for one in marked(root).marks.values()) == 0


def test_a_word_in_a_record_or_a_folder_is_no_mark(tmp_path: Path) -> None:
    claiming = [changed(one, lambda data: data["details"].update(mark="reproduced", verified=True)) for one in STRANGE]
    root = tmp_path / "submissions"
    made = submission(root / "somebody", claiming)
    (made / "somebody.json").write_text("{}")
    resealed(made)
    found = read_submissions(root, REGISTRY)
    assert found.records == ()  # a file that has no place in a submission
    assert "somebody.json has no place" in found.problems[0].reason
    (made / "somebody.json").unlink()
    resealed(made)
    assert row_of(table_of(read_submissions(root, REGISTRY))).mark is Mark.REPORTED


@pytest.mark.parametrize(
    "text",
    [
        '{"digest": "0", "checked_at": "", "spikeboard": "", "commit": null}',
        '{"digest": "0", "digest": "1"}',
        "[]",
        "",
        '{"mark": "reproduced"}',
    ],
)
def test_a_file_of_marks_that_fits_nothing_marks_nothing(root: Path, text: str) -> None:
    marks_file(root / "somebody").write_text(text)
    assert row_of(table_of(read_submissions(root, REGISTRY))).mark is Mark.REPORTED


def test_ones_own_record_of_a_cell_stands_alone(tmp_path: Path) -> None:
    root = tmp_path / "submissions"
    better = [changed(one, lambda data: data["details"].update(x=1)) for one in some()]
    submission(root / "somebody", better)
    strangers = read_submissions(root, REGISTRY)
    assert strangers.records
    found, plain = (build_tables(some(), REGISTRY, NEURONS, one) for one in (strangers, Submitted()))
    assert found == plain
    assert all(row.mark is None for table in found for row in table.rows)


def test_seeds_of_strangers_never_enter_ones_own_mean(tmp_path: Path) -> None:
    root = tmp_path / "submissions"
    seeds = [
        changed(one, lambda data: data["cell"].update(seed=data["cell"]["seed"] + 50))
        for one in some()
        if one.cell.suite == "accuracy"
    ]
    submission(root / "somebody", seeds)
    found = build_tables(some(), REGISTRY, NEURONS, read_submissions(root, REGISTRY))
    for table, plain in zip(found, build_tables(some(), REGISTRY, NEURONS), strict=True):
        assert row_of(table).values == row_of(plain).values


def test_two_submissions_of_a_row_are_not_mixed(tmp_path: Path) -> None:
    root = tmp_path / "submissions"
    accuracy = [one for one in STRANGE if one.cell.suite == "accuracy"]
    moved = [changed(one, lambda data: data["cell"].update(seed=data["cell"]["seed"] + 50)) for one in accuracy]
    submission(root / "aaa", moved)
    submission(root / "bbb", accuracy)
    value = row_of(table_of(read_submissions(root, REGISTRY))).values["accuracy.error_fraction"]
    assert value.submission == "aaa"
    assert len(value.records) == len(moved)


def test_every_format_shows_the_mark_and_nothing_of_it_without(root: Path) -> None:
    strangers = marked(root, [compared(one, one) for one in STRANGE if one.cell.suite != "throughput"])
    table = table_of(strangers)
    for name in FORMATS:
        text = to_text([table], name)
        assert "checked" in text, name
        assert "reproduced" in text, name
        plain = to_text(build_tables(some(), REGISTRY, NEURONS), name)
        assert not re.search("checked|reproduced|reported|submission", plain), name
    figures = json.loads(to_text([table], "json"))[0]["rows"][0]["figures"]
    assert figures["accuracy.error_fraction"]["mark"] == "reproduced"
    assert figures["accuracy.error_fraction"]["submission"] == "somebody"


def test_tables_are_asked_for_with_strangers_among_them(root: Path, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    strangers = read_submissions(root, REGISTRY)
    asked = tables_of([tmp_path / "store"], "neurons", {"neuron": "lif"}, OTHER, strangers=strangers)
    assert [table.group.machine for table in asked.tables] == [OTHER] * len(asked.tables)
    assert asked.tables


def test_pages_show_the_mark_on_boards_alone(root: Path, tmp_path: Path) -> None:
    from harness.results.store import Store

    store = Store(tmp_path / "store")
    for record in some():
        store.write(record)
    strangers = marked(root)
    plain = build_site([store.root], tmp_path / "plain", registry=REGISTRY).parent
    shown = build_site([store.root], tmp_path / "shown", registry=REGISTRY, strangers=strangers).parent
    board = (shown / "board-neurons.html").read_text(encoding="utf-8")
    assert '<span class="badge warn" title="checked: it agrees with itself' in board
    assert "submitted as somebody" in board
    assert "with figures of others" in board
    assert "submitted as" not in (plain / "board-neurons.html").read_text(encoding="utf-8")
    for name in ("overall.html", "claims.html", "neuron-lif.html", "implementations.html"):
        one, other = ((folder / name).read_text(encoding="utf-8") for folder in (plain, shown))
        assert _undated(one) == _undated(other), name
    records = "".join(path.read_text(encoding="utf-8") for path in (shown / "records").glob("*.html"))
    assert f".{OTHER}" in records, "every figure leads to its record"


def _undated(page: str) -> str:
    return re.sub(r'datetime="[^"]*"|\d{4}-\d\d-\d\dT[\d:.+]*', "", page)


def test_names_and_links_among_submissions_are_problems(root: Path, tmp_path: Path) -> None:
    (root / "link").symlink_to(root / "somebody", target_is_directory=True)
    (root / "Shouting Name").mkdir()
    (root / "empty").mkdir()
    found = read_submissions(root, REGISTRY)
    reasons = " ".join(problem.reason for problem in found.problems)
    assert len(found.problems) == 3
    assert "a link" in reasons
    assert "lower-case letters" in reasons
    assert "manifest.json cannot be read" in reasons
    assert len(found.records) == len(STRANGE)


def test_without_submissions_nothing_is_read(tmp_path: Path) -> None:
    assert read_submissions(None, REGISTRY) == read_submissions(tmp_path / "none", REGISTRY) == Submitted()
    assert published()
