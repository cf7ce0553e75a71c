"""Which nodes may take part in a run: the same machine, commit, code and data as it was planned for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.execute.cluster.fitness import Expected, broken_data, expected_of, why_unfit
from harness.results.provenance import Origin, this_origin

CELLS = [
    *(Cell("accuracy", "fsdd", "lif", "bptt", "mlp", budget="quick", seed=seed) for seed in range(3)),
    Cell("accuracy", "digits", "plif", "bptt", "mlp", budget="quick"),
]
ROOT = Path("data")


@pytest.fixture(scope="module")
def expected() -> Expected:
    origin = this_origin()
    return expected_of(CELLS, load_registry(), origin, origin.machine.name)


def unfit(expected: Expected, origin: Origin | None = None, findings: Mapping[str, str] | None = None) -> list[str]:
    def verify(name: str, root: Path) -> list[str]:
        assert root == ROOT
        return [findings[name]] if findings and name in findings else []

    return why_unfit(expected, load_registry(), origin or this_origin(), ROOT, verify)


def test_cells_of_one_fingerprint_are_asked_once(expected: Expected) -> None:
    assert list(expected.inputs) == [CELLS[0], CELLS[3]]
    assert expected.data == ("digits", "fsdd")


def test_a_node_like_the_driver_takes_part(expected: Expected) -> None:
    assert unfit(expected) == []


def other_commit(expected: Expected) -> tuple[Expected, Origin]:
    return replace(expected, commit="a" * 40), replace(this_origin(), commit="b" * 40)


def other_machine(expected: Expected) -> tuple[Expected, Origin]:
    origin = this_origin()
    return replace(expected, machine="h200"), replace(origin, machine=replace_name(origin.machine, "t4"))


def replace_name(machine: Any, name: str) -> Any:
    return machine.model_copy(update={"name": name})


def other_code(expected: Expected) -> tuple[Expected, Origin]:
    (cell, inputs), *rest = expected.inputs.items()
    return replace(expected, inputs={cell: {**inputs, "neuron": "0"}, **dict(rest)}), this_origin()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (other_commit, "it has commit bbbbbbbbbb, and the run is of aaaaaaaaaa"),
        (other_machine, "it is another machine (t4), and the figures of a run are of one: h200"),
        (other_code, "its code or packages differ in what decides figures: neuron"),
    ],
)
def test_a_node_that_differs_is_refused_with_a_sentence(
    expected: Expected, change: Callable[[Expected], tuple[Expected, Origin]], reason: str
) -> None:
    assert unfit(*change(expected)) == [reason]


def test_a_node_that_runs_cells_in_the_background_measures_no_times(expected: Expected) -> None:
    timed = replace(expected, timed=True)
    assert not expected.timed
    assert expected_of([Cell("throughput", neuron="lif")], load_registry(), this_origin(), "any").timed
    assert why_unfit(expected, load_registry(), this_origin(), ROOT, lambda *_: (), 15) == []
    (said,) = why_unfit(timed, load_registry(), this_origin(), ROOT, lambda *_: (), 15)
    assert said.endswith("start Ray there with RAY_worker_niceness=0")


def test_a_node_with_other_data_is_refused(expected: Expected) -> None:
    finding = "SHA-256 of all is 1234, expected 5678"
    assert unfit(expected, findings={"fsdd": finding}) == [f"data set 'fsdd': {finding}"]


def test_data_that_are_not_there_are_no_data(tmp_path: Path) -> None:
    (said,) = broken_data("fsdd", tmp_path)
    assert said.startswith(f"data set 'fsdd' is not in {tmp_path}")
    assert broken_data("digits", tmp_path) == [], "a package brings them along"
