"""Two badges: a contract that was passed, and agreement with the authors' own code, which is another fact."""

from __future__ import annotations

from typing import Any

import pytest
from synthetic import LAPTOP, Factory, metric, record, registry

from harness.catalogue.boards import find_board
from harness.catalogue.cell import Cell
from harness.report.formats import readable, to_text
from harness.results.freshness import Today
from harness.results.record import Record
from harness.results.table import TableRow
from harness.results.tables import build_tables
from harness.results.vectors import AuthorsVectors

KNOWN = registry()
CELL = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick")


class _Current(Today):
    """Every record is of today's code."""

    def is_current(self, record: Record) -> bool:
        return True


def conformance(golden: bool | None, **axes: Any) -> Record:
    """Return a contract that was passed but for the vectors; None: there are none."""
    checks = [{"name": "shapes", "promise": "shapes are kept", "passed": True, "problem": ""}]
    if golden is not None:
        checks.append({"name": "golden", "promise": "vectors", "passed": golden, "problem": "" if golden else "no"})
    failed = sum(not check["passed"] for check in checks)
    cards = KNOWN.suite("conformance").metrics

    metrics = {
        "failed_checks": metric(float(failed), cards["failed_checks"]),
        "passed_checks": metric(float(len(checks) - failed), cards["passed_checks"]),
    }
    return record(Cell("conformance", dtype="float64", **axes), metrics=metrics, details={"checks": checks})


METHOD: dict[str, Any] = {"neuron": "if", "method": "ottt-a", "topology": "mlp"}


def of(axis: str, name: str, *records: Record, **shared: str) -> bool:
    return AuthorsVectors(records, KNOWN, _Current(KNOWN)).of(LAPTOP.name, axis, name, shared)


def test_a_contract_without_vectors_is_no_agreement_with_the_authors() -> None:
    assert of("neuron", "lif", conformance(True, neuron="lif"))
    assert not of("neuron", "lif", conformance(None, neuron="lif"))
    assert not of("neuron", "lif", conformance(False, neuron="lif"))
    assert not of("neuron", "lif"), "nothing was checked"


def test_eager_stands_for_the_backends_that_are_compared_with_it() -> None:
    both = (conformance(True, neuron="lif"), conformance(None, neuron="lif", backend="fused-numba"))
    assert of("neuron", "lif", *both)
    assert not of("neuron", "lif", *both, conformance(False, neuron="lif", backend="compiled"))


def test_variants_of_a_method_leave_vectors_to_the_row_of_their_file() -> None:
    assert of("method", "ottt-o", conformance(True, **METHOD), conformance(None, **{**METHOD, "method": "ottt-o"}))
    assert not of("method", "forward-gradient", conformance(True, **METHOD))


def test_a_neurons_record_says_nothing_of_a_method_and_other_rows_need_both() -> None:
    neuron, method = conformance(True, neuron="if"), conformance(True, **METHOD)
    assert not of("method", "ottt-a", neuron)
    assert not of("neuron", "if", method)
    shared = {"neuron": "if", "method": "ottt-a"}
    assert of("task", "digits", neuron, method, **shared)
    assert not of("task", "digits", neuron, **shared)
    assert not of("task", "digits", neuron, method)


def test_another_machine_or_code_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = conformance(True, neuron="lif")
    machine = elsewhere.provenance.machine.model_copy(update={"name": "elsewhere"})
    moved = elsewhere.model_copy(update={"provenance": elsewhere.provenance.model_copy(update={"machine": machine})})
    assert not of("neuron", "lif", moved)
    monkeypatch.setattr(_Current, "is_current", lambda *_: False)
    assert not of("neuron", "lif", conformance(True, neuron="lif"))


def test_a_forged_list_of_checks_is_no_agreement() -> None:
    real = conformance(True, neuron="lif")
    for checks in ("golden", [["golden", True]], [{"name": "golden", "passed": "yes"}], None):
        assert not of("neuron", "lif", real.model_copy(update={"details": {"checks": checks}}))


def test_tables_show_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Today, "is_current", lambda *_: True)
    factory = Factory(KNOWN)
    timed = [
        factory.measured(Cell("accuracy", "digits", name, "bptt", "mlp", budget="quick")) for name in ("lif", "if")
    ]
    gate = [
        conformance(True, neuron="lif"),
        conformance(None, neuron="if"),
        conformance(None, neuron="if", method="bptt", topology="mlp"),
    ]
    (table,) = build_tables([*timed, *gate], KNOWN, find_board("neurons"))
    shown: dict[str, TableRow] = {row.name: row for row in table.rows}
    assert {name: (row.verified, row.vectors) for name, row in shown.items()} == {
        "lif": (True, True),
        "if": (True, False),
    }
    frame = readable(table)
    assert dict(zip(frame["neuron"], frame["vectors"], strict=True)) == {"lif": "yes", "if": ""}
    assert [*frame["contract"]] == ["yes", "yes"]
    assert ",vectors," in to_text([table], "csv").splitlines()[0]
