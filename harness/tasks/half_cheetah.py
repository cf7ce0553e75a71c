"""half-cheetah, hopper, walker2d and ant: the MuJoCo environments that papers on spiking actors report."""

from __future__ import annotations

from typing import Any

from harness.tasks.common.environment import ControlTask

CARD = {
    "name": "half-cheetah",
    "kind": "task",
    "version": 1,
    "title": "HalfCheetah",
    "summary": "Run forward on two legs, simulated by MuJoCo. Hours; papers use older versions (-v3).",
    "data": "mujoco",
    "T": 5,
    "sample_shape": [17],
    "classes": 6,
    "target": "control",
    "input_kind": "analog",
    "encoding": "places and speeds, normalised by their running mean and variance",
    "split": "test episodes begin from seeds of their own, the same for every row",
    "defaults": {"environment": "HalfCheetah-v5", "hidden": [256, 256]},
    "variants": {
        "hopper": {
            "title": "Hopper",
            "params": {"environment": "Hopper-v5"},
            "overrides": {"sample_shape": [11], "classes": 3, "summary": "Hop forward on one leg. MuJoCo, -v5."},
        },
        "walker2d": {
            "title": "Walker2d",
            "params": {"environment": "Walker2d-v5"},
            "overrides": {"sample_shape": [17], "classes": 6, "summary": "Walk forward on two legs. MuJoCo, -v5."},
        },
        "ant": {
            "title": "Ant",
            "params": {"environment": "Ant-v5"},
            "overrides": {"sample_shape": [105], "classes": 8, "summary": "Walk forward on four legs. MuJoCo, -v5."},
        },
    },
    "networks": {},
    "budgets": {
        "smoke": {"epochs": 1, "batch_size": 32, "learning_rate": 1e-3, "train_limit": 300, "test_limit": 1},
        "quick": {"epochs": 10, "batch_size": 100, "learning_rate": 1e-3, "train_limit": 2000, "test_limit": 5},
        # The authors' million steps, tested every 10,000.
        "standard": {"epochs": 100, "batch_size": 100, "learning_rate": 1e-3, "train_limit": 10000, "test_limit": 10},
    },
}


class MujocoControl(ControlTask):
    """An environment that MuJoCo simulates."""

    def make(self) -> Any:
        """Make it by its name; without MuJoCo gymnasium says only that it cannot."""
        import gymnasium
        import mujoco  # noqa: F401

        return gymnasium.make(self.params["environment"])
