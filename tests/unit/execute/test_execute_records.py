"""What a cell says of itself becomes a record: impossible figures are a failure, and nobody's name is in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from synthetic import Factory, registry

from harness import text
from harness.catalogue.cell import Cell
from harness.execute.messages import CellOutcome
from harness.execute.records import CellRun, Recorder
from harness.results.record import Record
from harness.results.store import Store

ROWS = registry()
CELL = Cell("throughput", "digits", "lif", "bptt", "mlp", budget="quick")
METRICS = Factory(ROWS).measured(CELL).metrics


def recorded(outcome: CellOutcome, tail: tuple[str, ...] = (), cell: Cell = CELL) -> Record:
    return Recorder(ROWS).record(cell, "0" * 64, outcome, CellRun(datetime.now(UTC), 1.0), tail)


def test_possible_figures_stay_as_they_are() -> None:
    one = recorded(CellOutcome(status="ok", metrics=METRICS))
    assert one.status == "ok"
    assert one.metrics == METRICS


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_an_impossible_figure_is_a_failure_and_not_lost(tmp_path: Path, value: float) -> None:
    broken = METRICS["train_step_seconds"].model_copy(update={"value": value, "low": None, "high": None})
    one = recorded(CellOutcome(status="ok", metrics={**METRICS, "train_step_seconds": broken}))
    assert one.status == "error"
    assert one.reason is not None
    assert "train_step_seconds" in one.reason
    assert "train_step_seconds" not in one.metrics
    assert one.details["impossible_figures"]["train_step_seconds"].startswith(repr(value))
    assert one.metrics.keys() == METRICS.keys() - {"train_step_seconds"}
    store = Store(tmp_path)
    store.write(one)
    assert store.read().records == (one,)


@pytest.fixture
def alice(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HOME", "/data/people/alice")
    for name in ("LOGNAME", "USER"):
        monkeypatch.setenv(name, "alice")
    monkeypatch.setattr(text.socket, "gethostname", lambda: "lab7")
    text._private.cache_clear()
    yield
    text._private.cache_clear()


@pytest.mark.usefixtures("alice")
def test_homes_and_names_stay_out_of_records() -> None:
    said = "no /data/people/alice/code/x.py, /home/bob/y, C:\\Users\\eve\\z for alice at lab7 (pytest-of-alice, palice)"
    outcome = CellOutcome(status="crashed", reason=said, details={"where": said, "all": [said, {"deep": said}]})
    one = recorded(outcome, (said,))
    clean = "no ~/code/x.py, ~/y, ~\\z for user at host (pytest-of-user, palice)"
    assert (one.reason, one.output_tail) == (clean, (clean,))
    assert one.details == {"where": clean, "all": [clean, {"deep": clean}]}
    found = json.dumps(one.model_dump(mode="json", exclude={"provenance"})).replace("palice", "")
    assert not [name for name in ("alice", "bob", "eve", "lab7") if name in found]


def test_where_the_packages_lie_stays_out_of_records() -> None:
    folder = Path(text.__file__).resolve().parents[1]
    said = f'  File "{folder}/harness/execute/worker.py", line 67, in work; not {folder}-of-another'
    one = recorded(CellOutcome(status="error", reason="It failed."), (said,))
    shown = '  File "./harness/execute/worker.py", line 67, in work; not '
    assert one.output_tail[0].startswith(shown)
    assert one.output_tail[0].endswith("-of-another")


@pytest.mark.usefixtures("alice")
def test_a_sentence_about_neurons_stays_as_it_is() -> None:
    said = "adaptive-lif needs homes; /homework/x and ~/y are no home"
    assert text.redacted(said) == said


def test_a_home_of_root_or_of_nobody_takes_nothing_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/")
    for name in ("LOGNAME", "USER"):
        monkeypatch.setenv(name, "root")
    text._private.cache_clear()
    said = "the root of /usr/lib/x"
    assert text.redacted(said) == said
    text._private.cache_clear()
