"""The contract of a system that acts: an observation in, an action out, the same for spiking and other actors.

Who trains an actor, and in which environment, is not its concern. Must not import a simulator.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from reference_impls.graphs import Work
from reference_impls.neuron import SequentialNeuron

__all__ = ["Actor"]


class Actor(nn.Module, ABC):
    """A policy of continuous actions.

    Parameters
    ----------
    observations : D, numbers of an observation.
    actions : A, numbers of an action.
    hidden : units of each hidden layer; the task decides, so that all actors have the same shape.

    A subclass takes these as keywords, and further ones from its card.
    """

    def __init__(self, observations: int, actions: int, hidden: Sequence[int]) -> None:
        super().__init__()
        if min(observations, actions, *hidden) < 1:
            raise ValueError(f"an actor needs numbers and units, got {observations}, {actions} and {list(hidden)}")
        self.observations, self.actions = observations, actions

    @abstractmethod
    def forward(self, observation: Tensor) -> Tensor:
        """Return actions ``[B, A]`` in [-1, 1] for observations ``[B, D]``, of about zero mean and unit variance."""

    @property
    def spiking_neuron(self) -> SequentialNeuron | None:
        """Return the neuron whose updates `work` counts; None if there is none."""
        return None

    def work(self, observation: Tensor) -> Work | None:
        """Return what decisions on ``[B, D]`` take, summed over them; None if that is no arithmetic worth counting."""
        return None
