"""The contract of a task: which samples belong to which split, and how a batch of them becomes a sequence.

A task owns data, split and encoding under one version; how long it trains stands in its card. Must not know
neurons, training methods or suites.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from harness.catalogue.cards import TaskCard

__all__ = ["Samples", "Split", "Task"]


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples as they lie in memory, before encoding."""

    inputs: Tensor
    """``[N, ...]``, any dtype that `Task.encode` accepts."""
    labels: Tensor
    """Classes ``[N]``, int64; or signals ``[N, T, components]``, floats."""

    def __len__(self) -> int:
        return self.labels.shape[0]


class Split(NamedTuple):
    """The three parts of a data set; no sample is in two of them."""

    train: Samples
    validation: Samples
    """Chooses the epoch; cut from the training part, never from the test part."""
    test: Samples
    digest: str
    """Hash of which sample lies where, so that two records can be seen to share a split."""


class Task(ABC):
    """Data set, split and encoding.

    A subclass lives alone in its file, takes the card's parameters as keywords of its constructor and writes `load`
    and `encode`.
    """

    def __init__(self, card: TaskCard, **params: Any) -> None:
        self.card = card
        self.params: Mapping[str, Any] = params

    @abstractmethod
    def load(self, data_root: Path | None, seed: int) -> Split:
        """Read the data and split it.

        Parameters
        ----------
        data_root : folder of data sets (None: the default places); embedded sets do not need it.
        seed : seed of the run; only cross-validated tasks use it, to choose the fold.

        Raises
        ------
        harness.errors.UserError
            If the data set is missing; the hint says how to get it.
        """

    @abstractmethod
    def encode(self, inputs: Tensor) -> Tensor:
        """Turn a batch ``[B, ...]`` into a sequence ``[T, B, *sample_shape]`` of floats, on its device.

        A sample that is the same at every step is returned as a broadcast (stride 0 over time), which networks
        recognise and process once.
        """
