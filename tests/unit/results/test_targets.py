"""Targets: what the seeds of LIF under BPTT end with, as data that budgets carry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import record

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry, with_targets
from harness.catalogue.targets import Target, read_targets, write_targets
from harness.results.record import Metric, Record
from harness.results.targets import targets_from

CELL = Cell("accuracy", "fsdd", "lif", "bptt", "mlp", budget="standard")


def ended(error: float, seed: int, **axes: object) -> Record:
    validation = Metric(value=error, unit="fraction", direction="lower", n=300)
    return record(replace(CELL, seed=seed, **axes), metrics={"validation_error_fraction": validation})


def test_the_target_is_one_that_every_seed_of_the_reference_reaches() -> None:
    (found,) = targets_from([ended(0.1, 0), ended(0.1234567, 1), ended(0.11, 2), ended(0.01, 0, neuron="psn")])
    assert found.error_fraction == 0.123457, "rounded up: the worst seed reaches it"
    assert found.mean_error_fraction == pytest.approx(0.111152, abs=1e-6)
    assert (found.task, found.budget, found.topology, found.recipe) == ("fsdd", "standard", "mlp", "default")
    assert found.seeds == (0, 1, 2)


def test_tuned_seeds_count_before_default_ones_and_a_single_seed_is_none() -> None:
    default = [ended(0.2, 0), ended(0.21, 1)]
    assert targets_from(default[:1]) == []
    tuned = [ended(0.05, 0, recipe="tuned"), ended(0.06, 1, recipe="tuned")]
    (found,) = targets_from([*default, *tuned])
    assert (found.recipe, found.error_fraction) == ("tuned", 0.06)
    (found,) = targets_from([*default, tuned[0]])
    assert found.recipe == "default"
    choosing = [ended(0.01, 1000), ended(0.01, 1001)]
    assert targets_from(choosing) == [], "seeds that tuning has chosen with are no evidence"


def test_the_network_that_a_task_decides_with_counts() -> None:
    conv = [ended(0.01, seed, topology="conv") for seed in (0, 1)]
    (found,) = targets_from([*conv, ended(0.1, 0), ended(0.11, 1)])
    assert found.topology == "mlp"
    images = [replace_task(one, "fashion-mnist") for one in (*conv, ended(0.001, 0), ended(0.001, 1))]
    (found,) = targets_from(images)
    assert found.topology == "conv"


def replace_task(one: Record, task: str) -> Record:
    return record(replace(one.cell, task=task), metrics=dict(one.metrics))


def test_what_is_written_is_read_and_reaches_the_budget(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    target = Target("digits", "quick", 0.25, 0.2, "mlp", "tuned", (0, 1), "")
    write_targets([target], path)
    known, problems = read_targets(path)
    assert problems == []
    assert known == {("digits", "quick"): target}
    aimed = with_targets(load_registry(), path).task("digits")
    assert aimed.budgets["quick"].target_error == 0.25
    assert aimed.budgets["smoke"].target_error == aimed.target_error, "without one it is the card's"


def test_a_file_that_is_wrong_is_named(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    path.write_text("{not json")
    assert "no JSON" in str(read_targets(path)[1][0])
    path.write_text('[{"task": "digits", "budgett": "quick"}]')
    (problem,) = read_targets(path)[1]
    assert "targets.json" in str(problem)
    assert "budgett" in str(problem)
    write_targets([Target("digits", "quick", 1.5, 0.2, "mlp", "tuned", (0,), "")], path)
    assert "error_fraction must lie in [0, 1)" in str(read_targets(path)[1][0])


def test_the_file_that_travels_with_the_project_can_be_read() -> None:
    known, problems = read_targets()
    assert problems == []
    tasks = load_registry().tasks
    assert known
    for task, budget in known:
        assert budget in load_registry().task(task).budgets, (task, budget)
        assert task in tasks
