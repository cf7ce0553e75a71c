"""A module of a suite or a task that ends the process or hangs at its import costs its own cells, and no others."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import misbehaving
import pytest
from misbehaving import job, registry_with_suites

from harness.catalogue.cards import Registry
from harness.catalogue.loading import load_registry
from harness.execute import forkserver, imports
from harness.execute.imports import stuck_at
from harness.execute.job import Summary
from harness.execute.pool import LocalPool
from harness.results.store import Store
from reference_impls.discovery import discover


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    misbehaving.install(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr(forkserver, "PRELOAD", "misbehaving.preload")
    monkeypatch.setattr(imports, "LONGEST_IMPORT_SECONDS", 4.0)
    discover.cache_clear()
    load_registry.cache_clear()
    found = registry_with_suites()
    bad = {
        name: replace(found.suites["probe"], name=name, module=f"misbehaving.{name}_at_import")
        for name in ("exits", "dies", "hangs")
    }
    yield replace(found, suites={**found.suites, **bad})
    discover.cache_clear()
    load_registry.cache_clear()


def test_the_others_are_measured_and_the_module_is_named(registry: Registry, tmp_path: Path) -> None:
    before = sorted(Path(name).name for name in sys.modules if "at_import" in name)
    store = Store(tmp_path / "store")
    with LocalPool(store, slots=1, registry=registry) as pool:
        summary = pool.run([job("well-behaved", suite) for suite in ("dies", "probe", "hangs", "exits")])
    assert summary == Summary({"ok": 1, "error": 3})
    reasons = {record.cell.suite: record.reason for record in store.read().records}
    assert reasons == {
        "probe": None,
        "dies": "The module misbehaving.dies_at_import cannot be imported: it ends the process that imports it.",
        "hangs": (
            "The module misbehaving.hangs_at_import cannot be imported: the import had not come to an end after 4 s."
        ),
        "exits": "It called sys.exit(0) before it gave a result.",
    }
    assert sorted(Path(name).name for name in sys.modules if "at_import" in name) == before


@pytest.mark.parametrize(
    ("said", "alive", "found"),
    [
        ([imports.READY], True, {}),
        (["", "a", "b", "", imports.READY], True, {}),
        (["a"], False, {"a": "it ends the process that imports it"}),
        # Nothing was named: whoever forks next is told what happened.
        ([""], False, {}),
        (["a", "b"], True, {"b": "the import had not come to an end after 0.05 s"}),
        ([""], True, {}),
    ],
)
def test_what_the_server_says_tells_where_it_stays(
    said: list[str], alive: bool, found: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "LONGEST_IMPORT_SECONDS", 0.05)
    monkeypatch.setattr(imports, "LONGEST_START_SECONDS", 0.2)
    monkeypatch.setattr(imports, "POLL_SECONDS", 0.001)
    file, left = tmp_path / "importing", list(said)
    file.touch()

    def lives() -> bool:
        if left:
            file.write_text(left.pop(0))
        return alive

    assert stuck_at(file, lives) == found
