"""The contract of a task: what is broken is said in the task's own terms, and embedded tasks keep it."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.catalogue.cards import Registry, TaskCard
from harness.catalogue.loading import load_registry
from harness.conformance import run_checks
from harness.conformance.tasks import TASK_CHECKS, TaskSubject
from harness.tasks.common.base import Samples, Split, Task

REGISTRY = load_registry()


class Changed(Task):
    """A task of the project with one thing broken."""

    def __init__(self, real: TaskSubject, load: Callable[[Split], Any], encode: Callable[[Tensor], Tensor]) -> None:
        super().__init__(real.card)
        self.real, self.after_load, self.after_encode = real, load, encode

    def load(self, data_root: Any, seed: int) -> Any:
        return self.after_load(self.real.split)

    def encode(self, inputs: Tensor) -> Tensor:
        return self.after_encode(self.real.task.encode(inputs))


@functools.cache
def real(name: str) -> TaskSubject:
    """Its data are read once, which takes longer than everything else here."""
    return TaskSubject(name, REGISTRY)


def same(value: Any) -> Any:
    return value


def problems(
    load: Callable[[Split], Any] = same,
    encode: Callable[[Tensor], Tensor] = same,
    name: str = "digits-events",
    registry: Registry = REGISTRY,
) -> dict[str, str]:
    subject = TaskSubject(name, registry)
    subject.__dict__["task"] = Changed(real(name), load, encode)
    return {one.name: one.problem for one in run_checks(TASK_CHECKS, subject) if not one.passed}


def with_card(name: str, **changes: Any) -> Registry:
    row = REGISTRY.tasks[name]
    assert isinstance(row.card, TaskCard)
    return replace(REGISTRY, tasks={**REGISTRY.tasks, name: replace(row, card=replace(row.card, **changes))})


def labelled(split: Split, labels: Callable[[Tensor], Tensor]) -> Split:
    return split._replace(train=Samples(split.train.inputs, labels(split.train.labels)))


@pytest.mark.parametrize("name", ["digits", "digits-rows", "digits-events", "adding", "two-sines"])
def test_tasks_of_the_project_keep_it(name: str) -> None:
    assert [one.problem for one in run_checks(TASK_CHECKS, real(name)) if not one.passed] == []


counter = itertools.count()
EMPTY = Samples(torch.zeros(0, 1), torch.zeros(0, dtype=torch.int64))


@pytest.mark.parametrize(
    ("load", "clause", "told"),
    [
        (tuple, "samples", "return split_of(...), a Split"),
        (lambda split: split._replace(test=EMPTY), "samples", "its test part is empty"),
        (lambda split: labelled(split, lambda y: y[:-1]), "samples", "inputs and"),
        (lambda split: labelled(split, lambda y: y.float()), "classes", "classes are torch.int64"),
        (lambda split: labelled(split, lambda y: y + 1), "classes", "count from 0"),
        (lambda split: labelled(split, lambda y: y.clamp(max=8)), "classes", "no sample of the classes [9]"),
        (lambda split: split._replace(digest=str(next(counter))), "same again", "another split the second time"),
        (
            lambda split: split._replace(train=Samples(split.train.inputs + next(counter), split.train.labels)),
            "same again",
            "other train samples the second time",
        ),
    ],
)
def test_what_load_breaks_is_said(load: Callable[[Split], Any], clause: str, told: str) -> None:
    assert told in problems(load=load)[clause]


@pytest.mark.parametrize(
    ("encode", "clause", "told"),
    [
        (lambda x: x[1:], "shape", "[T, B, *sample_shape]"),
        (lambda x: x.int(), "shape", "not floats"),
        (lambda x: x / 0, "shape", "not finite"),
        (lambda x: x - x.mean(), "each alone", "other values in a batch"),
        (lambda x: x / 3, "counts", '"input_kind": "analog"'),
    ],
)
def test_what_encode_breaks_is_said(encode: Callable[[Tensor], Tensor], clause: str, told: str) -> None:
    assert told in problems(encode=encode)[clause]


@pytest.mark.parametrize(
    ("networks", "told"), [({}, "the card names no network"), ({"mpl": {"hidden": [4]}}, "there is no topology 'mpl'")]
)
def test_what_the_card_breaks_is_said(networks: dict[str, Any], told: str) -> None:
    assert told in problems(registry=with_card("digits-events", networks=networks))["networks"]


def test_a_signal_of_another_length_is_said() -> None:
    assert "its train signals are" in problems(name="two-sines", registry=with_card("two-sines", classes=3))["signals"]
