"""Schedule, clipping and weight decay hold at every step of an optimizer, whoever calls it; else nothing is new."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from structures import TOPOLOGY_OF
from torch import nn

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.catalogue.recipes import OptimizerValues, Origin, Recipe, Values, combination_of
from harness.optimizers import Course, OptimizerSettings, make_optimizer
from harness.suites.common.train import batches, train
from harness.workload import Workload

REGISTRY = load_registry()
CELL = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="smoke")
ORIGIN = Origin("", "", 1, 0, 0.0, (1000,), "")


def with_recipe(cell: Cell, values: Values) -> Workload:
    """Return the work on `cell` with hyper-parameters that no card says."""
    tuned = replace(cell, recipe="tuned")
    key = combination_of(tuned)
    return Workload(tuned, replace(REGISTRY, recipes={"tuned": {key: Recipe(key, values, ORIGIN)}}))


def layer() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 2)


def step(optimizer: torch.optim.Optimizer, module: nn.Linear, scale: float = 1.0) -> None:
    optimizer.zero_grad()
    (scale * module(torch.ones(4, 3)).pow(2).sum()).backward()
    optimizer.step()


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_plain_settings_are_the_plain_optimizer(name: str) -> None:
    ours, theirs = layer(), layer()
    optimizer = make_optimizer(ours.parameters(), OptimizerSettings(name, 0.01), Course())
    plain = {
        "adam": lambda: torch.optim.Adam(theirs.parameters(), lr=0.01),
        "sgd": lambda: torch.optim.SGD(theirs.parameters(), lr=0.01, momentum=0.9),
    }[name]()
    for _ in range(5):
        step(optimizer, ours)
        step(plain, theirs)
    assert torch.equal(ours.weight, theirs.weight)
    assert torch.equal(ours.bias, theirs.bias)


def test_a_cosine_goes_by_the_part_of_the_budget_and_keeps_what_others_scaled() -> None:
    course, module = Course(), layer()
    optimizer = make_optimizer(module.parameters(), OptimizerSettings("sgd", 0.2, schedule="cosine"), course)
    optimizer.param_groups[0]["lr"] *= 0.5  # as a method does that goes slower than the rate it is given
    for fraction in (0.0, 0.25, 0.25, 0.5, 0.9, 1.5):
        course.fraction = fraction
        step(optimizer, module)
        expected = 0.1 * (1 + math.cos(math.pi * min(fraction, 1.0))) / 2
        assert optimizer.param_groups[0]["lr"] == pytest.approx(expected, abs=1e-15)


def test_an_optimizer_at_rest_stays_at_rest() -> None:
    course, module = Course(), layer()
    optimizer = make_optimizer(module.parameters(), OptimizerSettings("adam", 0.2, schedule="cosine"), course)
    optimizer.param_groups[0]["lr"] = 0.0
    before = module.weight.detach().clone()
    step(optimizer, module)
    assert torch.equal(module.weight, before)


def test_a_gradient_that_is_too_long_is_shortened_over_all_parameters() -> None:
    module, free = layer(), layer()
    clipped = make_optimizer(module.parameters(), OptimizerSettings("sgd", 1.0, momentum=0, clip_norm=0.5), Course())
    step(clipped, module, scale=100.0)
    moved = [after - before for after, before in zip(module.parameters(), free.parameters(), strict=True)]
    assert torch.cat([part.flatten() for part in moved]).norm().item() == pytest.approx(0.5, rel=1e-5)
    step(clipped, module, scale=0.0)  # nothing to divide by


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_weights_decay_and_biases_do_not(name: str) -> None:
    module = layer()
    before = [parameter.detach().clone() for parameter in module.parameters()]
    optimizer = make_optimizer(module.parameters(), OptimizerSettings(name, 0.1, weight_decay=0.01), Course())
    step(optimizer, module, scale=0.0)
    assert torch.allclose(module.weight, before[0] * (1 - 0.1 * 0.01), rtol=1e-6, atol=0)
    assert torch.equal(module.bias, before[1])


def test_a_recipe_that_says_what_the_cards_say_trains_the_same_to_the_last_bit() -> None:
    said = with_recipe(CELL, Values(OptimizerValues(weight_decay=0.0, schedule="constant"), {"tau": 2.0}))
    default, tuned = (train(workload)[1] for workload in (Workload(CELL, REGISTRY), said))
    assert default.epochs == tuned.epochs
    assert default.best_weights.keys() == tuned.best_weights.keys()
    assert all(torch.equal(value, tuned.best_weights[name]) for name, value in default.best_weights.items())


def test_a_recipe_reaches_neuron_method_and_network() -> None:
    cell = replace(CELL, neuron="lif", method="ottt-a")
    values = Values(neuron={"tau": 4.0, "surrogate.alpha": 3.0}, method={"mse_weight": 0.25}, topology={"hidden": [8]})  # type: ignore[dict-item]
    workload = with_recipe(cell, values)
    (neuron,) = workload.network().neurons()
    assert neuron.decay == 0.75
    assert dict(neuron.surrogate.params)["alpha"] == 3.0
    assert workload.method().mse_weight == 0.25  # type: ignore[attr-defined]
    assert next(workload.network().parameters()).shape == (8, 64)


METHODS = [name for name, row in REGISTRY.methods.items() if row.card.optimizer_space]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_steps_by_the_recipe(method: str) -> None:
    """Half way through the budget the rate is half, and no gradient is longer than it may be."""
    structures = REGISTRY.methods[method].capabilities.structures
    topology = next(TOPOLOGY_OF[name] for name in structures if TOPOLOGY_OF[name] in ("mlp", "feedback", "reversible"))
    settings = OptimizerValues(learning_rate=1e-3, weight_decay=1e-3, schedule="cosine", clip_norm=1e-4)
    workload = with_recipe(replace(CELL, neuron="if", method=method, topology=topology), Values(settings))
    learner = workload.method()
    learner.prepare(workload.network(), workload.optimizer)
    assert learner.optimizer is not None
    whole = [group["lr"] for group in learner.optimizer.param_groups]
    workload.course.fraction = 0.5
    x, target = next(batches(workload.split.train, 8, workload, None))
    learner.update(x, target)
    assert [group["lr"] for group in learner.optimizer.param_groups] == pytest.approx([rate / 2 for rate in whole])
    seen = [
        parameter.grad.flatten()
        for group in learner.optimizer.param_groups
        for parameter in group["params"]
        if parameter.grad is not None
    ]
    assert (
        torch.cat(seen).norm() <= 1e-4 * 1.001 if seen else REGISTRY.methods[method].capabilities.updates != "per_batch"
    )


def test_a_training_tells_how_far_it_is() -> None:
    told: list[float] = []
    workload = with_recipe(CELL, Values(OptimizerValues(schedule="cosine")))

    def noted(parameters: object) -> torch.optim.Optimizer:
        made = make_optimizer(parameters, workload.optimizer_settings, workload.course)  # type: ignore[arg-type]
        made.register_step_pre_hook(lambda *_: told.append(workload.course.fraction))
        return made

    object.__setattr__(workload, "optimizer", noted)
    train(workload)
    batch, limit, epochs = workload.budget.batch_size, workload.budget.train_limit, workload.budget.epochs
    assert limit is not None
    samples = min(limit, len(workload.split.train))
    assert told == [
        pytest.approx((epoch * samples + seen) / (epochs * samples))
        for epoch in range(epochs)
        for seen in range(0, samples, batch)
    ]
