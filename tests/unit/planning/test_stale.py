"""What is stale is found, explained, priced and measured again, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from synthetic import GPU, LAPTOP, older, record
from typer.testing import CliRunner

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.cli import app
from harness.errors import UserError
from harness.execute.jobs import jobs_of
from harness.planning.plan import Filters, Plan
from harness.planning.stale import grouped, plan_stale, stale_of
from harness.results.fingerprint import fingerprint
from harness.results.record import Record
from harness.results.store import Store

REGISTRY = load_registry()
CELL = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick")
MNIST = replace(CELL, task="mnist", neuron="if")


def changed(cell: Cell, *names: str, **more: Any) -> Record:
    inputs = dict(fingerprint(cell, REGISTRY).inputs) | dict.fromkeys(names, "0")
    return older(record(cell, **more), inputs)


def planned(records: list[Record], store: Path, **more: Any) -> Plan:
    given: dict[str, Any] = {"filters": Filters(), "budget": None, "device": None, "data_present": lambda _: True}
    return plan_stale(REGISTRY, Store(store), LAPTOP.name, records, **given | more)


def cells(plan: Plan) -> set[Cell]:
    return {one.cell for one in plan.todo}


def test_only_cells_without_a_current_record_are_stale() -> None:
    again = replace(CELL, seed=1)
    records = [record(CELL), changed(CELL, "neuron"), changed(again, "neuron"), record(MNIST, "unsupported")]
    (one,) = stale_of(records, REGISTRY)
    assert one.record.cell == again
    assert one.freshness.changed == ("neuron",)
    assert one.blocked == ""


def test_an_older_failure_is_stale_as_well() -> None:
    assert len(stale_of([changed(CELL, "suite", status="timeout")], REGISTRY)) == 1


def test_the_cost_is_what_cells_like_it_took() -> None:
    records = [changed(replace(CELL, seed=seed), "neuron", duration_seconds=7.0) for seed in range(3)]
    (group,) = grouped(stale_of(records, REGISTRY))
    assert group.seconds == pytest.approx(21.0)


def test_groups_say_when_where_and_why() -> None:
    records = [
        changed(CELL, "neuron", started_at="2026-01-01T00:00:00+00:00"),
        changed(replace(CELL, seed=1), "neuron", "suite", started_at="2026-03-01T00:00:00+00:00"),
        changed(MNIST, "data"),
        changed(replace(CELL, neuron="gone"), "neuron", started_at="2026-02-01T00:00:00+00:00"),
    ]
    digits, mnist = grouped(stale_of(records, REGISTRY))
    assert (digits.suite, digits.task, digits.cells, digits.blocked) == ("accuracy", "digits", 3, 1)
    assert (digits.first[:10], digits.last[:10]) == ("2026-01-01", "2026-03-01")
    assert digits.commits == (records[0].provenance.commit[:8],)  # type: ignore[index]
    assert dict(digits.changed) == {"neuron": 3, "suite": 1}
    assert mnist.changed == (("data", 1),)


def test_exactly_what_is_stale_here_is_measured_again(tmp_path: Path) -> None:
    records = [
        record(CELL),
        changed(MNIST, "data"),
        changed(replace(CELL, neuron="psn"), "neuron"),
        changed(replace(CELL, neuron="klif"), "neuron", machine=GPU),
        changed(replace(CELL, neuron="gone"), "neuron"),
    ]
    plan = planned(records, tmp_path)
    assert cells(plan) == {MNIST, replace(CELL, neuron="psn")}
    assert {job.code_hash for job in jobs_of(plan.todo, REGISTRY)} == {
        fingerprint(cell, REGISTRY).code_hash for cell in cells(plan)
    }
    done = next(one.cell for one in plan.todo)
    Store(tmp_path).write(record(done))
    assert cells(planned([*records, record(done)], tmp_path)) == cells(plan) - {done}


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"filters": Filters(task=("mnist",))}, {MNIST}),
        ({"filters": Filters(neuron=("ps*",))}, {replace(CELL, neuron="psn")}),
        ({"filters": Filters(neuron=("ps*",), task=("mnist",))}, set()),
        ({"filters": Filters(seed=(1,))}, {replace(CELL, seed=1)}),
        ({"budget": "standard"}, set()),
        ({"device": "cuda"}, set()),
    ],
)
def test_filters_compose(tmp_path: Path, given: dict[str, Any], left: set[Cell]) -> None:
    stale = (MNIST, replace(CELL, neuron="psn"), replace(CELL, seed=1))
    assert cells(planned([changed(cell, "suite") for cell in stale], tmp_path, **given)) == left


def test_a_misspelt_filter_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="lif"):
        planned([changed(CELL, "suite")], tmp_path, filters=Filters(neuron=("liff",)))


def test_data_that_is_not_there_is_said(tmp_path: Path) -> None:
    plan = planned([changed(MNIST, "suite")], tmp_path, data_present=lambda name: name != "mnist")
    assert plan.todo == ()
    assert plan.missing == {"mnist": 1}


def status(store: Path, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["status", "--store", str(store), *words])
    return result.exit_code, result.output


def test_status_is_0_when_all_are_current_and_1_while_one_is_not(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(record(CELL))
    assert status(tmp_path) == (0, f"{tmp_path}: 1 cell, every one current\n")
    store.write(changed(MNIST, "data", "task settings"))
    code, said = status(tmp_path)
    assert code == 1
    commit = str(record(CELL).provenance.commit)[:8]
    for words in ("1 of 2 cells", "mnist", "data, task settings", "2026-03-01", commit):
        assert words in said
    assert status(tmp_path, "--machine", "another")[0] == 0


def test_status_names_the_command_that_mends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.results.machine.this_machine", lambda: LAPTOP)
    Store(tmp_path).write(changed(CELL, "suite"))
    assert f"spikeboard run --stale --look-at {tmp_path}" in status(tmp_path)[1]
