"""The frame before: what a still picture every window would show, if the truth were told one window late."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from reference_impls.api import State, Synapse
from reference_impls.dense_network import DenseAnswer, DenseBaseline, Windows

CARD = {
    "name": "last-frame",
    "kind": "system",
    "version": 1,
    "title": "Last frame",
    "summary": (
        "Answers with the true frame at the beginning of each window, which no network is shown: how much a picture "
        "changes in a window. A yardstick, not a rival."
    ),
    "equations": "answer at the end of a window = true frame at its beginning",
    "citations": [],
    "capabilities": {"answers": "frames", "learns": False, "spiking": False, "sees_truth": True},
}


class LastFrame(DenseBaseline):
    """The truth, one window late.

    Parameters
    ----------
    sample_shape : ``(channels, height, width)``.
    components : of the answer.
    """

    def __init__(self, sample_shape: tuple[int, ...], components: int) -> None:
        super().__init__()
        self.shape = (components, *sample_shape[1:])

    def fit(self, batches: Iterable[Windows]) -> None:
        """There is nothing to find out."""

    def at_windows(self, batch: Windows) -> Tensor:
        """Return the true frame before each window.

        Raises
        ------
        ValueError
            If the targets have no frame before (flow has none).
        """
        if batch.before is None:
            raise ValueError("last-frame answers with frames; these targets have no frame before a window")
        return batch.before

    def answer(self, x: Tensor, states: Sequence[State | None] | None = None) -> DenseAnswer:
        """Return black: events alone tell it nothing."""
        return DenseAnswer(torch.zeros(*x.shape[:2], *self.shape, dtype=x.dtype, device=x.device), ())

    def synapses(self) -> tuple[Synapse, ...]:
        """It has none."""
        return ()
