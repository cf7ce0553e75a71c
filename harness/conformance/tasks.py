"""The contract of a task, clause by clause: what `load` and `encode` promise to whatever is measured on them.

The data are read, twice; nothing is trained. Must not know any task by name.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from harness.catalogue.cards import Registry, TaskCard
from harness.catalogue.cell import Cell
from harness.conformance import Check, require
from harness.tasks.common.base import Samples, Split, Task
from harness.workload import Workload
from reference_impls.dense_network import build_dense
from reference_impls.discovery import load_class

__all__ = ["TASK_CHECKS", "TaskSubject"]

BATCH = 4
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class TaskSubject:
    """A task row, with the place of its data."""

    name: str
    registry: Registry
    data_root: Path | None = None

    @property
    def card(self) -> TaskCard:
        """Return what the task's card says."""
        return self.registry.task(self.name)

    @functools.cached_property
    def task(self) -> Task:
        """Return the task, built as a run builds it."""
        row = self.registry.tasks[self.name]
        task: Task = load_class(row.module, Task)(self.card, **row.params)
        return task

    @functools.cached_property
    def split(self) -> Split:
        """Return what `load` gives for seed 0."""
        split = self.task.load(self.data_root, 0)
        require(isinstance(split, Split), f"load returns a {type(split).__name__}; return split_of(...), a Split")
        return split

    @property
    def batch(self) -> Tensor:
        """Return a few training samples as they lie in memory."""
        return self.split.train.inputs[:BATCH]


def _parts(split: Split) -> Iterable[tuple[str, Samples]]:
    return zip(PARTS, (split.train, split.validation, split.test), strict=True)


def _has_samples(subject: TaskSubject) -> None:
    for part, samples in _parts(subject.split):
        inputs = len(samples.inputs)
        # Trials of a signal that are all equal leave nothing to choose an epoch by.
        may_be_empty = part == "validation" and _has_signals(subject)
        require(inputs > 0 or may_be_empty, f"its {part} part is empty")
        require(inputs == len(samples.labels), f"its {part} part has {inputs} inputs and {len(samples.labels)} labels")


def _has_the_cards_classes(subject: TaskSubject) -> None:
    classes = set(range(subject.card.classes))
    for part, samples in _parts(subject.split):
        labels = samples.labels
        require(labels.dtype == torch.int64, f"its {part} labels are {labels.dtype}; classes are torch.int64")
        strange = sorted({*labels.tolist()} - classes)
        require(not strange, f"its {part} labels have {strange[:5]}; the card's {len(classes)} classes count from 0")
    absent = sorted(classes - {*subject.split.train.labels.tolist()})
    require(not absent, f"the training part has no sample of the classes {absent[:5]}")


def _has_the_cards_signals(subject: TaskSubject) -> None:
    for part, samples in _parts(subject.split):
        shape = (len(samples.labels), subject.card.T, subject.card.classes)
        require(
            tuple(samples.labels.shape) == shape, f"its {part} signals are {tuple(samples.labels.shape)}, not {shape}"
        )


def _has_the_cards_images(subject: TaskSubject) -> None:
    card = subject.card
    # Boxes have a grid of their own, coarser than a sample's.
    side = card.sample_shape[1:] if card.target != "boxes" else subject.split.train.labels.shape[-2:]
    image = (card.classes, *side)
    # Frames begin with the one before the first window.
    first = 1 if card.target == "frames" else 0
    for part, samples in _parts(subject.split):
        shape = tuple(samples.labels.shape)
        right = len(shape) == 5 and shape[2:] == image and shape[1] > first
        require(
            right, f"its {part} labels are {shape}; images of windows are [N, windows, {', '.join(map(str, image))}]"
        )
        windows = shape[1] - first
        require(card.T % windows == 0, f"its {windows} windows do not divide the card's {card.T} steps")
        require(samples.labels.is_floating_point(), f"its {part} labels are {samples.labels.dtype}, not floats")
        require(bool(torch.isfinite(samples.labels).all()), f"its {part} labels are not finite everywhere")


def _reads_the_same_again(subject: TaskSubject) -> None:
    again = subject.task.load(subject.data_root, 0)
    require(again.digest == subject.split.digest, "load gives another split the second time: fix what it draws")
    for (part, first), (_, second) in zip(_parts(subject.split), _parts(again), strict=True):
        same = torch.equal(first.inputs, second.inputs) and torch.equal(first.labels, second.labels)
        require(same, f"load gives other {part} samples the second time: fix what it draws")


def _encodes_to_the_cards_shape(subject: TaskSubject) -> None:
    x, card = subject.task.encode(subject.batch), subject.card
    wanted = (card.T, len(subject.batch), *card.sample_shape)
    require(tuple(x.shape) == wanted, f"encode gives {tuple(x.shape)}; the card says [T, B, *sample_shape] = {wanted}")
    require(x.is_floating_point(), f"encode gives {x.dtype}, not floats")
    require(bool(torch.isfinite(x).all()), "encode gives values that are not finite")


def _encodes_each_sample_alone(subject: TaskSubject) -> None:
    together = subject.task.encode(subject.batch)
    for index in range(len(subject.batch)):
        alone = subject.task.encode(subject.batch[index : index + 1])
        require(torch.equal(alone[:, 0], together[:, index]), f"encode gives sample {index} other values in a batch")


def _events_are_counts(subject: TaskSubject) -> None:
    x = subject.task.encode(subject.batch)
    counts = bool(((x >= 0) & (x == x.round())).all())
    require(counts, 'encode gives values that are no counts: say "input_kind": "analog", or encode spikes')


def _networks_read_it(subject: TaskSubject) -> None:
    card = subject.card
    require(bool(card.networks), 'the card names no network: "networks": {"mlp": {"hidden": [64]}}')
    x = subject.task.encode(subject.batch)
    for topology in card.networks:
        if topology in subject.registry.systems:
            row = subject.registry.systems[topology]
            params = {**row.params, **card.networks[topology]}
            network = build_dense(row.card.name, card.sample_shape, card.classes, **params)
            with torch.no_grad():
                image = network.answer(x[:, :1].float()).image
            wanted = (card.T, 1, *subject.split.train.labels.shape[2:])
            require(tuple(image.shape) == wanted, f"{topology} answers {tuple(image.shape)}, not {wanted}")
            continue
        require(
            topology in subject.registry.topologies, f"there is no topology {topology!r}: spikeboard list topologies"
        )
        cell = Cell("accuracy", subject.name, "lif", "bptt", topology, budget=next(iter(card.budgets)))
        filled = Workload(cell, subject.registry, subject.data_root).network()
        logits = filled.run(x.float()).logits
        require(
            logits.shape[-1] == card.classes, f"{topology} answers {tuple(logits.shape)} for {card.classes} classes"
        )


def _has_classes(subject: TaskSubject) -> bool:
    return subject.card.target == "classes"


def _has_signals(subject: TaskSubject) -> bool:
    return subject.card.target == "signal"


def _has_images(subject: TaskSubject) -> bool:
    return subject.card.target in ("frames", "flow", "boxes")


TASK_CHECKS: tuple[Check[TaskSubject], ...] = (
    Check("samples", "Every part has samples, each with a label.", _has_samples),
    Check(
        "classes", "Labels are classes from 0 to classes - 1; all are trained.", _has_the_cards_classes, _has_classes
    ),
    Check(
        "signals",
        "Labels are signals [N, T, components].",
        _has_the_cards_signals,
        _has_signals,
    ),
    Check("images", "Labels are an image for every window of steps.", _has_the_cards_images, _has_images),
    Check("same again", "The same seed reads the same samples into the same parts.", _reads_the_same_again),
    Check("shape", "encode gives finite floats [T, B, *sample_shape].", _encodes_to_the_cards_shape),
    Check("each alone", "A sample's encoding does not depend on its batch.", _encodes_each_sample_alone),
    Check(
        "counts",
        "Events are counts.",
        _events_are_counts,
        lambda subject: subject.card.input_kind == "events",
    ),
    Check(
        "networks",
        "Every network of the card reads it.",
        _networks_read_it,
        lambda subject: not _has_signals(subject),
    ),
)
