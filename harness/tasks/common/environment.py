"""The contract of a task that is an environment: what acts in it is judged by the reward that it collects.

An environment is no data set, so a task of this kind is no `Task`: it has no samples, no split and no encoding, and its
suite brings a workload of its own. Must not know who acts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from harness.catalogue.cards import TaskCard

__all__ = ["ControlTask"]


class ControlTask(ABC):
    """An environment of continuous actions. A subclass lives alone in its file.

    Parameters
    ----------
    card : the task's.
    hidden : units of the hidden layers of actors and critics.
    params : the card's, as keywords.
    """

    def __init__(self, card: TaskCard, hidden: Sequence[int], **params: Any) -> None:
        self.card, self.hidden = card, tuple(hidden)
        self.params: Mapping[str, Any] = params

    @abstractmethod
    def make(self) -> Any:
        """Return a new environment, a ``gymnasium.Env`` with a ``Box`` of observations and one of actions.

        Raises
        ------
        ImportError
            If its package is not installed.
        """
