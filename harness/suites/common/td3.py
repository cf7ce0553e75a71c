"""Trains an actor in an environment by TD3, and lets it act: what the suite `control` works on.

TD3 is Stable-Baselines3's, whose replay, critics, targets and noise are used as they are; only the actor is ours, so
that rows differ in it alone. The workload of other suites builds networks and batches of sequences; of it only what is
common is used here (cell, budget, device). Must not know which actor it trains, and must not judge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from harness.tasks.common.environment import ControlTask
from harness.workload import Workload
from reference_impls.building import build
from reference_impls.control import Actor
from reference_impls.discovery import load_class

__all__ = ["LEARNED_WITH", "Episodes", "Training", "environment_of"]

CLIP = 3.0
"""Standard deviations from their mean at which observations are clipped, as ILC-SAN's authors do."""
RANDOM_SHARE, MOST_RANDOM = 0.1, 10_000
"""Share of the steps that are random before learning begins, at most so many: the authors' 10,000."""
BUFFER = 1_000_000
LEARNED_WITH = {
    "discount": 0.99,
    "polyak": 0.995,
    "policy_delay": 2,
    "exploration_noise": 0.1,
    "target_noise": 0.2,
    "target_noise_clip": 0.5,
    "observation_clip": CLIP,
}
"""The authors' settings, which are TD3's; noise is in shares of the largest action."""
TEST_SEED = 10_000
"""Of the first test episode; others follow. No training seed is as large."""


def environment_of(workload: Workload) -> ControlTask:
    """Build the cell's environment task."""
    row = workload.registry.tasks[workload.cell.task]
    task: ControlTask = load_class(row.module, ControlTask)(workload.task_card, **row.params)
    return task


class Episodes(NamedTuple):
    """What test episodes gave."""

    returns: list[float]
    """Sum of the rewards of each."""
    observations: Tensor
    """What the actor saw, normalised, ``[steps, D]``."""


class Training:
    """A system in its environment.

    Parameters
    ----------
    workload : names system, environment, budget and seed.
    steps : in the environment, altogether.
    """

    def __init__(self, workload: Workload, steps: int) -> None:
        from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

        self.task, self.workload = environment_of(workload), workload
        self.environment: Any = VecNormalize(DummyVecEnv([self.task.make]), norm_reward=False, clip_obs=CLIP)
        learns = workload.registry.systems[workload.cell.neuron].capabilities.learns
        self.model = self._learner(steps) if learns else None
        self.actor = self.model.actor.mu if self.model is not None else self.built().to(workload.device)

    def _learner(self, steps: int) -> Any:
        """Return the library's TD3 with our actor."""
        import numpy as np
        from stable_baselines3 import TD3
        from stable_baselines3.common.noise import NormalActionNoise

        actions, budget = self.environment.action_space.shape, self.workload.budget
        return TD3(
            _policy(self.built),
            self.environment,
            learning_rate=budget.learning_rate,
            batch_size=budget.batch_size,
            buffer_size=min(BUFFER, steps),
            learning_starts=min(MOST_RANDOM, round(RANDOM_SHARE * steps)),
            gamma=LEARNED_WITH["discount"],
            tau=1 - LEARNED_WITH["polyak"],
            policy_delay=int(LEARNED_WITH["policy_delay"]),
            target_policy_noise=LEARNED_WITH["target_noise"],
            target_noise_clip=LEARNED_WITH["target_noise_clip"],
            action_noise=NormalActionNoise(np.zeros(actions), np.full(actions, LEARNED_WITH["exploration_noise"])),
            policy_kwargs={"net_arch": list(self.task.hidden)},
            seed=self.workload.cell.seed,
            device=self.workload.device,
        )

    def built(self) -> Actor:
        """Return a new actor of the cell's row, with weights of torch's generator."""
        spaces = {"observations": self.environment.observation_space, "actions": self.environment.action_space}
        sizes = {name: int(space.shape[0]) for name, space in spaces.items()}
        given = {**sizes, "hidden": self.task.hidden}
        actor: Actor = build("system", self.workload.cell.neuron, Actor, {}, given)
        return actor

    @property
    def updates(self) -> int:
        """Return the updates of the critics so far."""
        return 0 if self.model is None else int(self.model._n_updates)

    def learn(self, steps: int) -> None:
        """Go on for so many steps in the environment; only for a system that learns."""
        assert self.model is not None, "a system that learns nothing is only tested"
        self.model.learn(steps, reset_num_timesteps=False, log_interval=10**9)

    @torch.no_grad()
    def test(self, episodes: int) -> Episodes:
        """Let the actor act without noise, in episodes of their own seeds, side by side."""
        import numpy as np

        self.actor.eval()
        places = [self.task.make() for _ in range(episodes)]
        current = {number: place.reset(seed=TEST_SEED + number)[0] for number, place in enumerate(places)}
        returns, seen = [0.0] * episodes, []
        low, high = self.environment.action_space.low, self.environment.action_space.high
        while current:
            observed = self.environment.normalize_obs(np.stack(list(current.values())).astype(np.float32))
            observation = torch.from_numpy(observed.astype(np.float32)).to(self.workload.device)
            seen.append(observation.cpu())
            actions = low + (self.actor(observation).cpu().numpy() + 1) / 2 * (high - low)
            for number, action in zip(list(current), actions, strict=True):
                following, reward, ended, cut, _ = places[number].step(action)
                returns[number] += float(reward)
                if ended or cut:
                    del current[number]
                else:
                    current[number] = following
        for place in places:
            place.close()
        return Episodes(returns, torch.cat(seen))

    def close(self) -> None:
        """End the environment."""
        self.environment.close()


def _policy(built: Callable[[], Actor]) -> Any:
    """Return a policy class of the library whose actors are ours."""
    from stable_baselines3.td3.policies import Actor as TD3Actor
    from stable_baselines3.td3.policies import TD3Policy

    class Acting(TD3Actor):
        def __init__(self, **given: Any) -> None:
            super().__init__(**given)
            ours: Any = built()
            self.mu = ours

    class Policy(TD3Policy):
        def make_actor(self, features_extractor: Any = None) -> Any:
            return Acting(**self._update_features_extractor(self.actor_kwargs, features_extractor)).to(self.device)

    return Policy
