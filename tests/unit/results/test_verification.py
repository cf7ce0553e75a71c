"""A figure is verified by the conformance of the very code that gave it, and by nothing that is easily made up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from synthetic import Factory, registry

from harness.catalogue.boards import find_board
from harness.catalogue.cell import Cell
from harness.results.freshness import Today
from harness.results.queries import CONTRACTS, wanted_by
from harness.results.record import Record
from harness.results.verification import Verification

ROWS = registry()
FACTORY = Factory(ROWS)
SPEED = FACTORY.measured(Cell("throughput", "digits", "lif", "bptt", "mlp", budget="quick"))
NEURON = FACTORY.conformance(Cell("conformance", neuron="lif", dtype="float64"))
METHOD = FACTORY.conformance(Cell("conformance", neuron="if", method="bptt", topology="mlp", dtype="float64"))
OTHER_CODE = {"code_hash": "0" * 64}


def with_origin(one: Record, **changes: Any) -> Record:
    return one.model_copy(update={"provenance": one.provenance.model_copy(update=changes)})


def verified(*conformance: Record, figure: Record = SPEED) -> bool:
    return Verification(conformance, ROWS, Today(ROWS)).of(figure)


def test_neuron_and_method_must_have_passed() -> None:
    assert verified(NEURON, METHOD)
    assert not verified(NEURON)
    assert not verified(METHOD)
    assert not verified()


@pytest.mark.parametrize("forged", [NEURON, METHOD], ids=["neuron", "method"])
def test_conformance_of_other_code_verifies_nothing(forged: Record) -> None:
    rest = METHOD if forged is NEURON else NEURON
    assert not verified(with_origin(forged, **OTHER_CODE), rest)


def test_the_conformance_of_another_row_renamed_verifies_nothing() -> None:
    cell = replace(NEURON.cell, neuron="psn")
    renamed = NEURON.model_copy(update={"cell": cell, "cell_id": cell.id})
    figure = FACTORY.measured(replace(SPEED.cell, neuron="psn"))
    assert not verified(renamed, METHOD, figure=figure)
    assert verified(FACTORY.conformance(cell), METHOD, figure=figure)


def test_a_figure_of_other_code_is_not_verified_by_todays_conformance() -> None:
    assert not verified(NEURON, METHOD, figure=with_origin(SPEED, **OTHER_CODE))


@pytest.mark.parametrize(
    "forged",
    [
        FACTORY.conformance(NEURON.cell, broken=1),
        NEURON.model_copy(update={"status": "crashed"}),
        NEURON.model_copy(update={"metrics": {"failed_checks": NEURON.metrics["failed_checks"]}}),
        NEURON.model_copy(update={"details": {}}),
        NEURON.model_copy(update={"details": {"checks": []}}),
        NEURON.model_copy(update={"details": {"checks": [{"passed": "yes"}] * 6}}),
        NEURON.model_copy(update={"details": {"checks": [{"passed": True}] * 5}}),
        NEURON.model_copy(update={"details": {"checks": [*NEURON.details["checks"][:5], {"passed": False}]}}),
    ],
)
def test_a_record_without_its_checks_is_no_proof(forged: Record) -> None:
    assert not verified(forged, METHOD)


def test_conformance_on_another_machine_or_backend_does_not_count() -> None:
    elsewhere = NEURON.provenance.machine.model_copy(update={"name": "another"})
    assert not verified(with_origin(NEURON, machine=elsewhere), METHOD)
    fused = FACTORY.conformance(replace(NEURON.cell, backend="fused-numba"))
    assert not verified(fused, METHOD)


def elsewhere(one: Record) -> Record:
    return with_origin(one, machine=one.provenance.machine.model_copy(update={"name": "another"}))


def test_what_tells_of_no_machine_may_rest_on_a_contract_that_was_passed_elsewhere() -> None:
    error = FACTORY.measured(replace(SPEED.cell, suite="accuracy"))
    assert verified(elsewhere(NEURON), elsewhere(METHOD), figure=error)
    assert verified(elsewhere(NEURON), METHOD, figure=error)
    assert not verified(elsewhere(METHOD), figure=error)
    broken = FACTORY.conformance(NEURON.cell, broken=1)
    assert not verified(elsewhere(NEURON), METHOD, broken, figure=error), "its own machine says otherwise"
    assert verified(elsewhere(broken), NEURON, METHOD, figure=error), "its own machine says enough"
    third = with_origin(NEURON, machine=NEURON.provenance.machine.model_copy(update={"name": "a third"}))
    assert not verified(elsewhere(broken), third, METHOD, figure=error), "one of the others found it wanting"
    assert not verified(with_origin(elsewhere(NEURON), **OTHER_CODE), METHOD, figure=error)


@pytest.mark.parametrize("board", ["neurons", "graphs"])
def test_what_verifies_a_tables_rows_is_asked_for_with_them(board: str) -> None:
    asked = {suite for one in wanted_by([find_board(board)], {}, None) for suite in one.axes["suite"]}
    assert asked >= {*CONTRACTS}
