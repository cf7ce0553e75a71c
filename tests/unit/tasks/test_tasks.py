"""What every task promises."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from harness.catalogue.cards import Row
from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.data import DATA_SETS
from harness.tasks.common.base import Task
from harness.workload import Workload
from reference_impls.api import build_network, build_neuron
from reference_impls.discovery import load_class

REGISTRY = load_registry()
SAMPLED = {name: row for name, row in REGISTRY.tasks.items() if REGISTRY.task(name).target not in ("links", "control")}
"""Those that have samples; graphs and environments have contracts of their own."""
TASKS = pytest.mark.parametrize("row", SAMPLED.values(), ids=list(SAMPLED))
OF_NEURONS = [row for row in SAMPLED.values() if REGISTRY.task(row.name).target in ("classes", "signal")]
"""Tasks whose networks any neuron fills; those of dense targets have networks of their own."""


def build(row: Row) -> Task:
    task: Task = load_class(row.module, Task)(REGISTRY.task(row.name), **row.params)
    return task


def raw_batch(row: Row, size: int = 3) -> torch.Tensor:
    """Samples in the form that the task's `load` documents."""
    card = REGISTRY.task(row.name)
    constant = card.encoding.startswith("direct")
    shape = card.sample_shape if constant else (card.T, *card.sample_shape)
    return torch.randint(0, 2, (size, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_tasks_of_the_project_are_found() -> None:
    assert set(REGISTRY.tasks) >= {
        *("digits", "digits-rows", "digits-events", "delayed-xor", "adding"),
        *("mnist", "fashion-mnist", "cifar10", "cifar100", "smnist", "psmnist", "smnist-rows"),
        *("nmnist", "nmnist-1100", "cifar10dvs", "dvsgesture", "fsdd", "fsdd-rate", "shd", "ssc"),
    }
    assert not [problem for problem in REGISTRY.problems if "/tasks/" in str(problem)]


@TASKS
def test_card_names_a_known_data_set_and_every_budget(row: Row) -> None:
    card = REGISTRY.task(row.name)
    assert card.data in DATA_SETS
    assert {"smoke", "quick", "standard"} <= set(card.budgets)
    assert card.budgets["smoke"].epochs == 1
    assert card.budgets["smoke"].train_limit
    assert card.networks


@TASKS
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float64])
def test_encoding_has_the_cards_shape_and_keeps_float_types(row: Row, dtype: torch.dtype) -> None:
    card = REGISTRY.task(row.name)
    x = build(row).encode(raw_batch(row).to(dtype))
    assert x.shape == (card.T, 3, *card.sample_shape)
    assert x.dtype == (dtype if dtype.is_floating_point else torch.float32)
    assert x.min() >= 0
    assert x.max() <= 1


@pytest.mark.parametrize("row", OF_NEURONS, ids=[row.name for row in OF_NEURONS])
def test_every_network_of_the_card_reads_the_encoding(row: Row) -> None:
    card = REGISTRY.task(row.name)
    x = build(row).encode(raw_batch(row))
    for topology, params in card.networks.items():
        neuron = functools.partial(build_neuron, "lif")
        logits = build_network(topology, card.sample_shape, card.classes, neuron, **params)(x)
        assert logits.shape == (card.T, 3, card.classes)


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_direct_encoding_is_a_broadcast_over_time(name: str) -> None:
    task = build(REGISTRY.tasks[name])
    x = task.encode(raw_batch(REGISTRY.tasks[name]))
    assert x.stride(0) == 0
    assert torch.equal(x[0], x[-1])


@pytest.fixture
def one_thread() -> Iterator[None]:
    """More threads than free cores make small networks ten times slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("name", "epochs", "least"),
    [
        ("digits", 5, 0.8),
        ("digits-rows", 8, 0.4),
        ("digits-events", 5, 0.6),
        pytest.param("delayed-xor-0", 8, 0.6, marks=pytest.mark.slow),  # eight times as many samples as the others
    ],
)
@pytest.mark.usefixtures("one_thread")
def test_tasks_without_files_can_be_learned(name: str, epochs: int, least: float) -> None:
    torch.manual_seed(0)
    cell = Cell("accuracy", task=name, neuron="lif", method="bptt", topology="mlp", budget="quick")
    workload = Workload(cell, REGISTRY, Path("no data needed"))
    method = workload.method()
    method.prepare(workload.network(), workload.optimizer)
    train, _, test, _ = workload.split
    for _ in range(epochs):
        for chosen in torch.randperm(len(train.labels)).split(workload.budget.batch_size):
            method.update(workload.task.encode(train.inputs[chosen]), train.labels[chosen])
    right = method.predict(workload.task.encode(test.inputs)).argmax(1) == test.labels
    assert right.float().mean() > least
