"""control: what an actor collects in an environment, after the task's budget of steps in it.

An environment is no data set, and an actor is trained by reinforcement, not by a training method of the board. So this
suite has a workload of its own (:mod:`harness.suites.common.td3`): the cell names a system on the axis ``neuron`` and
an environment on the axis ``task``, and neither method nor topology.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from harness.results.record import Series
from harness.suites.common.base import Answer, DivergedError, Measurement, Suite
from harness.suites.common.figures import mean_with_interval, work_figures
from harness.suites.common.td3 import LEARNED_WITH, Episodes, Training
from harness.workload import Workload
from reference_impls.building import parameters_of
from reference_impls.control import Actor
from reference_impls.requirements import installed_version

CARD = {
    "name": "control",
    "kind": "suite",
    "version": 1,
    "title": "Control",
    "summary": (
        "Trains an actor by TD3 for the budget's steps in an environment, then lets it act without noise in test "
        "episodes: the mean return of the last test, never of the best one. Operations are those of a decision."
    ),
    "exclusive": False,
    "timeout_seconds": 86400.0,
    "typical_seconds": 60.0,
    "targets": ["control"],
    "metrics": {
        "mean_return": {
            "short": "return",
            "title": "mean return of test episodes",
            "unit": "reward",
            "direction": "higher",
            "bounds": [None, None],
        },
        "environment_steps": {"title": "steps in the environment", "unit": "steps", "direction": "none"},
        "critic_updates": {"title": "updates of the critics", "unit": "updates", "direction": "none"},
        "spikes_per_neuron": {
            "short": "spikes/neuron",
            "title": "spikes per neuron and decision",
            "unit": "spikes",
            "direction": "lower",
        },
        "accumulates_per_decision": {"title": "accumulates per decision", "unit": "operations", "direction": "lower"},
        "multiply_accumulates_per_decision": {
            "title": "multiply-accumulates per decision",
            "unit": "operations",
            "direction": "lower",
        },
        "energy_joules": {
            "short": "energy",
            "title": "arithmetic energy per decision (45 nm)",
            "unit": "joules",
            "direction": "lower",
        },
        "parameters": {
            "title": "parameters of the actor",
            "short": "parameters",
            "unit": "parameters",
            "direction": "lower",
            "exact": True,
        },
    },
}

COUNTED = 512
"""Decisions of the last test on which operations are counted, evenly spread."""


class Control(Suite):
    """Train an actor, and let it act."""

    def run(self, workload: Workload) -> Answer:
        """Train the cell's system and report what it collects."""
        budget = workload.budget
        stretch, episodes = budget.train_limit or 1000, budget.test_limit or 10
        learns = workload.registry.systems[workload.cell.neuron].capabilities.learns
        torch.manual_seed(workload.cell.seed)
        training = Training(workload, budget.epochs * stretch)
        try:
            tests = [training.test(episodes)]
            for epoch in range(budget.epochs if learns else 0):
                training.learn(stretch)
                _check(training.actor, epoch)
                tests.append(training.test(episodes))
                workload.progress((epoch + 1) / budget.epochs, f"{(epoch + 1) * stretch:,} steps")
        finally:
            training.close()
        figures = {
            "mean_return": _mean(tests[-1].returns),
            "environment_steps": Measurement(float((len(tests) - 1) * stretch)),
            **({"critic_updates": Measurement(float(training.updates))} if learns else {}),
            "parameters": Measurement(float(sum(parameter.numel() for parameter in training.actor.parameters()))),
            **_cost(training.actor, tests[-1], workload),
        }
        points = tuple((float(number * stretch), sum(one.returns) / episodes) for number, one in enumerate(tests))
        curve = Series(x="steps", x_unit="steps", y="mean_return", y_unit="reward", points=points)
        return Answer(figures, {"mean_return": curve} if learns else {}, _details(workload, tests[-1]))


def _check(actor: Actor, epoch: int) -> None:
    for name, parameter in actor.named_parameters():
        if not torch.isfinite(parameter).all():
            raise DivergedError(f"{name} stopped being finite in stretch {epoch + 1}")


def _mean(returns: Sequence[float]) -> Measurement:
    if not all(map(math.isfinite, returns)):
        raise DivergedError("a return is not finite")
    return mean_with_interval(returns, "test episodes")


def _cost(actor: Actor, last: Episodes, workload: Workload) -> dict[str, Measurement]:
    """Count what decisions take, and what that costs; nothing for what has no arithmetic."""
    chosen = torch.linspace(0, len(last.observations) - 1, min(COUNTED, len(last.observations))).long()
    work = actor.work(last.observations[chosen].to(workload.device))
    if work is None:
        return {}
    return work_figures(work, actor.spiking_neuron, workload.task_card.T, len(chosen), "decision")


def _details(workload: Workload, last: Episodes) -> Mapping[str, Any]:
    """Return everything that the training rests on, and the last returns."""
    budget = workload.budget
    return {
        "returns": last.returns,
        "decisions": len(last.observations),
        "system": parameters_of("system", workload.cell.neuron, Actor, {}),
        "budget": {"stretches": budget.epochs, "steps": budget.train_limit, "episodes": budget.test_limit},
        "batch_size": budget.batch_size,
        "learning_rate": budget.learning_rate,
        "td3": LEARNED_WITH,
        "versions": {name: installed_version(name) for name in ("gymnasium", "stable-baselines3", "mujoco")},
    }
