"""The contract of a task that is an environment: it is made, and a few steps are gone. Must not know any task."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.catalogue.cards import Registry, TaskCard
from harness.conformance import Check, require
from harness.data import data_set
from harness.data.base import data_root as resolve_root
from harness.tasks.common.environment import ControlTask
from reference_impls.discovery import load_class

__all__ = ["ENVIRONMENT_CHECKS", "EnvironmentSubject"]

STEPS = 20


@dataclass(frozen=True)
class EnvironmentSubject:
    """A task row, with the folder of data sets, in which a simulator is none."""

    name: str
    registry: Registry
    data_root: Path | None = None

    @property
    def card(self) -> TaskCard:
        """Return what the task's card says."""
        return self.registry.task(self.name)

    def made(self) -> Any:
        """Return a new environment."""
        if self.card.data is not None:
            data_set(self.card.data).require(resolve_root(self.data_root))
        row = self.registry.tasks[self.name]
        task: ControlTask = load_class(row.module, ControlTask)(self.card, **row.params)
        return task.make()


def _has_the_cards_spaces(subject: EnvironmentSubject) -> None:
    environment, card = subject.made(), subject.card
    seen, done = environment.observation_space.shape, environment.action_space.shape
    require(
        seen == tuple(card.sample_shape),
        f"observations have shape {seen}; the card's sample_shape is {card.sample_shape}",
    )
    require(done == (card.classes,), f"actions have shape {done}; the card says {card.classes} components (classes)")
    low, high = environment.action_space.low, environment.action_space.high
    require(all(map(math.isfinite, (*low, *high))), f"actions go from {low} to {high}: an actor needs finite bounds")


def _walk(environment: Any, seed: int) -> list[tuple[list[float], float]]:
    """Go some steps with actions of the middle, and return what was seen and earned."""
    observation, _ = environment.reset(seed=seed)
    action = (environment.action_space.low + environment.action_space.high) / 2
    walked = [([float(value) for value in observation], 0.0)]
    for _ in range(STEPS):
        observation, reward, ended, cut, _ = environment.step(action)
        walked.append(([float(value) for value in observation], float(reward)))
        if ended or cut:
            break
    return walked


def _gives_finite_numbers(subject: EnvironmentSubject) -> None:
    walked = _walk(subject.made(), 0)
    finite = all(math.isfinite(number) for seen, reward in walked for number in (*seen, reward))
    require(finite, "it gives observations or rewards that are not finite")


def _same_seed_same_course(subject: EnvironmentSubject) -> None:
    first, again, other = (_walk(subject.made(), seed) for seed in (0, 0, 1))
    require(first == again, "the same seed gives another course the second time: episodes are not comparable")
    require(first != other, "every seed gives the same course: test episodes would all be one")


_CLAUSES: tuple[tuple[str, str, Callable[[EnvironmentSubject], None]], ...] = (
    ("spaces", "Observations and actions have the card's shapes, and actions have bounds.", _has_the_cards_spaces),
    ("finite", "Observations and rewards are finite.", _gives_finite_numbers),
    ("seeds", "A seed decides the course of an episode, and others give others.", _same_seed_same_course),
)
ENVIRONMENT_CHECKS = tuple(Check(name, promise, run) for name, promise, run in _CLAUSES)
