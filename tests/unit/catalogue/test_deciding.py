"""The tasks that decide: each can be trained as it is said, and the documents say the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.catalogue.cell import Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.deciding import BESIDE, FOR_METHODS, FOR_NEURONS, Deciding, tasks_of
from harness.catalogue.loading import load_registry
from harness.catalogue.presets import PRESETS

REGISTRY = load_registry()
EVERY = (*FOR_NEURONS, *BESIDE)
DOCUMENT = (Path(__file__).parents[3] / "docs" / "tasks.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("one", EVERY, ids=lambda one: f"{one.task}-{one.topology}")
def test_lif_under_bptt_can_be_trained_on_it(one: Deciding) -> None:
    cell = Cell("accuracy", one.task, "lif", "bptt", one.topology, budget="standard")
    assert why_unsupported(cell, REGISTRY) is None
    assert "standard" in REGISTRY.task(one.task).budgets
    assert len(one.reason) > 40


def test_neurons_have_a_task_for_each_kind_of_data_and_methods_some_of_them() -> None:
    assert len(FOR_NEURONS) == len({one.kind for one in FOR_NEURONS}) == 6
    assert len(FOR_METHODS) == 4
    assert set(FOR_METHODS) <= set(FOR_NEURONS)
    assert not {(one.task, one.topology) for one in FOR_NEURONS} & {(one.task, one.topology) for one in BESIDE}
    assert "mnist" not in {one.task for one in EVERY}
    assert tasks_of(FOR_NEURONS, "conv") == ("fashion-mnist",)


@pytest.mark.parametrize("name", ["neurons", "methods"])
def test_the_presets_train_on_the_tasks_that_decide(name: str) -> None:
    wanted = {(one.task, one.topology) for one in (EVERY if name == "neurons" else FOR_METHODS)}
    trained = {
        (task, topology)
        for selection in PRESETS[name].selections
        if "accuracy" in selection.suites
        for task in selection.tasks
        for topology in selection.topologies
    }
    assert wanted <= trained
    assert {task for task, _ in trained} == {task for task, _ in wanted}


def test_the_documents_name_every_task_and_network_that_decides() -> None:
    rows = [line.split(" | ") for line in DOCUMENT.splitlines() if line.startswith("| ")]
    told = {(cells[0][2:], cells[1].strip("`"), cells[2]) for cells in rows if len(cells) == 4}
    assert {(one.kind, one.task, one.topology) for one in FOR_NEURONS} <= told
    section = DOCUMENT.split("## Tasks that decide")[1].split("\n## ")[0]
    for one in BESIDE:
        assert f"`{one.task}`" in section
