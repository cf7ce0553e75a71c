"""Optimizers as a recipe describes them: weight decay, clipping and a schedule that hold whoever calls ``step``.

A training method owns its steps: one a batch, one a time step, or none; it may build several optimizers, and scale a
group's rate. So clipping and schedule hang on the optimizer's own step, and how far training has come is told by the
loop, in parts of the budget, whatever number of steps that is. Must not know the method, nor where a recipe comes from.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

__all__ = ["Course", "OptimizerSettings", "make_optimizer"]

_APPLIED = "schedule_factor"
"""Entry of a parameter group: the factor that is in its rate already."""


@dataclass(slots=True)
class Course:
    """How far training has come."""

    fraction: float = 0.0
    """Of the samples that the budget has in all, a pretraining's included; 0 to 1."""


@dataclass(frozen=True, slots=True)
class OptimizerSettings:
    """Everything that decides a step, resolved."""

    name: str
    learning_rate: float
    momentum: float = 0.9
    """Of SGD."""
    weight_decay: float = 0.0
    """Of parameters with two axes or more: not of biases, nor of what neurons learn as scalars and vectors."""
    schedule: str = "constant"
    """``cosine``: the rate falls to 0 with half a cosine over the budget (Loshchilov and Hutter 2017, eq. 5)."""
    clip_norm: float | None = None
    """Largest Euclidean norm of a step's gradient over all parameters."""


def make_optimizer(
    parameters: Iterable[nn.Parameter], settings: OptimizerSettings, course: Course
) -> torch.optim.Optimizer:
    """Return an optimizer of `parameters`; a schedule goes by what `course` says at each step."""
    optimizer = _plain(parameters, settings)
    if settings.clip_norm is not None:
        limit = settings.clip_norm

        def clip(stepped: torch.optim.Optimizer, _args: Any, _kwargs: Any) -> None:
            nn.utils.clip_grad_norm_(_of(stepped), limit)

        optimizer.register_step_pre_hook(clip)
    if settings.schedule == "cosine":

        def schedule(stepped: torch.optim.Optimizer, _args: Any, _kwargs: Any) -> None:
            _scale(stepped, (1 + math.cos(math.pi * min(course.fraction, 1.0))) / 2)

        optimizer.register_step_pre_hook(schedule)
    return optimizer


def _plain(parameters: Iterable[nn.Parameter], settings: OptimizerSettings) -> torch.optim.Optimizer:
    rate, decay = settings.learning_rate, settings.weight_decay
    groups: Any = parameters if decay == 0 else _groups(list(parameters), decay)
    if settings.name == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=settings.momentum)
    # The penalty in Adam's gradient would be divided by its own scale (Loshchilov and Hutter 2019).
    return torch.optim.Adam(groups, lr=rate) if decay == 0 else torch.optim.AdamW(groups, lr=rate, weight_decay=0.0)


def _groups(parameters: list[nn.Parameter], decay: float) -> list[dict[str, Any]]:
    decayed = [parameter for parameter in parameters if parameter.ndim >= 2]
    others = [parameter for parameter in parameters if parameter.ndim < 2]
    groups = [{"params": decayed, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _of(optimizer: torch.optim.Optimizer) -> Iterator[nn.Parameter]:
    return (parameter for group in optimizer.param_groups for parameter in group["params"])


def _scale(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Multiply every group's rate by `factor` in place of the one before, whatever else the method did to it."""
    for group in optimizer.param_groups:
        group["lr"] *= factor / group.get(_APPLIED, 1.0)
        group[_APPLIED] = factor
