"""Mutated real records through everything that reads records: no crash, no foreign file, nothing impossible ranked.

A thousand of them under ``-m slow``, with a fixed seed; thirty on every run.
"""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("asv")

from history import make_repository
from hypothesis import HealthCheck, given, seed, settings
from mutations import Mutant, mutants, originals
from pages import Page

from harness.asv.commits import commit_dates
from harness.asv.export import export
from harness.asv.points import points_of
from harness.catalogue.loading import load_registry
from harness.cli.reporting import publish
from harness.report.formats import FORMATS, to_text
from harness.report.site import build_site
from harness.results.comparison import compare
from harness.results.record import Record
from harness.results.store import Problem, Store, read_record, read_stores
from harness.results.table import Table
from harness.results.tables import build_tables
from harness.results.validity import limits_of, problem_of
from harness.text import printable

REGISTRY = load_registry()
ORIGINALS = originals()
AT_ONCE = 50
"""Records in one store: a site takes seconds to build."""


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_thousand_mutated_records(tmp_path_factory: pytest.TempPathFactory) -> None:
    found = drawn(1000)
    for start in range(0, len(found), AT_ONCE):
        everything_that_reads(tmp_path_factory.mktemp("mutants"), found[start : start + AT_ONCE])


def test_thirty_mutated_records(tmp_path: Path) -> None:
    everything_that_reads(tmp_path, drawn(30))


def drawn(count: int) -> list[Mutant]:
    """Return so many mutants, always the same; each has been read, ranked and written out on its own."""
    found: list[Mutant] = []

    @seed(14)
    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(one=mutants(ORIGINALS))
    def draw(one: Mutant) -> None:
        record = record_of(one.content)
        if isinstance(record, Record):
            assert problem_of(record, REGISTRY) is None
            for name in FORMATS:
                _is_harmless(to_text(build_tables([record], REGISTRY), name), name)
        else:
            assert record.reason
        found.append(one)

    draw()
    assert len(found) >= count
    return found


def record_of(content: bytes) -> Record | Problem:
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(content)
        file.flush()
        return read_record(Path(file.name), REGISTRY)


def everything_that_reads(folder: Path, found: Sequence[Mutant]) -> None:
    home = folder / "far" / "below" / "the" / "top"
    clean, store, target = home / "clean", home / "store", home / "target"
    for root in (clean, store):
        for place, data in ORIGINALS:
            _write(root, place.encode(), json.dumps(data).encode())
    for number, one in enumerate(found):
        _write(store, one.name.replace(b".json", b".%d.json" % number) if number % 2 else one.name, one.content)

    contents = read_stores([store])
    for record in contents.records:
        assert problem_of(record, REGISTRY) is None
    for problem in contents.problems:
        assert str(problem) == printable(str(problem), lines=False)
    tables = build_tables(contents.records, REGISTRY)
    for table in tables:
        _nothing_impossible_is_ranked(table)
    for name in FORMATS:
        _is_harmless(to_text(tables, name), name)

    build_site([store], home / "site", registry=REGISTRY)
    for path in (home / "site").glob("*.html"):
        page = Page(path)
        assert not page.problems, (path.name, page.problems)
        assert "<script>alert" not in page.source
        assert all(not re.match(r"\s*(javascript|data|vbscript):", link, re.IGNORECASE) for link in page.links)

    publish(store, target)
    published = Store(target).read()
    assert published.problems == ()
    assert {record.cell_id for record in published.records} <= {record.cell_id for record in contents.records}
    for item in compare(Store(clean).read().records, contents.records, REGISTRY, 0.05):
        assert all(math.isfinite(one.after.value) for one in item.metrics if one.after)

    repository = make_repository(home / "clone", 1)
    dates = commit_dates(repository.root)
    at_commit = [
        one.model_copy(
            update={"provenance": one.provenance.model_copy(update={"commit": repository.commits[0], "dirty": False})}
        )
        for one in contents.records
    ]
    export(points_of(at_commit, REGISTRY, dates), repository.root / "results", REGISTRY, dates)
    assert {path.name for path in repository.root.iterdir()} <= {".git", "asv.conf.json", "results"}
    assert {path.name for path in home.iterdir()} == {"clean", "store", "target", "site", "clone"}
    assert [path.name for path in folder.rglob("*") if path.parent in home.parents and path not in home.parents] == [
        "top"
    ], "nothing was written above"
    assert not Path("/abs").exists()


def _write(root: Path, name: bytes, content: bytes) -> None:
    path = os.path.join(os.fsencode(root), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


def _nothing_impossible_is_ranked(table: Table) -> None:
    for row in table.rows:
        for value in row.values.values():
            for record in value.records:
                assert problem_of(record, REGISTRY) is None
            assert limits_of(value.card).problem(value.estimate.value) is None, (row.name, value)


def _is_harmless(text: str, name: str) -> None:
    text.encode("utf-8")
    assert text == printable(text)
    if name == "md":
        assert not re.search(r"<[a-zA-Z/!]", text)
        assert not re.search(r"\]\(\s*javascript:", text)
    if name == "html":
        assert "<script>" not in text
    if name == "latex":
        labels = re.findall(r"\\label\{(.*?)\}", text)
        assert len(labels) == len(set(labels))
        assert "\\input{" not in text
