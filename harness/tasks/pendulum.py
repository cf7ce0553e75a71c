"""pendulum and mountain-car: gymnasium's classic control with continuous actions."""

from __future__ import annotations

from typing import Any

from harness.tasks.common.environment import ControlTask

CARD = {
    "name": "pendulum",
    "kind": "task",
    "version": 1,
    "title": "Pendulum",
    "summary": (
        "Swing a pendulum up and hold it, with a torque too weak to lift it at once. A step of an episode of 200 costs "
        "16.3 at worst and nothing at best."
    ),
    "data": "gymnasium",
    "T": 5,
    "sample_shape": [3],
    "classes": 1,
    "target": "control",
    "input_kind": "analog",
    "encoding": "cosine, sine and speed of the pendulum, normalised by their running mean and variance",
    "split": "test episodes begin from seeds of their own, the same for every row",
    "defaults": {"environment": "Pendulum-v1", "hidden": [64, 64]},
    "variants": {
        "mountain-car": {
            "title": "Mountain car, continuous",
            "summary": (
                "Drive out of a valley with an engine too weak for it: 100 for getting out, less a tenth of the "
                "squared force at each of up to 999 steps. Doing nothing gives 0."
            ),
            "params": {"environment": "MountainCarContinuous-v0"},
            "overrides": {
                "sample_shape": [2],
                "encoding": "place and speed of the car, normalised by their running mean and variance",
            },
        },
    },
    "networks": {},
    "budgets": {
        # An epoch is a stretch of `train_limit` steps in the environment; `test_limit` is the number of test episodes.
        "smoke": {"epochs": 1, "batch_size": 32, "learning_rate": 1e-3, "train_limit": 300, "test_limit": 2},
        # Actors with and without spikes hold the pendulum after 4,000 to 6,000 steps.
        "quick": {"epochs": 6, "batch_size": 64, "learning_rate": 1e-3, "train_limit": 1000, "test_limit": 10},
        "standard": {"epochs": 30, "batch_size": 100, "learning_rate": 1e-3, "train_limit": 1000, "test_limit": 20},
    },
}


class ClassicControl(ControlTask):
    """An environment that gymnasium has itself."""

    def make(self) -> Any:
        """Make it by its name."""
        import gymnasium

        return gymnasium.make(self.params["environment"])
